package openai

import (
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/sauron-stream/sauron/manager/fault"
)

// The waits between attempts: 250 ms, 500 ms, ... up to 10 s, each half less to
// half more, so that generations that failed together do not come back together.
const (
	firstWait = 250 * time.Millisecond
	lastWait  = 10 * time.Second
)

// retries decides whether an attempt is repeated. It is made for one generation
// and used by one goroutine.
type retries struct {
	tries  int           // attempts in all
	within time.Duration // from the start of the first to that of the last

	made  int
	since time.Time // the start of the first attempt
	waits *backoff.ExponentialBackOff
}

// begin counts an attempt.
func (r *retries) begin() {
	if r.made == 0 {
		r.since = time.Now()
		r.waits = backoff.NewExponentialBackOff()
		r.waits.InitialInterval, r.waits.MaxInterval = firstWait, lastWait
		r.waits.Multiplier = 2
	}
	r.made++
}

// judge returns what the stream ends with after the failed attempt f: a
// *fault.Retry, or the failure itself.
func (r *retries) judge(f *failure) error {
	if !f.again || r.made >= r.tries {
		return f.fault
	}
	wait := max(r.waits.NextBackOff(), f.after)
	if time.Since(r.since)+wait > r.within {
		return f.fault
	}
	return &fault.Retry{After: wait, Err: f.fault}
}
