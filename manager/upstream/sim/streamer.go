package sim

import (
	"context"
	"iter"

	"github.com/sauron-stream/sauron/manager"
	"github.com/sauron-stream/sauron/manager/event"
	"github.com/sauron-stream/sauron/manager/fault"
)

// A streamer gives one answer. It is immutable: every call of Stream runs the
// same stream from the start.
type streamer struct {
	upstream manager.Upstream
	cfg      Config // with the request's extension applied
	answer   answer
	refusal  *fault.Error // not nil: the request is refused
}

// Upstream returns the simulator's name and limit.
func (s *streamer) Upstream() manager.Upstream { return s.upstream }

// Stream yields the answer at its pace. If ctx ends, the error is its cause.
func (s *streamer) Stream(ctx context.Context) iter.Seq2[event.Event, error] {
	return func(yield func(event.Event, error) bool) {
		if s.refusal != nil {
			yield(event.Event{}, s.refusal)
			return
		}
		p := newPace(s.cfg.FirstToken, s.cfg.InterToken)
		defer p.stop()

		n, faulty := s.cfg.Fault.limit(s.answer.tokens)
		for i, e := range s.answer.all() {
			if i == n {
				break
			}
			if err := p.wait(ctx, i); err != nil {
				yield(event.Event{}, err)
				return
			}
			if !yield(e, nil) {
				return
			}
		}
		if faulty {
			yield(event.Event{}, s.fail(ctx, p, n))
			return
		}
		// The end needs no time of its own, but an answer without a token takes
		// as long as its first would have.
		if err := p.wait(ctx, max(n-1, 0)); err != nil {
			yield(event.Event{}, err)
			return
		}
		for _, e := range s.answer.end() {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// fail waits for the fault, which comes in the place of token n, and returns what
// the stream fails with.
func (s *streamer) fail(ctx context.Context, p *pace, n int) error {
	if s.cfg.Fault.Kind == FaultStall {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	if err := p.wait(ctx, n); err != nil {
		return err
	}
	return s.cfg.Fault.failure()
}
