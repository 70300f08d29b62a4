// Package upstream is an LLM server as OpenAI's chat completions have it, whose
// answers are marks. It is what every design reads from.
package upstream

import (
	"context"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sauron-stream/sauron/cmd/bench/clock"
)

// An Upstream answers requests. It is an http.Handler, safe for concurrent use. Use
// New.
type Upstream struct {
	cfg     Config
	clock   clock.Clock
	reached chan struct{} // closed when the expected number of requests is there

	streams atomic.Int64
	tokens  atomic.Int64

	once sync.Once
	gate chan struct{} // closed when the answers begin
	open time.Time     // set when gate is closed
}

// New returns an Upstream.
func New(cfg Config, c clock.Clock) *Upstream {
	return &Upstream{cfg: cfg, clock: c, reached: make(chan struct{}), gate: make(chan struct{})}
}

// Open lets the answers begin.
func (u *Upstream) Open() {
	u.once.Do(func() {
		u.open = time.Now()
		close(u.gate)
	})
}

// Reached is closed when as many requests came as are expected.
func (u *Upstream) Reached() <-chan struct{} { return u.reached }

// Stats returns what was answered so far.
func (u *Upstream) Stats() Stats {
	return Stats{
		Streams: u.streams.Load(),
		Tokens:  u.tokens.Load(),
	}
}

// Stats count what an upstream has answered, warm-ups left out.
type Stats struct {
	Streams int64 // requests
	Tokens  int64 // chunks with text
}

// ServeHTTP implements http.Handler.
func (u *Upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	generation, ok := generationOf(body)
	if err != nil || !ok || r.URL.Path != "/v1/chat/completions" {
		http.Error(w, "not a request of the bench", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	a := &answer{w: w, control: http.NewResponseController(w), clock: u.clock, generation: generation}
	if a.head() != nil {
		return // the reader has gone, here and below
	}
	if generation == WarmUp {
		if a.token(1) == nil {
			_ = a.finish(1)
		}
		return
	}
	arrival := u.streams.Add(1)
	if arrival == int64(u.cfg.Expect) {
		close(u.reached)
	}
	start := time.Now()
	if u.cfg.Gated {
		select {
		case <-u.gate:
		case <-r.Context().Done():
			return
		}
		// Streams that begin together spread over one interval, as independent ones do.
		start = u.open.Add(time.Duration(arrival-1) * u.cfg.Interval / time.Duration(max(1, u.cfg.Expect)))
	}
	u.pace(r.Context(), a, start)
}

// pace writes the chunks of one answer, each at its time. What is late is written at
// once, one write for each chunk.
func (u *Upstream) pace(ctx context.Context, a *answer, start time.Time) {
	timer := time.NewTimer(time.Until(start))
	defer timer.Stop()
	for sequence := range u.cfg.Tokens {
		due := start.Add(time.Duration(sequence) * u.cfg.Interval)
		if wait := time.Until(due); wait > 0 {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
				return
			}
		}
		if a.token(uint32(sequence)+1) != nil {
			return
		}
		u.tokens.Add(1)
	}
	_ = a.finish(u.cfg.Tokens) // the reader may have gone
}
