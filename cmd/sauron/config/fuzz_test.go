package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sauron-stream/sauron/cmd/sauron/config"
)

// Whatever the file holds, it makes a configuration that can be served, or one
// line that names the file.
func FuzzFile(f *testing.F) {
	for _, seed := range []string{
		wholeFile, "", "a: [", "listen: &a :1\nadmin_listen: *a\n", "routes: &a [*a]\nupstreams: *a\n",
		"upstreams: [{name: a, type: sim, fault: {kind: stall}}]\nroutes: [{model: m, upstream: a}]\n",
		"? {a: b}\n: c\n", "max_log_bytes: !!binary aGVsbG8=\n", "--- |\n a\n...\n---\n", "\xff\xfe-\x00", "&a : *a\n",
		"upstreams: &u\n- name: a\n  type: openai\n  base_url: http://x/v1\n  headers: &h {a: b, *h : c}\nroutes: *u\n",
	} {
		f.Add([]byte(seed))
	}
	path := filepath.Join(f.TempDir(), "sauron.yaml")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := config.Load([]string{"--config", path}, environment{"VLLM_API_KEY": "vllm-secret"}.lookup)
		if err != nil {
			if !strings.HasPrefix(err.Error(), path+":") || strings.ContainsAny(err.Error(), "\r\n") {
				t.Fatalf("error is not one line with the file: %q", err)
			}
			return
		}
		checkServable(t, cfg)
	})
}

// checkServable checks what the fields of Config promise.
func checkServable(t *testing.T, cfg *config.Config) {
	t.Helper()
	names, models := map[string]bool{}, map[string]bool{}
	for _, u := range cfg.Upstreams {
		if u.Name == "" || names[u.Name] || (u.OpenAI == nil) == (u.Sim == nil) || u.MaxStreams < 0 {
			t.Errorf("bad upstream %+v", u)
		}
		names[u.Name] = true
		if u.OpenAI != nil && (u.OpenAI.BaseURL == "" || u.OpenAI.Tries < 1 || u.OpenAI.Within < 0) {
			t.Errorf("bad upstream %+v", *u.OpenAI)
		}
		if u.Sim != nil && (u.Sim.Tokens < 1 || u.Sim.FirstToken < 0 || u.Sim.InterToken < 0) {
			t.Errorf("bad simulator %+v", *u.Sim)
		}
	}
	for _, r := range cfg.Routes {
		if r.Model == "" || models[r.Model] || !names[r.Upstream] {
			t.Errorf("bad route %+v", r)
		}
		models[r.Model] = true
		if r.Prepare != nil && (r.Prepare.Address == "" || r.Prepare.Timeout <= 0) {
			t.Errorf("bad hook %+v", *r.Prepare)
		}
	}
	if len(names) == 0 || len(models) == 0 {
		t.Error("nothing to serve")
	}
	if cfg.MaxConcurrentRequests < 1 || cfg.MaxConcurrentLLMStreams < 1 || cfg.MaxRequestBytes < 1 || cfg.MaxLogBytes < 1 {
		t.Errorf("bad limits %+v", *cfg)
	}
}
