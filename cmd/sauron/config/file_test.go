package config_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/sauron-stream/sauron/cmd/sauron/config"
	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
	"github.com/sauron-stream/sauron/manager/upstream/sim"
)

const wholeFile = `
# The upstreams come after the routes, and one route is shared by an alias.
orphan_grace: 15s
coalescing: live
sim_tokens: 7
routes:
  - model: llama-3
    upstream: vllm
    upstream_model: meta-llama/Llama-3.1-8B-Instruct
    coalescing: off
    defaults: &defaults {temperature: 0.2, top_p: 1, max_tokens: 512, stop: [END, "\n\n"], seed: -9223372036854775808,
      presence_penalty: -1.5, frequency_penalty: 1e-1, top_k: 40}
    prepare: {address: "dns:///retrieval.svc:50052", timeout: 3s}
  - {model: "*", upstream: sim, defaults: *defaults, prepare: {address: "unix:/run/hook.sock"}}
upstreams:
  - name: vllm
    type: openai
    base_url: http://127.0.0.1:8000/v1/
    api_key_env: VLLM_API_KEY
    headers: {X-Team: search, x-blank: ""}
    max_streams: 4
    retry: {tries: 3, within: 0s}
  - {base_url: "https://example.com/v1", type: openai, name: plain}
  - {name: sim, type: sim, first_token: 1ms, fault: {kind: break, after_tokens: 3, status: 503, retry_after: 2s}}
`

func TestFile(t *testing.T) {
	path := write(t, wholeFile)
	cfg := load(t, environment{"VLLM_API_KEY": "vllm-secret"}, "--config", path, "--sim-inter-token", "3ms")

	sampling := &sauronv1.Sampling{
		Temperature: new(0.2), TopP: new(1.0), MaxTokens: new(int32(512)), Stop: []string{"END", "\n\n"},
		Seed: new(int64(-1 << 63)), PresencePenalty: new(-1.5), FrequencyPenalty: new(0.1), TopK: new(int32(40)),
	}
	fields := sampling.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		if f := fields.Get(i); !sampling.ProtoReflect().Has(f) {
			t.Errorf("field %s of Sampling is not covered by this test", f.Name())
		}
	}
	upstreams := []config.Upstream{
		{Name: "vllm", MaxStreams: 4, OpenAI: &config.OpenAI{
			BaseURL: "http://127.0.0.1:8000/v1",
			APIKey:  config.NewSecret("vllm-secret"),
			Headers: map[string]string{"X-Team": "search", "X-Blank": ""},
			Tries:   3,
		}},
		{Name: "plain", OpenAI: &config.OpenAI{BaseURL: "https://example.com/v1", Tries: 2, Within: 5 * time.Second}},
		{Name: "sim", Sim: &config.Sim{
			FirstToken: time.Millisecond, InterToken: 3 * time.Millisecond, Tokens: 7,
			Fault: sim.Fault{Kind: sim.FaultBreak, AfterTokens: 3, Status: 503, RetryAfter: 2 * time.Second},
		}},
	}
	routes := []config.Route{
		{
			Model: "llama-3", Upstream: "vllm", UpstreamModel: "meta-llama/Llama-3.1-8B-Instruct",
			Defaults: sampling, Prepare: &config.Hook{Address: "dns:///retrieval.svc:50052", Timeout: 3 * time.Second},
		},
		{
			Model: "*", Upstream: "sim", Coalesce: true, Defaults: sampling,
			Prepare: &config.Hook{Address: "unix:/run/hook.sock", Timeout: 10 * time.Second},
		},
	}
	if diff := cmp.Diff(upstreams, cfg.Upstreams); diff != "" {
		t.Errorf("upstreams (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(routes, cfg.Routes, protocmp.Transform()); diff != "" {
		t.Errorf("routes (-want +got):\n%s", diff)
	}
	if cfg.OrphanGrace != 15*time.Second || cfg.File != path || cfg.BuiltInSimulator {
		t.Errorf("orphan grace %v, file %q, built-in simulator %t", cfg.OrphanGrace, cfg.File, cfg.BuiltInSimulator)
	}
}

// A route that does not say keeps its answers as long as the setting says.
func TestRouteTakesReplayWindow(t *testing.T) {
	path := write(t, "upstreams: [{name: a, type: sim}]\nroutes: [{model: m, upstream: a}, {model: n, upstream: a, replay_window: 2s}]\n")
	routes := load(t, nil, "--config", path, "--replay-window", "1m").Routes
	if routes[0].ReplayWindow != time.Minute || routes[1].ReplayWindow != 2*time.Second {
		t.Errorf("windows %v and %v, want 1m and 2s", routes[0].ReplayWindow, routes[1].ReplayWindow)
	}
}

// A route that does not say shares as the setting says, wherever that was set.
func TestRouteTakesCoalescing(t *testing.T) {
	path := write(t, "routes: [{model: m, upstream: a}]\nupstreams: [{name: a, type: sim}]\n")
	for value, want := range map[string]bool{"live": true, "off": false} {
		if got := load(t, nil, "--config", path, "--coalescing", value).Routes[0].Coalesce; got != want {
			t.Errorf("--coalescing=%s: route shares %t, want %t", value, got, want)
		}
	}
}

func TestConfigFileIsFound(t *testing.T) {
	one, two := write(t, "queue_capacity: 1\n"), write(t, "queue_capacity: 2\n")
	tests := []struct {
		name string
		env  environment
		args []string
		want int
	}{
		{"flag", nil, []string{"--config", one}, 1},
		{"variable", environment{"SAURON_CONFIG": two}, nil, 2},
		{"flag_over_variable", environment{"SAURON_CONFIG": two}, []string{"--config", one}, 1},
		{"flag_none", environment{"SAURON_CONFIG": two}, []string{"--config", ""}, 1024},
		{"variable_none", environment{"SAURON_CONFIG": ""}, nil, 1024},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := load(t, tt.env, tt.args...).QueueCapacity; got != tt.want {
				t.Errorf("queue capacity %d, want %d", got, tt.want)
			}
		})
	}
}

func TestFileThatSaysNothing(t *testing.T) {
	for _, text := range []string{"", "\n", "# nothing\n", "---\n", "{}\n", "null\n", "\ufeff"} {
		want := defaults()
		want.File = write(t, text)
		if diff := cmp.Diff(want, load(t, nil, "--config", want.File)); diff != "" {
			t.Errorf("file %q (-want +got):\n%s", text, diff)
		}
	}
}

func TestOpenAIKey(t *testing.T) {
	for key, want := range map[string]string{"": "", "sk-1": "sk-1"} {
		cfg := load(t, environment{"OPENAI_API_KEY": key}, "--openai-base-url", "https://example.com/v1")
		if got := cfg.Upstreams[0].OpenAI.APIKey.Reveal(); got != want {
			t.Errorf("OPENAI_API_KEY=%q: key %q, want %q", key, got, want)
		}
	}
}

// A digest follows what can change an answer, and nothing else.
func TestDigest(t *testing.T) {
	base := func() config.Upstream {
		return config.Upstream{Name: "a", OpenAI: &config.OpenAI{
			BaseURL: "http://x/v1", APIKey: config.NewSecret("one"), Headers: map[string]string{"A": "1", "B": "2"},
		}}
	}
	tests := []struct {
		name   string
		change func(*config.Upstream)
		same   bool
	}{
		{"nothing", func(*config.Upstream) {}, true},
		{"max_streams", func(u *config.Upstream) { u.MaxStreams = 3 }, true},
		{"retry", func(u *config.Upstream) { u.OpenAI.Tries, u.OpenAI.Within = 9, time.Hour }, true},
		{"key", func(u *config.Upstream) { u.OpenAI.APIKey = config.NewSecret("two") }, true},
		{"name", func(u *config.Upstream) { u.Name = "b" }, false},
		{"url", func(u *config.Upstream) { u.OpenAI.BaseURL = "http://y/v1" }, false},
		{"header", func(u *config.Upstream) { u.OpenAI.Headers["A"] = "2" }, false},
		{"type", func(u *config.Upstream) { u.OpenAI, u.Sim = nil, &config.Sim{} }, false},
		{"tokens", func(u *config.Upstream) { u.OpenAI, u.Sim = nil, &config.Sim{Tokens: 1} }, false},
	}
	digests := map[string]string{}
	for _, tt := range tests {
		u := base()
		tt.change(&u)
		if same := bytes.Equal(u.Digest(), base().Digest()); same != tt.same {
			t.Errorf("%s changed: same digest %t, want %t", tt.name, same, tt.same)
		}
		if other, ok := digests[string(u.Digest())]; ok && !tt.same {
			t.Errorf("%s and %s have one digest", tt.name, other)
		}
		digests[string(u.Digest())] = tt.name
	}
	u := base()
	u.MaxStreams = 3
	u.OpenAI.Tries = 4
	u.Digest()
	if u.MaxStreams != 3 || u.OpenAI.Tries != 4 {
		t.Error("Digest changed the upstream")
	}
}
