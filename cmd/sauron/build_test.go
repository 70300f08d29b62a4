package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sauron-stream/sauron/cmd/sauron/config"
	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
	"github.com/sauron-stream/sauron/manager"
	"github.com/sauron-stream/sauron/manager/fault"
	"github.com/sauron-stream/sauron/manager/prepare"
	"github.com/sauron-stream/sauron/manager/upstream/sim"
)

// prepared returns what the route of model leads to for the simplest request.
func prepared(t *testing.T, b *backends, model string) (*prepare.Route, manager.Streamer, error) {
	t.Helper()
	route, ok := b.routes.Resolve(model)
	if !ok {
		t.Fatalf("no route for %s", model)
	}
	req := &sauronv1.GenerateRequest{Model: model, Messages: []*sauronv1.Message{{Role: sauronv1.Role_ROLE_USER, Content: "x"}}}
	streamer, err := route.Preparer("default", req).Prepare(t.Context(), "g1")
	return route, streamer, err
}

// build returns the backends of cfg, closed when the test ends.
func build(t *testing.T, cfg *config.Config) *backends {
	t.Helper()
	b, err := newBackends(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return b
}

// All that is configured of an OpenAI-compatible server is seen by it.
func TestOpenAIBackend(t *testing.T) {
	var header http.Header
	var body struct{ Model string }
	attempts := 0
	llm := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		attempts++
		header = r.Header
		text, err := io.ReadAll(r.Body)
		if err == nil {
			err = json.Unmarshal(text, &body)
		}
		if err != nil || r.URL.Path != "/v1/chat/completions" {
			t.Errorf("path %s, body %s: %v", r.URL.Path, text, err)
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	t.Cleanup(llm.Close)
	for tries, wantRetry := range map[int]bool{1: false, 2: true} {
		b := build(t, &config.Config{
			Upstreams: []config.Upstream{{Name: "vllm", MaxStreams: 3, OpenAI: &config.OpenAI{
				BaseURL: llm.URL + "/v1", APIKey: config.NewSecret("sk-1"), Headers: map[string]string{"X-Team": "search"},
				Tries: tries, Within: time.Minute,
			}}},
			Routes: []config.Route{{Model: "m", Upstream: "vllm", UpstreamModel: "llama", Coalesce: true, ReplayWindow: time.Hour}},
		})
		route, streamer, err := prepared(t, b, "m")
		if err != nil {
			t.Fatal(err)
		}
		if want := (manager.Upstream{Name: "vllm", MaxStreams: 3}); streamer.Upstream() != want || !route.Coalesce() || route.ReplayWindow() != time.Hour {
			t.Errorf("upstream %+v, shared %t, window %v, want %+v, shared, 1h", streamer.Upstream(), route.Coalesce(), route.ReplayWindow(), want)
		}
		_, retry := errors.AsType[*fault.Retry](streamError(t.Context(), streamer))
		if retry != wantRetry {
			t.Errorf("%d tries: another one %t, want %t", tries, retry, wantRetry)
		}
	}
	if attempts != 2 || header.Get("Authorization") != "Bearer sk-1" || header.Get("X-Team") != "search" || body.Model != "llama" {
		t.Errorf("%d requests, header %v, model %q", attempts, header, body.Model)
	}
}

// streamError returns what one attempt ends with.
func streamError(ctx context.Context, s manager.Streamer) error {
	for _, err := range s.Stream(ctx) {
		if err != nil {
			return err
		}
	}
	return nil
}

func TestSimBackend(t *testing.T) {
	b := build(t, &config.Config{
		Upstreams: []config.Upstream{{Name: "sim", MaxStreams: 2, Sim: &config.Sim{Tokens: 1, Fault: sim.Fault{Kind: sim.FaultRateLimit}}}},
		Routes:    []config.Route{{Model: "m", Upstream: "sim"}},
	})
	route, streamer, err := prepared(t, b, "m")
	if err != nil {
		t.Fatal(err)
	}
	if want := (manager.Upstream{Name: "sim", MaxStreams: 2}); streamer.Upstream() != want || route.Coalesce() {
		t.Errorf("upstream %+v, shared %t, want %+v, not shared", streamer.Upstream(), route.Coalesce(), want)
	}
	f, ok := errors.AsType[*fault.Error](streamError(t.Context(), streamer))
	if !ok || f.Reason != fault.UpstreamRateLimited {
		t.Errorf("the stream ended with %v, want the configured fault", f)
	}
}

// The hook of a route is called: here, nobody is there.
func TestHook(t *testing.T) {
	b := build(t, &config.Config{
		Upstreams: []config.Upstream{{Name: "sim", Sim: &config.Sim{Tokens: 1}}},
		Routes: []config.Route{
			{Model: "m", Upstream: "sim", Prepare: &config.Hook{Address: "127.0.0.1:1", Timeout: time.Millisecond}},
		},
	})
	_, _, err := prepared(t, b, "m")
	if f, ok := errors.AsType[*fault.Error](err); !ok || f.Reason != fault.PrepareFailed {
		t.Errorf("Prepare = %v, want %s", err, fault.PrepareFailed)
	}
}

// What the configuration lets through by mistake is still refused, and what was
// made before is let go.
func TestBadBackends(t *testing.T) {
	openai := config.Upstream{Name: "a", OpenAI: &config.OpenAI{BaseURL: "http://127.0.0.1:1/v1"}}
	for name, cfg := range map[string]*config.Config{
		"openai": {Upstreams: []config.Upstream{openai, {Name: "b", OpenAI: &config.OpenAI{BaseURL: "ftp://x"}}}},
		"sim":    {Upstreams: []config.Upstream{openai, {Name: "b", Sim: &config.Sim{Tokens: -1}}}},
		"routes": {Upstreams: []config.Upstream{openai}, Routes: []config.Route{{Model: "m", Upstream: "nobody"}}},
	} {
		if b, err := newBackends(cfg, slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%s: no error", name)
			_ = b.close()
		}
	}
}

func TestLogger(t *testing.T) {
	var out strings.Builder
	log := newLogger(&out, &config.Config{LogLevel: slog.LevelWarn, LogFormat: config.LogJSON})
	log.InfoContext(t.Context(), "quiet")
	log.WarnContext(t.Context(), "loud")
	if got := out.String(); strings.Contains(got, "quiet") || !strings.Contains(got, `"msg":"loud"`) {
		t.Errorf("log:\n%s", got)
	}
}
