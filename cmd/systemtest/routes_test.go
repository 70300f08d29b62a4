package systemtest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// Routes lead where the file says, under the upstream's own name of the model, with
// the route's defaults below what the request says. The key and the headers of an
// upstream arrive there, and nowhere else.
func TestRoutes(t *testing.T) {
	t.Parallel()
	keyed, plain := steered(t), steered(t)
	seen := make(chan string, 1) // one call of the hook at a time
	h := newHook(t, func(call hookCall) (*sauronv1.GenerateRequest, error) {
		seen <- call.req.String()
		return call.req.GetRequest(), nil
	})
	s := settings{
		env: []string{"KEYED_API_KEY=" + keySecret},
		file: `
upstreams:
- name: keyed
  type: openai
  base_url: ` + keyed.base() + `
  api_key_env: KEYED_API_KEY
  headers: {X-Team: ` + wordSecret + `, Host: models.example}
- {name: plain, type: openai, base_url: "` + plain.base() + `"}
routes:
- {model: exact, upstream: keyed, upstream_model: org/exact-8b, defaults: {temperature: 0.2, max_tokens: 512, stop: [END]}}
- {model: hooked, upstream: keyed, prepare: {address: "` + h.address + `"}}
- {model: alone, upstream: plain, coalescing: off}
- {model: "*", upstream: plain}
`,
	}.serve(t)
	client := s.client(t)
	generate := func(model string, sampling *sauronv1.Sampling, up *upstream) *exchange {
		t.Helper()
		req := ask("", promptSecret)
		req.Model, req.Sampling = model, sampling
		got := begin(t, client, req)
		x := up.next(t)
		x.answer("done")
		got.wantCompleted(t, "done")
		return x
	}
	members := func(x *exchange, want map[string]any) {
		t.Helper()
		for name, v := range want {
			if got := x.member(name); got != v {
				t.Errorf("%s is %v, want %v", name, got, v)
			}
		}
	}
	withKey := func(x *exchange) {
		t.Helper()
		if x.header.Get("Authorization") != "Bearer "+keySecret || x.header.Get("X-Team") != wordSecret || x.host != "models.example" {
			t.Errorf("host %s, headers %v", x.host, x.header)
		}
	}

	x := generate("exact", nil, keyed)
	members(x, map[string]any{"model": "org/exact-8b", "temperature": 0.2, "max_tokens": 512.0})
	withKey(x)
	x = generate("exact", &sauronv1.Sampling{Temperature: new(0.0)}, keyed)
	members(x, map[string]any{"temperature": 0.0, "max_tokens": 512.0})
	x = generate("hooked", nil, keyed)
	members(x, map[string]any{"model": "hooked", "temperature": nil})
	withKey(x)
	if got := receive(t, seen, "call of the hook"); strings.Contains(got, keySecret) || strings.Contains(got, wordSecret) {
		t.Errorf("the hook was told %s", got)
	}
	x = generate("other", nil, plain)
	members(x, map[string]any{"model": "other", "temperature": nil})
	for name, values := range x.header {
		wantNoSecrets(t, "header "+name, strings.Join(values, " "))
	}
	page, err := s.metrics(t.Context())
	if err != nil {
		t.Error(err)
	}
	wantNoSecrets(t, "the metrics", page)

	// A route that does not share: two equal requests are two generations.
	alone := ask("", "A")
	alone.Model = "alone"
	first, second := begin(t, client, alone), begin(t, client, alone)
	plain.next(t).answer("x")
	plain.next(t).answer("x")
	first.wantCompleted(t, "x")
	second.wantCompleted(t, "x")
}

// The example hook, as a process beside the service: its text reaches the upstream,
// an edit counts from the next generation on, and without it preparing fails.
func TestExampleHook(t *testing.T) {
	t.Parallel()
	file := write(t, "system.txt", "Be brief.")
	p := start(t, []string{quickExit}, programs.hook, "--listen", "127.0.0.1:0", "--file", file)
	address := p.stderr.match(t, `msg=listening address=(\S+)`)[1]
	up := steered(t)
	s := settings{file: hooked(up, address)}.serve(t)
	client := s.client(t)
	for _, text := range []string{"Be brief.", "Be long."} {
		if err := os.WriteFile(filepath.Clean(file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got := begin(t, client, ask("", text))
		x := up.next(t)
		messages, _ := x.member("messages").([]any)
		first, _ := messages[0].(map[string]any)
		if len(messages) != 2 || first["role"] != "system" || first["content"] != text {
			t.Errorf("the upstream was asked %v, want a system message of %q first", messages, text)
		}
		x.answer("done")
		got.wantCompleted(t, "done")
	}
	p.signal(t, os.Interrupt)
	if status := p.exit(t); status != 0 {
		t.Errorf("the hook ended with status %d", status)
	}
	got := open(patient(t), client, ask("", "C")).all()
	wantStatus(t, got.err, prepareFailed(codes.Unavailable))
}
