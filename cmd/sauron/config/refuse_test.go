package config_test

import (
	"errors"
	"flag"
	"strings"
	"testing"

	"github.com/sauron-stream/sauron/cmd/sauron/config"
)

func TestHelp(t *testing.T) {
	for _, arg := range []string{"--help", "-help", "-h"} {
		if _, err := config.Load([]string{arg}, environment{}.lookup); !errors.Is(err, flag.ErrHelp) {
			t.Errorf("Load(%s) = %v, want flag.ErrHelp", arg, err)
		}
	}
}

// The whole line is compared: it must name the flag or the variable.
func TestRefusedFlagsAndVariables(t *testing.T) {
	tests := []struct {
		name string
		env  environment
		args []string
		want string
	}{
		{"unknown_flag", nil, []string{"--orphan-grce=1s"}, "flag provided but not defined: -orphan-grce"},
		{"replay_window", nil, []string{"--replay-window=-1s"}, `--replay-window: "-1s" must be at least 0s`},
		{"no_argument", nil, []string{"--listen"}, "flag needs an argument: -listen"},
		{"argument", nil, []string{"now"}, `unexpected argument "now"`},
		{"flag", nil, []string{"--orphan-grace", "10"}, `--orphan-grace: "10" is not a duration, such as 500ms, 10s or 2m`},
		{"variable", environment{"SAURON_ORPHAN_GRACE": "10"}, nil, `SAURON_ORPHAN_GRACE: "10" is not a duration, such as 500ms, 10s or 2m`},
		{"variable_replaced", environment{"SAURON_QUEUE_CAPACITY": "x"}, []string{"--queue-capacity=1"}, `SAURON_QUEUE_CAPACITY: "x" is not a whole number`},
		{"seed_variable", environment{"MAX_CONCURRENT_REQUESTS": "0"}, nil, `MAX_CONCURRENT_REQUESTS: "0" must be at least 1`},
		{"seed_variable_2", environment{"MAX_CONCURRENT_LLM_STREAMS": ""}, nil, `MAX_CONCURRENT_LLM_STREAMS: "" is not a whole number`},
		{"negative", nil, []string{"--orphan-grace=-1s"}, `--orphan-grace: "-1s" must be at least 0s`},
		{"zero_timeout", nil, []string{"--generation-timeout=0s"}, `--generation-timeout: "0s" must be at least 1ms`},
		{"overflow", nil, []string{"--id-memory=9000h"}, `--id-memory: "9000h" must be at most 8760h0m0s`},
		{"keepalive", nil, []string{"--keepalive-time=999ms"}, `--keepalive-time: "999ms" must be at least 1s`},
		{"sim_pause", nil, []string{"--sim-first-token=2h"}, `--sim-first-token: "2h" must be at most 1h0m0s`},
		{"sim_tokens", nil, []string{"--sim-tokens=1000001"}, `--sim-tokens: "1000001" must be at most 1000000`},
		{"big_count", nil, []string{"--queue-capacity=99999999999999999999"}, `--queue-capacity: "99999999999999999999" must be at most 2147483647`},
		{"negative_count", nil, []string{"--prepared-backlog=-99999999999999999999"}, `--prepared-backlog: "-99999999999999999999" must be at least 0`},
		{"size", nil, []string{"--max-log-bytes=1 GiBi"}, `--max-log-bytes: "1 GiBi" is not a size, such as 1048576 or 16 MiB`},
		{"comma", nil, []string{"--max-log-bytes=1,5 GiB"}, `--max-log-bytes: "1,5 GiB" is not a size, such as 1048576 or 16 MiB`},
		{"no_size", nil, []string{"--max-log-bytes=0"}, `--max-log-bytes: "0" must be at least 1 byte`},
		{"negative_size", nil, []string{"--max-log-bytes=-1"}, `--max-log-bytes: "-1" is not a size, such as 1048576 or 16 MiB`},
		{"int32", nil, []string{"--max-request-bytes=2 GiB"}, `--max-request-bytes: "2 GiB" must be at most 2147483647 bytes`},
		{"bool", nil, []string{"--admin-pprof=yes"}, `--admin-pprof: "yes" is not true or false`},
		{"coalescing", nil, []string{"--coalescing=replay"}, `--coalescing: "replay" is not one of live, off`},
		{"address", nil, []string{"--listen=50051"}, `--listen: "50051" is not an address, such as 127.0.0.1:50051 or :50051`},
		{"no_address", nil, []string{"--listen="}, `--listen: "" is not an address, such as 127.0.0.1:50051 or :50051`},
		{"port", nil, []string{"--admin-listen=:65536"}, `--admin-listen: ":65536" is not an address, such as 127.0.0.1:50051 or :50051`},
		{"log_level", nil, []string{"--log-level=loud"}, `--log-level: "loud" is not one of debug, info, warn, error`},
		{"log_format", nil, []string{"--log-format=xml"}, `--log-format: "xml" is not one of text, json`},
		{"url", nil, []string{"--openai-base-url=127.0.0.1:8000"}, `--openai-base-url: "127.0.0.1:8000" is not a base URL, such as http://127.0.0.1:8000/v1`},
		{"url_scheme", nil, []string{"--openai-base-url=ftp://x/v1"}, `--openai-base-url: "ftp://x/v1" is not a base URL, such as http://127.0.0.1:8000/v1`},
		{"url_host", nil, []string{"--openai-base-url=http:///v1"}, `--openai-base-url: "http:///v1" is not a base URL, such as http://127.0.0.1:8000/v1`},
		{"url_fragment", nil, []string{"--openai-base-url=http://x/v1#a"}, `--openai-base-url: "http://x/v1#a" is not a base URL, such as http://127.0.0.1:8000/v1`},
		{"url_password", nil, []string{"--openai-base-url=http://me:pw@x/v1"}, `--openai-base-url: must not hold a user or a password`},
		{"url_bad_password", nil, []string{"--openai-base-url=http://me:%zz@x/v1"}, `--openai-base-url: must not hold a user or a password`},
		{"no_file", nil, []string{"--config=/nowhere/sauron.yaml"}, `--config: open /nowhere/sauron.yaml: no such file or directory`},
		{"no_file_variable", environment{"SAURON_CONFIG": "/nowhere/sauron.yaml"}, nil, `SAURON_CONFIG: open /nowhere/sauron.yaml: no such file or directory`},
		{"newline", nil, []string{"--log-format=a\nb"}, `--log-format: "a\nb" is not one of text, json`},
		{"openai_key", environment{"OPENAI_API_KEY": "sk-secret\n"}, []string{"--openai-base-url=http://x/v1"}, `OPENAI_API_KEY: the key holds a space or what is not ASCII`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { refuse(t, tt.env, tt.args, tt.want) })
	}
}

// The whole line is compared: it must name the file, the line and the key.
func TestRefusedFiles(t *testing.T) {
	const openai = "upstreams:\n- {name: a, type: openai, base_url: http://x/v1}\n"
	const route = "routes: [{model: m, upstream: a}]\n"
	const upstream = "upstreams:\n- name: a\n  type: openai\n  base_url: http://x/v1\n"
	tests := []struct{ name, text, want string }{
		{"syntax", "a: b: c\n", `FILE: mapping values are not allowed in this context`},
		{"syntax_line", "listen: :1\nqueue_capacity: \"1\n", `FILE:2: found unexpected end of stream`},
		{"anchor", "listen: *a\n", `FILE: unknown anchor 'a' referenced`},
		{"two_documents", "listen: :1\n---\nlisten: :2\n", `FILE:2: a second document; the file must have one`},
		{"list", "- listen\n", `FILE:1: must be a mapping of keys to values`},
		{"text", "listen\n", `FILE:1: must be a mapping of keys to values`},
		{"unknown", "listen: :1\norphan_grce: 1s\n", `FILE:2: orphan_grce: is not a setting`},
		{"dashes", "orphan-grace: 1s\n", `FILE:1: orphan-grace: is not a setting`},
		{"config", "config: other.yaml\n", `FILE:1: config: is not a setting`},
		{"replay_window", "replay_window: 1\n", `FILE:1: replay_window: "1" is not a duration, such as 500ms, 10s or 2m`},
		{"strange_key", "\"a\\nb\": 1\n", `FILE:1: "a\nb": is not a setting`},
		{"empty_key", "\"\": 1\n", `FILE:1: "": is not a setting`},
		{"key_list", "[a]: 1\n", `FILE:1: a key must be a single value`},
		{"twice", "listen: :1\n\nlisten: :2\n", `FILE:3: listen: is already set in line 1`},
		{"merge", "<<: {listen: a}\n", `FILE:1: <<: is not a setting`},
		{"value", "listen: :1\norphan_grace: 10\n", `FILE:2: orphan_grace: "10" is not a duration, such as 500ms, 10s or 2m`},
		{"null", "listen:\n", `FILE:1: listen: has no value`},
		{"tilde", "listen: ~\n", `FILE:1: listen: has no value`},
		{"mapping", "listen: {a: b}\n", `FILE:1: listen: must be a single value`},

		{"upstreams_alone", openai, `FILE:2: upstreams: without routes`},
		{"routes_alone", route, `FILE:1: routes: without upstreams`},
		{"no_upstreams", "upstreams: []\n" + route, `FILE:1: upstreams: must be a list of at least one`},
		{"no_routes", openai + "routes:\n", `FILE:3: routes: must be a list of at least one`},
		{"upstream_text", "upstreams: [a]\n" + route, `FILE:1: upstreams[0]: must be a mapping of keys to values`},
		{"type", "upstreams: [{name: a, type: vllm}]\n" + route, `FILE:1: upstreams[0].type: "vllm" is not one of openai, sim`},
		{"no_type", "upstreams: [{name: a}]\n" + route, `FILE:1: upstreams[0].type: is missing`},
		{"no_name", "upstreams: [{type: sim}]\n" + route, `FILE:1: upstreams[0].name: is missing`},
		{"no_url", "upstreams: [{name: a, type: openai}]\n" + route, `FILE:1: upstreams[0].base_url: is missing`},
		{"same_name", openai + "- {name: a, type: sim}\n" + route, `FILE:3: upstreams[1].name: "a" is the name of another upstream`},
		{"empty_name", "upstreams: [{name: '', type: sim}]\n" + route, `FILE:1: upstreams[0].name: must not be empty`},
		{"unknown_key", upstream + "  tokens: 3\n" + route, `FILE:5: upstreams[0].tokens: is not a key of an openai upstream`},
		{"sim_key", "upstreams:\n- {name: a, type: sim,\n base_url: x}\n" + route, `FILE:3: upstreams[0].base_url: is not a key of a sim upstream`},
		{"upstream_twice", upstream + "  name: b\n" + route, `FILE:5: upstreams[0].name: is already set in line 2`},
		{"max_streams", upstream + "  max_streams: -1\n" + route, `FILE:5: upstreams[0].max_streams: "-1" must be at least 0`},
		{"tries", upstream + "  retry: {tries: 0}\n" + route, `FILE:5: upstreams[0].retry.tries: "0" must be at least 1`},
		{"within", upstream + "  retry: {within: -1s}\n" + route, `FILE:5: upstreams[0].retry.within: "-1s" must be at least 0s`},
		{"retry_key", upstream + "  retry: {times: 1}\n" + route, `FILE:5: upstreams[0].retry.times: is not a key of retry`},
		{"key_unset", upstream + "  api_key_env: NO_KEY\n" + route, `FILE:5: upstreams[0].api_key_env: must name an environment variable, but NO_KEY is not set`},
		{"key_empty", upstream + "  api_key_env: EMPTY_KEY\n" + route, `FILE:5: upstreams[0].api_key_env: the environment variable EMPTY_KEY is empty`},
		{"key_in_file", upstream + "  api_key_env: sk-secret\n" + route, `FILE:5: upstreams[0].api_key_env: must name an environment variable, but it is not set`},
		{"key_newline", upstream + "  api_key_env: BAD_KEY\n" + route, `FILE:5: upstreams[0].api_key_env: the key holds a space or what is not ASCII`},
		{"header_key", upstream + "  headers: {authorization: Bearer sk-secret}\n" + route, `FILE:5: upstreams[0].headers.authorization: belongs to api_key_env: keys never stand in the file`},
		{"header_own", upstream + "  headers: {content-type: a}\n" + route, `FILE:5: upstreams[0].headers.content-type: is set by the service itself`},
		{"header_name", upstream + "  headers: {\"a b\": a}\n" + route, `FILE:5: upstreams[0].headers."a b": is not the name of a header`},
		{"header_value", upstream + "  headers: {a: \"sk-secret\\r\"}\n" + route, `FILE:5: upstreams[0].headers.a: holds what cannot stand in a header`},
		{"header_twice", upstream + "  headers: {x-a: 1, X-A: 2}\n" + route, `FILE:5: upstreams[0].headers.X-A: is already set in another spelling`},
		{"fault_kind", "upstreams: [{name: a, type: sim, fault: {kind: fire}}]\n" + route, `FILE:1: upstreams[0].fault.kind: "fire" is not one of none, error, break, stall, rate_limit, garbage`},
		{"fault_no_kind", "upstreams: [{name: a, type: sim, fault: {status: 500}}]\n" + route, `FILE:1: upstreams[0].fault.kind: is missing`},
		{"fault_status", "upstreams: [{name: a, type: sim, fault: {kind: error, status: 200}}]\n" + route, `FILE:1: upstreams[0].fault.status: "200" must be at least 400`},

		{"route_upstream", openai + "routes:\n- {model: m, upstream: b}\n", `FILE:4: routes[0].upstream: "b" is not the name of an upstream`},
		{"route_no_upstream", openai + "routes:\n- {model: m}\n", `FILE:4: routes[0].upstream: is missing`},
		{"route_no_model", openai + "routes:\n- {upstream: a}\n", `FILE:4: routes[0].model: is missing`},
		{"same_model", openai + "routes:\n- {model: m, upstream: a}\n- {model: m, upstream: a}\n", `FILE:5: routes[1].model: "m" has a route already`},
		{"route_key", openai + "routes:\n- {model: m, upstream: a, models: b}\n", `FILE:4: routes[0].models: is not a key of a route`},
		{"route_replay_window", openai + "routes:\n- {model: m, upstream: a, replay_window: soon}\n", `FILE:4: routes[0].replay_window: "soon" is not a duration, such as 500ms, 10s or 2m`},
		{"route_coalescing", openai + "routes:\n- {model: m, upstream: a, coalescing: replay}\n", `FILE:4: routes[0].coalescing: "replay" is not one of live, off`},
		{"defaults", openai + "routes:\n- {model: m, upstream: a, defaults: {temprature: 1}}\n", `FILE:4: routes[0].defaults.temprature: is not a field of Sampling`},
		{"temperature_nan", openai + "routes:\n- {model: m, upstream: a, defaults: {temperature: NaN}}\n", `FILE:4: routes[0].defaults.temperature: "NaN" is not a number`},
		{"temperature_inf", openai + "routes:\n- {model: m, upstream: a, defaults: {temperature: .inf}}\n", `FILE:4: routes[0].defaults.temperature: ".inf" is not a number`},
		{"temperature_low", openai + "routes:\n- {model: m, upstream: a, defaults: {temperature: -1}}\n", `FILE:4: routes[0].defaults.temperature: must be at least 0`},
		{"top_p", openai + "routes:\n- {model: m, upstream: a, defaults: {top_p: 1.5}}\n", `FILE:4: routes[0].defaults.top_p: must be from 0 to 1`},
		{"max_tokens", openai + "routes:\n- {model: m, upstream: a, defaults: {max_tokens: 0}}\n", `FILE:4: routes[0].defaults.max_tokens: must be at least 1`},
		{"max_tokens_range", openai + "routes:\n- {model: m, upstream: a, defaults: {max_tokens: 2147483648}}\n", `FILE:4: routes[0].defaults.max_tokens: "2147483648" is not a whole number of 32 bits`},
		{"seed", openai + "routes:\n- {model: m, upstream: a, defaults: {seed: 1.5}}\n", `FILE:4: routes[0].defaults.seed: "1.5" is not a whole number of 64 bits`},
		{"stop", openai + "routes:\n- {model: m, upstream: a, defaults: {stop: [a, '']}}\n", `FILE:4: routes[0].defaults.stop[1]: must not be empty`},
		{"stop_text", openai + "routes:\n- {model: m, upstream: a, defaults: {stop: a}}\n", `FILE:4: routes[0].defaults.stop: must be a list of at least one`},
		{"hook_address", openai + "routes:\n- {model: m, upstream: a, prepare: {address: x}}\n", `FILE:4: routes[0].prepare.address: "x" is not a gRPC target, such as dns:///retrieval.svc:50052 or unix:/run/hook.sock`},
		{"hook_scheme", openai + "routes:\n- {model: m, upstream: a, prepare: {address: \"http://x:1\"}}\n", `FILE:4: routes[0].prepare.address: "http://x:1" is not a gRPC target, such as dns:///retrieval.svc:50052 or unix:/run/hook.sock`},
		{"hook_no_host", openai + "routes:\n- {model: m, upstream: a, prepare: {address: \":1\"}}\n", `FILE:4: routes[0].prepare.address: ":1" is not a gRPC target, such as dns:///retrieval.svc:50052 or unix:/run/hook.sock`},
		{"hook_no_address", openai + "routes:\n- {model: m, upstream: a, prepare: {timeout: 1s}}\n", `FILE:4: routes[0].prepare.address: is missing`},
		{"hook_timeout", openai + "routes:\n- {model: m, upstream: a, prepare: {address: \"x:1\", timeout: 0s}}\n", `FILE:4: routes[0].prepare.timeout: "0s" must be at least 1ms`},
		{"two_answers", "openai_base_url: http://x/v1\n" + openai + route, `FILE:1: openai_base_url: cannot stand beside the upstreams of FILE:3`},
	}
	env := environment{"EMPTY_KEY": "", "BAD_KEY": "sk-secret\n"}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := write(t, tt.text)
			refuse(t, env, []string{"--config", path}, strings.ReplaceAll(tt.want, "FILE", path))
		})
	}
}

func TestRefusedBesideUpstreams(t *testing.T) {
	path := write(t, "upstreams: [{name: a, type: sim}]\nroutes: [{model: m, upstream: a}]\n")
	refuse(t, nil, []string{"--config", path, "--openai-base-url=http://x/v1"},
		"--openai-base-url: cannot stand beside the upstreams of "+path+":1")
	refuse(t, environment{"SAURON_OPENAI_BASE_URL": "http://x/v1"}, []string{"--config", path},
		"SAURON_OPENAI_BASE_URL: cannot stand beside the upstreams of "+path+":1")
	load(t, environment{"SAURON_OPENAI_BASE_URL": "http://x/v1"}, "--config", path, "--openai-base-url=")
}

// refuse loads args and env, which must fail with exactly want.
func refuse(t *testing.T, env environment, args []string, want string) {
	t.Helper()
	cfg, err := config.Load(args, env.lookup)
	if err == nil {
		t.Fatalf("Load(%q) = %+v, want the error %s", args, cfg, want)
	}
	if err.Error() != want {
		t.Errorf("Load(%q):\n got %s\nwant %s", args, err, want)
	}
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("Load(%q) tells a secret: %s", args, err)
	}
}
