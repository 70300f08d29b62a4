package client

import (
	"time"

	"github.com/cenkalti/backoff/v5"
)

// The waits between two tries. Half of each is random, so that callers who lost their
// connections together do not come back together.
const (
	firstWait   = 100 * time.Millisecond
	longestWait = 5 * time.Second
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

// next returns the time to wait, at least what the server asked for. It reports
// whether the budget allows it.
func (p *patience) next(atLeast time.Duration) (time.Duration, bool) {
	wait := max(p.waits.NextBackOff(), atLeast)
	return wait, time.Since(p.since)+wait <= p.budget
}
