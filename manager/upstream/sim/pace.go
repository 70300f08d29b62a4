package sim

import (
	"context"
	"time"
)

// A pace is the schedule of one stream, owned by its goroutine. It is absolute:
// what makes one token late does not move the others.
type pace struct {
	start        time.Time
	first, inter time.Duration
	timer        *time.Timer // nil before the first wait that takes time
}

// newPace returns the schedule of a stream that starts now.
func newPace(first, inter time.Duration) *pace {
	return &pace{start: time.Now(), first: first, inter: inter}
}

// wait blocks until token i is due. If ctx has ended by then, it returns its
// cause, also if the token is due just as well.
func (p *pace) wait(ctx context.Context, i int) error {
	due := p.start.Add(p.first + time.Duration(i)*p.inter)
	if d := time.Until(due); d > 0 {
		if p.timer == nil {
			p.timer = time.NewTimer(d)
		} else {
			p.timer.Reset(d)
		}
		select {
		case <-p.timer.C:
		case <-ctx.Done():
		}
	}
	return context.Cause(ctx)
}

// stop releases the timer.
func (p *pace) stop() {
	if p.timer != nil {
		p.timer.Stop()
	}
}
