package load

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sauron-stream/sauron/cmd/bench/clock"
)

// Run asks for everything, calls opened when all answers have begun, and returns what
// came when all have ended or the limit was over.
func Run(ctx context.Context, spec Spec, c clock.Clock, opened func() error) (Result, error) {
	if spec.Protocol == GRPCStub {
		return runStub(ctx, spec, c, opened)
	}
	l, err := newLoop(spec, c)
	if err != nil {
		return Result{}, err
	}
	result, err := l.whole(ctx, opened)
	return result, errors.Join(err, l.close())
}

// whole runs the loop to the end of all streams.
func (l *loop) whole(ctx context.Context, opened func() error) (Result, error) {
	limited, cancel := context.WithTimeout(ctx, l.spec.Limit)
	defer cancel()
	if err := l.run(limited, l.opened); err != nil {
		return Result{}, fmt.Errorf("%d of %d answers have begun: %w%s", l.begun(), l.spec.Streams, err, l.why())
	}
	if err := opened(); err != nil {
		return Result{}, err
	}
	cutOff, cancel := context.WithTimeout(ctx, l.spec.Limit)
	defer cancel()
	if err := l.run(cutOff, l.ended); err != nil && ctx.Err() == nil && !errors.Is(err, context.DeadlineExceeded) {
		return Result{}, err
	}
	return l.tally.result(), ctx.Err()
}

func (l *loop) why() string {
	if l.tally.why == "" {
		return ""
	}
	return " (" + l.tally.why + ")"
}

func (l *loop) begun() (n int) {
	for _, s := range l.tally.streams {
		if s.opened || s.ended {
			n++
		}
	}
	return n
}

// opened reports whether every answer has begun.
func (l *loop) opened() bool { return l.begun() == l.spec.Streams }

// ended reports whether every answer has ended that can.
func (l *loop) ended() bool {
	for i := len(l.tally.streams) - 1; i >= 0; i-- { // the last are the last to end
		if s := l.tally.streams[i]; !s.ended && !s.stuck {
			return false
		}
	}
	return true
}

// WarmUp returns spec made into one request that is answered at once.
func WarmUp(spec Spec, generation int) Spec {
	spec.Streams, spec.Conns, spec.Generations, spec.First, spec.Tokens, spec.Stuck = 1, 0, 1, generation, 1, 0
	spec.Ramp, spec.Limit = 0, 10*time.Second
	return spec
}
