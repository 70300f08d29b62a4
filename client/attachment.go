package client

import (
	"cmp"
	"context"
	"errors"
	"io"
	"math"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// overtakenTimeout is how long a request that the server does not know yet may be on
// its way there.
const overtakenTimeout = time.Second

// lastWords is how long the status of an answer that is whole may take.
const lastWords = time.Second

// errSilent is why a call is dropped that nobody has answered within the budget, or that
// goes on after its end.
var errSilent = status.Error(codes.Unavailable, "client: no answer within the budget")

// An attachment is one stream of a generation, from its call to its end. The goroutine
// that iterates runs it; leave runs in another, while that one reads.
type attachment struct {
	// Set at construction and read-only.
	g      *generation // which leave has cancel by id, and nothing else
	ctx    context.Context
	call   context.Context // outlives ctx until the request is cancelled: a stream that is only dropped leaves a lease
	drop   func(cause error)
	giveUp *time.Timer // drops the call, for errSilent
	stop   func() bool // keeps leave from running

	// Safe by themselves.
	begun chan struct{} // closed when the server has answered, or can't any more
	over  chan struct{} // closed when nobody reads any more
	left  chan struct{} // closed when leave has run

	// Owned by the iterating goroutine.
	since  time.Time // of the server's answer; zero: there was none
	unread bool      // events came that were not all taken
	unsent bool      // the request could not be put on the wire

	// Written by leave, and readable when left is closed.
	cause error // what the iteration ends with
}

// attach prepares a stream. The caller must run it.
func (g *generation) attach(ctx context.Context, patience *patience) *attachment {
	call, release := context.WithoutCancel(ctx), context.CancelFunc(func() {})
	if deadline, ok := ctx.Deadline(); ok {
		call, release = context.WithDeadline(call, deadline)
	}
	call, drop := context.WithCancelCause(call)
	a := &attachment{
		g: g, ctx: ctx, call: call, drop: func(cause error) { drop(cause); release() },
		begun: make(chan struct{}), over: make(chan struct{}), left: make(chan struct{}),
	}
	limit := patience.left()
	if g.client.budget == 0 {
		limit = math.MaxInt64 // there is but one try, as long as it takes
	}
	a.giveUp = time.AfterFunc(limit, func() { a.drop(errSilent) })
	a.stop = context.AfterFunc(ctx, a.leave)
	return a
}

// run yields what is new, to the end of the stream, and says what follows from that.
// Nothing is left of the stream then, also after a panic of the loop's body.
func (a *attachment) run() (v verdict, err error) {
	defer func() {
		left := a.close()
		v, err = a.judge(err, left)
	}()
	return final, a.read()
}

// read opens the stream and yields what is new in it. It returns how it ended.
func (a *attachment) read() error {
	stream, err := a.g.client.rpc.Generate(a.call, a.g.req, grpc.WaitForReady(a.g.lost != nil))
	if err != nil {
		a.unsent = status.Code(err) == codes.Internal
		return err
	}
	for {
		resp, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return errCut
		case err != nil:
			return err
		case a.since.IsZero():
			a.answer()
		}
		a.unread = true
		for _, e := range resp.GetEvents() {
			if err := a.g.take(e); err != nil {
				return err
			}
		}
		a.unread = false
		if a.g.end != nil {
			a.giveUp.Reset(lastWords)
		}
	}
}

// answer notes that the server has answered: from now on the generation may take its
// time, and the request can be cancelled by its id.
func (a *attachment) answer() {
	a.since = time.Now()
	close(a.begun)
	a.giveUp.Stop()
}

// leave ends the stream, for ctx has ended.
func (a *attachment) leave() {
	defer close(a.left)
	defer a.drop(nil)
	if expired(a.ctx) {
		a.cause = context.Cause(a.ctx)
		return
	}
	err := a.g.cancel(a.ctx)
	if status.Code(err) == codes.NotFound {
		// It is on its way. If it does not arrive it must not do so later, when nobody wants
		// it any more; if it did just now, there is something to cancel.
		if !within(overtakenTimeout, a.begun) {
			a.drop(nil)
		}
		err = a.g.cancel(a.ctx)
	}
	if err == nil {
		within(cancelTimeout, a.over) // its CANCELLED is on its way
	}
	a.cause = abandoned(a.ctx, err)
}

// close ends the stream and waits until nothing is left of it. If the rest of it is of
// no use to anybody the request is cancelled by its id. It reports whether ctx had ended
// before.
func (a *attachment) close() (left bool) {
	close(a.over)
	if a.since.IsZero() {
		close(a.begun)
	}
	left = !a.stop()
	switch {
	case left:
		<-a.left
	case a.unread && a.g.end == nil:
		_ = a.g.cancel(a.ctx) // nobody wants to know
	}
	a.giveUp.Stop()
	a.drop(nil)
	return left
}

// judge returns what the stream is to be taken for that ended with err, and left before
// that if ctx had ended.
func (a *attachment) judge(err error, left bool) (verdict, error) {
	switch {
	case errors.Is(err, errLeft):
		return final, err
	case a.g.end.GetOutcome() == sauronv1.Outcome_OUTCOME_COMPLETED:
		return final, nil // it was whole: too late to be cancelled, and only the status can be lost
	case left:
		return final, a.cause
	case a.g.end != nil:
		return final, nil
	case errors.Is(context.Cause(a.call), errSilent):
		return again, cmp.Or(a.g.lost, errSilent)
	case a.unsent, a.g.client.closed(err):
		return final, err
	case a.late(err):
		<-a.ctx.Done()
		return final, context.Cause(a.ctx)
	}
	return judge(err), err
}

// late reports whether err is ctx's own deadline: the server ends a stream a moment
// before that. A deadline of the generation's has a reason.
func (a *attachment) late(err error) bool {
	deadline, ok := a.ctx.Deadline()
	return ok && status.Code(err) == codes.DeadlineExceeded && Reason(err) == "" && time.Until(deadline) < time.Second
}

// lasted returns for how long the server had answered when the stream ended.
func (a *attachment) lasted() time.Duration {
	if a.since.IsZero() {
		return 0
	}
	return time.Since(a.since)
}

// within reports whether c is closed within d.
func within(d time.Duration, c <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-c:
		return true
	case <-timer.C:
		return false
	}
}
