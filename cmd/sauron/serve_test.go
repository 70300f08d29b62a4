package main

import (
	"net"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/grpc/encoding"

	"github.com/sauron-stream/sauron/cmd/sauron/config"
)

// serveArgs serves on free ports and drains as fast as it can.
func serveArgs(more ...string) []string {
	return append([]string{
		"serve", "--listen=127.0.0.1:0", "--admin-listen=", "--drain-delay=0s", "--drain-timeout=0s",
		"--sim-first-token=0s", "--sim-inter-token=1h",
	}, more...)
}

// listening returns the address that the run logs.
func (s *session) listening(t *testing.T) string {
	t.Helper()
	s.err.waitFor(t, "msg=serving")
	m := regexp.MustCompile(`msg=serving address=(\S+)`).FindStringSubmatch(s.err.String())
	if m == nil {
		t.Fatalf("no address in the log:\n%s", s.err)
	}
	return m[1]
}

// The server's credit counts what is on its way only as long as nothing is compressed:
// no package of the program registers a compressor.
func TestNoCompressor(t *testing.T) {
	for _, name := range []string{"gzip", "snappy", "zstd", "deflate"} {
		if encoding.GetCompressor(name) != nil {
			t.Errorf("%s is registered: see server/credit.go", name)
		}
	}
}

func TestServeUntilSignal(t *testing.T) {
	s := newSession()
	exit := s.begin(t, serveArgs()...)
	address := s.listening(t)

	client := newSession()
	answered := client.begin(t, "generate", "--address", address, "x")
	client.out.waitFor(t, "Simulator:")
	s.interrupt(t)
	if status := receive(t, exit, "ended"); status != exitOK {
		t.Errorf("exit status %d after a drain, want %d", status, exitOK)
	}
	if log := s.err.String(); !strings.Contains(log, `cause="signal: interrupt"`) {
		t.Errorf("the log does not say what ended it:\n%s", log)
	}
	status := receive(t, answered, "ended")
	if got := client.err.String(); status != exitFailed || !strings.HasPrefix(got, "sauron generate: UNAVAILABLE DRAINING: ") {
		t.Errorf("client: exit status %d, standard error:\n%s", status, got)
	}
}

func TestSecondSignalStopsNow(t *testing.T) {
	s := newSession()
	exit := s.begin(t, serveArgs("--drain-delay=1h", "--drain-timeout=1h")...)
	s.listening(t)
	s.interrupt(t)
	s.err.waitFor(t, "draining")
	s.interrupt(t)
	if status := receive(t, exit, "ended"); status != exitOK {
		t.Errorf("exit status %d, want %d", status, exitOK)
	}
}

func TestServeAddressInUse(t *testing.T) {
	var lc net.ListenConfig
	taken, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	address := taken.Addr().String()
	s := newSession()
	s.check(t, s.do(t, serveArgs("--listen="+address)...), exitFailed, "",
		"sauron serve: gRPC listener: listen tcp "+address+": bind: address already in use\n")
}

// What is configured is served, logged as JSON, and needs no examples.
func TestServeFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sauron.yaml")
	text := `
upstreams:
- {name: sim, type: sim, tokens: 2, inter_token: 0s}
- {name: vllm, type: openai, base_url: http://127.0.0.1:1/v1, retry: {tries: 1}}
routes:
- {model: fast, upstream: sim, defaults: {max_tokens: 1}}
- {model: hooked, upstream: sim, prepare: {address: "127.0.0.1:1"}}
- {model: remote, upstream: vllm, upstream_model: llama}
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newSession()
	exit := s.begin(t, serveArgs("--config", path, "--log-format=json")...)
	s.err.waitFor(t, `"msg":"serving"`)
	address := regexp.MustCompile(`"address":"([^"]+)"`).FindStringSubmatch(s.err.String())[1]
	for model, want := range map[string]string{
		"fast":   "",
		"remote": "sauron generate: UNAVAILABLE UPSTREAM_UNAVAILABLE: ",
		"other":  "sauron generate: NOT_FOUND MODEL_NOT_FOUND: ",
	} {
		client := newSession()
		status := client.do(t, "generate", "--address", address, "--model", model, "x")
		if got := client.err.String(); !strings.HasPrefix(got, want) || (status == exitOK) != (want == "") {
			t.Errorf("model %s: exit status %d, standard error:\n%s", model, status, got)
		}
		if words := len(strings.Fields(client.out.String())); model == "fast" && words != 1 {
			t.Errorf("model %s: %d words, want the default's 1:\n%s", model, words, client.out)
		}
	}
	s.interrupt(t)
	if status := receive(t, exit, "ended"); status != exitOK || strings.Contains(s.err.String(), "second terminal") {
		t.Errorf("exit status %d, standard error:\n%s", status, s.err)
	}
}

func TestExamples(t *testing.T) {
	tests := []struct {
		name, program, listen string
		want                  []string
		not                   string
	}{
		{"default", "./sauron", "127.0.0.1:50051", []string{
			`  ./sauron generate "Why`, `  ./sauron generate --count 20 "Why`, `  ./sauron generate --request-id demo "Why`, "./sauron cancel demo\n",
		}, "--address"},
		{"port", "sauron", "127.0.0.1:7", []string{"sauron generate --address 127.0.0.1:7 --count 20", "sauron cancel --address 127.0.0.1:7 demo\n"}, "50051"},
		{"any_host", "sauron", "[::]:7", []string{"--address 127.0.0.1:7 "}, "::"},
		{"any_host_default_port", "sauron", "0.0.0.0:50051", []string{"sauron generate \"Why"}, "--address"},
		{"space", "/my bin/it's", "127.0.0.1:50051", []string{`'/my bin/it'\''s' generate "Why`}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, err := net.ResolveTCPAddr("tcp", tt.listen)
			if err != nil {
				t.Fatal(err)
			}
			got := examples(tt.program, a)
			for _, want := range tt.want {
				if !strings.Contains(got, want) {
					t.Errorf("no %q in:\n%s", want, got)
				}
			}
			if tt.not != "" && strings.Contains(got, tt.not) {
				t.Errorf("%q in:\n%s", tt.not, got)
			}
		})
	}
}

// Every field of the server's configuration has its value from the field of the
// same name, but for those that a file or flag cannot hold.
func TestServerConfig(t *testing.T) {
	var cfg config.Config
	in := reflect.ValueOf(&cfg).Elem()
	for i := range in.NumField() {
		// Structs and lists have no field in the server's configuration.
		f := in.Field(i)
		if f.CanInt() {
			f.SetInt(int64(i) + 1000)
		}
		if f.Kind() == reflect.String {
			f.SetString(in.Type().Field(i).Name)
		}
		if f.Kind() == reflect.Bool {
			f.SetBool(true)
		}
	}
	out := serverConfig(&cfg, nil, nil)
	notSettings := map[string]bool{
		"Manager": true, "Routes": true, "Log": true, "Version": true, // server.Config
		"Encode": true, "OnGeneration": true, "OnAttempt": true, // manager.Config
	}
	for _, v := range []reflect.Value{reflect.ValueOf(out), reflect.ValueOf(out.Manager)} {
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			if notSettings[name] {
				continue
			}
			from := in.FieldByName(name)
			if !from.IsValid() {
				t.Errorf("%v.%s is no setting", v.Type(), name)
				continue
			}
			if got := v.Field(i); !got.Equal(from.Convert(got.Type())) {
				t.Errorf("%v.%s = %v, want %v", v.Type(), name, got, from)
			}
		}
	}
	if out.Version == "" {
		t.Error("no version")
	}
}
