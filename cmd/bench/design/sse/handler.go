// Package sse shares one upstream stream over server-sent events by net/http, with a
// flush for each event, as most gateways do. It keeps a log, so it drops nothing, and
// encodes each event once.
package sse

import (
	"context"
	"io"
	"net/http"
	"sync"

	"github.com/sauron-stream/sauron/cmd/bench/design/llm"
	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// A Handler answers a POST whose body is the prompt. It is safe for concurrent use.
// Use New.
type Handler struct {
	// Set by New, then read-only.
	ctx    context.Context // of the answers: no caller's
	client *llm.Client

	mu   sync.Mutex // guards the fields below
	live map[string]*answer
}

// New returns a Handler whose answers end with ctx.
func New(ctx context.Context, client *llm.Client) *Handler {
	return &Handler{ctx: ctx, client: client, live: make(map[string]*answer)}
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	prompt, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	a := h.join(string(prompt))
	control := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	if control.Flush() != nil {
		return // the client has gone, here and below
	}
	for next := 0; ; {
		events, ended, changed := a.read(next)
		for _, e := range events {
			if _, err := w.Write(e); err != nil {
				return
			}
			if control.Flush() != nil {
				return
			}
		}
		next += len(events)
		if ended {
			return
		}
		if len(events) > 0 {
			continue
		}
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
	}
}

// join returns the answer to equal prompts.
func (h *Handler) join(prompt string) *answer {
	h.mu.Lock()
	defer h.mu.Unlock()
	if a := h.live[prompt]; a != nil {
		return a
	}
	a := newAnswer()
	h.live[prompt] = a
	req := &sauronv1.GenerateRequest{
		Model:    "bench",
		Messages: []*sauronv1.Message{{Role: sauronv1.Role_ROLE_USER, Content: prompt}},
	}
	go func() {
		a.run(h.client.Prepare(req).Stream(h.ctx))
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.live, prompt)
	}()
	return a
}
