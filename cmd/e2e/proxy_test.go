package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

const (
	fakeBody   = `{"model":"m","messages":[{"role":"system","content":"s"},{"role":"user","content":"why?"}]}`
	fakeStream = ": ping\n\n" +
		"data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"be\"}}]}\r\n\r\n" +
		"data:{\"choices\":[{\"delta\":{\"content\":\"cause ü\"}}]}\n\n" +
		"data: {\"choices\":[],\"usage\":{\"completion_tokens\":3}}\n\n" +
		"data: [DONE]\n\n"
)

// TestAnswer verifies that an answer is the same however its bytes are split.
func TestAnswer(t *testing.T) {
	for size := 1; size <= len(fakeStream); size++ {
		var a answer
		for rest := fakeStream; rest != ""; {
			n := min(size, len(rest))
			_, _ = io.WriteString(&a, rest[:n])
			rest = rest[n:]
		}
		if a.text != "because ü" || a.chunks != 3 || a.tokens != 3 || !a.done {
			t.Fatalf("in pieces of %d: %+v", size, a)
		}
	}
}

// TestWitness verifies what is noted of a whole exchange, of one whose reader
// leaves, and that nothing else is noted.
func TestWitness(t *testing.T) {
	hold := make(chan struct{})
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.URL.Path != chatPath || string(body) != fakeBody {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		half := len(fakeStream) / 2
		_, _ = io.WriteString(w, fakeStream[:half])
		w.(http.Flusher).Flush()
		if r.Header.Get("Hold") != "" {
			select {
			case <-hold:
			case <-r.Context().Done():
			}
			return
		}
		_, _ = io.WriteString(w, fakeStream[half:])
	}))
	defer upstream.Close()
	defer close(hold)
	target, err := url.Parse(upstream.URL)
	if err != nil {
		t.Fatal(err)
	}
	w, err := newWitness(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()

	got, err := ask(t.Context(), w.url, []byte(fakeBody))
	if err != nil || got.text != "because ü" || !got.done {
		t.Fatalf("through the proxy: %+v, %v", got, err)
	}
	if _, err := get(t.Context(), w.url.JoinPath("v1", "models")); err == nil {
		t.Error("the upstream's 404 did not come through")
	}

	ctx, leave := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url.JoinPath(chatPath).String(), strings.NewReader(fakeBody))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Hold", "yes")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := resp.Body.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	leave()
	_ = resp.Body.Close()
	seen := w.exchanges()
	if len(seen) != 2 {
		t.Fatalf("%d exchanges, want 2", len(seen))
	}
	whole := seen[0]
	if whole.question != "why?" || string(whole.body) != fakeBody {
		t.Errorf("question %q, body %q", whole.question, whole.body)
	}
	if whole.cut || whole.answer.text != "because ü" || whole.answer.tokens != 3 {
		t.Errorf("whole exchange: %+v", whole)
	}
	tick := time.NewTicker(time.Millisecond) // it is noted when the proxy sees the connection end
	defer tick.Stop()
	for deadline := time.Now().Add(5 * time.Second); !w.exchanges()[1].cut; <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not noted as cut: %+v", w.exchanges()[1])
		}
	}
}
