package openai_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
	"github.com/sauron-stream/sauron/manager"
	"github.com/sauron-stream/sauron/manager/event"
	"github.com/sauron-stream/sauron/manager/fault"
	"github.com/sauron-stream/sauron/manager/upstream/openai"
)

// mustHappen bounds what has to happen in real time; a test that needs it fails.
const mustHappen = 10 * time.Second

// secret stands in every prompt and every key of these tests: no error may hold it.
const secret = "s3cr3t"

// serve returns the base URL of a server with that handler.
func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s.URL + "/v1"
}

// config returns the configuration of an upstream at that base URL, without retries.
func config(baseURL string) openai.Config {
	return openai.Config{Name: "up", BaseURL: baseURL, APIKey: secret}
}

// newUpstream returns an upstream that is closed with the test.
func newUpstream(t *testing.T, cfg openai.Config) *openai.Upstream {
	t.Helper()
	u, err := openai.New(cfg)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	t.Cleanup(u.Close)
	return u
}

// request returns a small request.
func request() *sauronv1.GenerateRequest {
	return &sauronv1.GenerateRequest{Messages: []*sauronv1.Message{
		{Role: sauronv1.Role_ROLE_USER, Content: "Say " + secret + "."},
	}}
}

// ask returns what one attempt against baseURL yields, as lines.
func ask(t *testing.T, baseURL string) []string {
	t.Helper()
	return collect(t.Context(), t, newUpstream(t, config(baseURL)).Streamer(request(), "m"))
}

// collect returns what one attempt yields, as lines, and checks what holds for all
// attempts.
func collect(ctx context.Context, t *testing.T, s manager.Streamer) []string {
	t.Helper()
	var lines []string
	ended := false
	for e, err := range s.Stream(ctx) {
		if ended {
			t.Errorf("something came after the end: %v %v", e, err)
		}
		ended = err != nil || e.Kind == event.KindFinished
		if err != nil {
			checkError(t, err)
			lines = append(lines, errorLine(err))
			continue
		}
		lines = append(lines, eventLine(e))
	}
	if !ended {
		t.Errorf("the stream has no end: %q", lines)
	}
	return lines
}

// checkError fails if an error holds what it must not.
func checkError(t *testing.T, err error) {
	t.Helper()
	if strings.Contains(err.Error(), secret) {
		t.Errorf("the error holds a prompt, a key or upstream text: %v", err)
	}
	if f, ok := errors.AsType[*fault.Error](err); ok {
		for k, v := range f.Metadata {
			if strings.Contains(k+v, secret) {
				t.Errorf("the metadata holds a prompt, a key or upstream text: %v", f.Metadata)
			}
		}
	}
}

// eventLine writes an event as the .want files of testdata do.
func eventLine(e event.Event) string {
	switch e.Kind {
	case event.KindAlive:
		return "alive"
	case event.KindText:
		return "text " + quoted(e.Text)
	case event.KindReasoning:
		return "reasoning " + quoted(e.Text)
	case event.KindRefusal:
		return "refusal " + quoted(e.Text)
	case event.KindExtension:
		return "extension " + e.Text
	case event.KindToolCall:
		line := fmt.Sprintf("tool %d", e.ToolCall.Index)
		if e.ToolCall.ID != "" {
			line += " id=" + quoted(e.ToolCall.ID)
		}
		if e.ToolCall.Name != "" {
			line += " name=" + quoted(e.ToolCall.Name)
		}
		if e.ToolCall.Arguments != "" {
			line += " arguments=" + quoted(e.ToolCall.Arguments)
		}
		return line
	case event.KindUsage:
		u := e.Usage
		return fmt.Sprintf("usage prompt=%d completion=%d cached=%d reasoning=%d", u.Prompt, u.Completion, u.Cached, u.Reasoning)
	case event.KindFinished:
		reasons := []string{"other", "stop", "length", "tool_calls", "content_filter"}
		f := e.Finish
		return fmt.Sprintf("finished %s %q model=%q id=%q fingerprint=%q", reasons[f.Reason], f.Raw, f.Model, f.ResponseID, f.Fingerprint)
	case event.KindStage:
	}
	return fmt.Sprintf("unexpected %+v", e)
}

// quoted quotes a text; a long one of one letter is abbreviated.
func quoted(text string) string {
	if len(text) > 200 && strings.Count(text, text[:1]) == len(text) {
		return fmt.Sprintf("%d times %q", len(text), text[:1])
	}
	return fmt.Sprintf("%q", text)
}

// errorLine writes what callers would be told of an error.
func errorLine(err error) string {
	if r, ok := errors.AsType[*fault.Retry](err); ok {
		return "retry " + errorLine(r.Err)
	}
	f, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return "error " + err.Error()
	}
	var line strings.Builder
	line.WriteString("fault " + string(f.Reason))
	for _, key := range slices.Sorted(maps.Keys(f.Metadata)) {
		line.WriteString(" " + key + "=" + f.Metadata[key])
	}
	if f.RetryAfter != 0 {
		line.WriteString(" retry_after=" + f.RetryAfter.String())
	}
	return line.String()
}

// check fails if the lines differ.
func check(t *testing.T, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// The chunks and ends that most streams of these tests are made of.
const (
	hello  = `data: {"id":"i","model":"m","choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":null}]}` + "\n\n"
	stop   = `data: {"id":"i","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\n"
	counts = `data: {"id":"i","model":"m","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}}` + "\n\n"
	done   = "data: [DONE]\n\n"

	finished = `finished stop "stop" model="m" id="i" fingerprint=""`
	usage    = "usage prompt=3 completion=1 cached=0 reasoning=0"
)

// delta returns a chunk with that delta.
func delta(members string) string {
	return `data: {"id":"i","model":"m","choices":[{"index":0,"delta":{` + members + `},"finish_reason":null}]}` + "\n\n"
}

// stream answers with an event stream, flushed in those pieces.
func stream(pieces ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		write(w, pieces...)
	}
}

// write sends pieces, each in a write of its own.
func write(w http.ResponseWriter, pieces ...string) {
	for _, piece := range pieces {
		_, _ = w.Write([]byte(piece))
		_ = http.NewResponseController(w).Flush()
	}
}
