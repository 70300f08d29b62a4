package client

import (
	"time"

	"github.com/cenkalti/backoff/v5"
)

// The waits between two tries. They are random by half, so that callers who lost their
// connections together, or were refused together, do not come back together, and stay
// well below the 10 s for which a server keeps what was lost.
const (
	firstWait   = 100 * time.Millisecond
	longestWait = 2 * time.Second
	waitFactor  = 2
)

// patience says how long to wait before the next try, and when to give up.
type patience struct {
	budget time.Duration
	waits  *backoff.ExponentialBackOff
	since  time.Time // of the last progress
}

func newPatience(budget time.Duration) *patience {
	p := &patience{budget: budget, waits: &backoff.ExponentialBackOff{
		InitialInterval: firstWait, MaxInterval: longestWait, Multiplier: waitFactor, RandomizationFactor: 0.5,
	}}
	p.progress()
	return p
}

// progress says that something new has come.
func (p *patience) progress() {
	p.since = time.Now()
	p.waits.Reset()
}

// left returns what is left of the budget.
func (p *patience) left() time.Duration { return p.budget - time.Since(p.since) }

// next returns the time to wait, on top of what the server asked for. It reports
// whether the budget allows it.
func (p *patience) next(asked time.Duration) (time.Duration, bool) {
	wait := asked + p.waits.NextBackOff()
	return wait, wait <= p.left()
}
