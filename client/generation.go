package client

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// errLeft says that the loop over the events was left.
var errLeft = errors.New("client: the loop was left")

// A generation is one iteration: the state that outlives a stream. It is used by one
// goroutine.
type generation struct {
	client *Client
	yield  func(*sauronv1.Event, error) bool
	// req is sent at each try. It has a request id, and a resume point from the first
	// Started on.
	req      *sauronv1.GenerateRequest
	lost     error            // what ended the last stream; nil: this is the first
	best     int64            // the furthest that any generation came
	answered bool             // a part of the answer was yielded: no other answer may follow
	outcome  sauronv1.Outcome // of Finished, when that was yielded
}

func newGeneration(c *Client, req *sauronv1.GenerateRequest, yield func(*sauronv1.Event, error) bool) *generation {
	g := &generation{client: c, yield: yield, req: proto.CloneOf(req), answered: req.GetResume() != nil}
	if g.req.GetRequestId() == "" {
		g.req.RequestId = rand.Text()
	}
	return g
}

// last returns the sequence of the last event that was yielded.
func (g *generation) last() int64 { return g.req.GetResume().GetAfterSequence() }

// ended reports whether Finished was yielded.
func (g *generation) ended() bool { return g.outcome != sauronv1.Outcome_OUTCOME_UNSPECIFIED }

// run yields the whole generation. It returns why it could not; errLeft if nobody
// wants to know.
func (g *generation) run(ctx context.Context) error {
	patience := newPatience(g.client.budget)
	for {
		err := g.stream(ctx, patience)
		if g.last() > g.best {
			g.best = g.last()
			patience.progress()
		}
		if err == nil || errors.Is(err, errLeft) || ctx.Err() != nil {
			return err
		}
		switch judge(err) {
		case again:
		case afresh:
			if g.answered {
				return err
			}
			g.req.Resume = nil
		case final:
			return err
		}
		wait, ok := patience.next(retryDelay(err))
		if !ok {
			return err
		}
		g.client.onRetry(Retry{
			RequestID: g.req.GetRequestId(), GenerationID: g.req.GetResume().GetGenerationId(),
			After: g.last(), Wait: wait, Err: err,
		})
		if !sleep(ctx, wait) {
			return g.abandon(ctx, nil)
		}
		g.lost = err
	}
}

// stream attaches once and yields what is new, to the end of the stream. If ctx ended
// before the answer was whole, the error is its cause.
func (g *generation) stream(ctx context.Context, patience *patience) error {
	// The stream outlives ctx until the request is cancelled by its id: a stream that is
	// only dropped leaves a lease, and the server goes on for nobody.
	call, drop := context.WithCancel(context.WithoutCancel(ctx))
	defer drop()
	if deadline, ok := ctx.Deadline(); ok {
		call, drop = context.WithDeadline(call, deadline)
		defer drop()
	}
	// Who comes back waits for the connection, and for an answer, as long as the budget
	// lasts. Who comes for the first time is told at once that nobody is there.
	attached, over := make(chan struct{}), make(chan struct{})
	if g.lost != nil {
		giveUp := time.AfterFunc(patience.left(), func() {
			select {
			case <-attached:
			default:
				drop()
			}
		})
		defer giveUp.Stop()
	}
	cancelled := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		cancelled <- g.abandon(ctx, attached)
		within(cancelTimeout, over) // its CANCELLED is on its way
		drop()
	})
	err := g.read(call, attached)
	close(over)
	if !stop() {
		cause := <-cancelled
		if errors.Is(err, errLeft) || g.outcome == sauronv1.Outcome_OUTCOME_COMPLETED { // it was whole before
			return err
		}
		return cause
	}
	if errors.Is(err, errLeft) && !g.ended() {
		_ = g.abandon(context.WithoutCancel(ctx), nil) // nobody wants to know
	}
	if g.lost != nil && call.Err() != nil && patience.left() <= 0 {
		return g.lost
	}
	if status.Code(err) == codes.DeadlineExceeded && Reason(err) == "" {
		// The server ends a stream a moment before its deadline.
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < time.Second {
			<-ctx.Done()
			return context.Cause(ctx)
		}
	}
	return err
}

// read opens a stream and yields what is new in it. It closes attached when the server
// has answered.
func (g *generation) read(ctx context.Context, attached chan<- struct{}) error {
	stream, err := g.client.rpc.Generate(ctx, g.req, grpc.WaitForReady(g.lost != nil))
	if err != nil {
		return err
	}
	for first := true; ; first = false {
		resp, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF) && g.ended():
			return nil
		case errors.Is(err, io.EOF):
			return errCut
		case err != nil && g.ended():
			return nil // only the status was lost
		case err != nil:
			return err
		}
		if first {
			close(attached)
		}
		for _, e := range resp.GetEvents() {
			if err := g.take(e); err != nil {
				return err
			}
		}
	}
}

// take yields e if it is new.
func (g *generation) take(e *sauronv1.Event) error {
	if started := e.GetStarted(); started != nil {
		if started.GetGenerationId() == g.req.GetResume().GetGenerationId() {
			return nil
		}
		g.req.Resume = &sauronv1.ResumePoint{GenerationId: started.GetGenerationId()}
	}
	switch sequence := e.GetSequence(); {
	case g.req.GetResume() == nil:
		return status.Error(codes.DataLoss, "client: an event came before Started")
	case sequence > g.last()+1:
		return status.Errorf(codes.DataLoss, "client: event %d came after %d", sequence, g.last())
	case sequence > g.last():
		g.req.Resume.AfterSequence = sequence
	case sequence > 0 && e.GetFinished() == nil:
		return nil // it was here before
	}
	switch e.GetKind().(type) {
	case *sauronv1.Event_Started, *sauronv1.Event_StageChanged:
	default:
		g.answered = true
	}
	g.outcome = e.GetFinished().GetOutcome()
	if !g.yield(e, nil) {
		return errLeft
	}
	return nil
}

// abandon cancels the request by its id, for nobody wants the rest of it, and returns
// the cause of ctx's end. A deadline needs no Cancel: the server has it too. A request
// that is on its way is waited for until attached is closed; nil: there is none.
func (g *generation) abandon(ctx context.Context, attached <-chan struct{}) error {
	cause := context.Cause(ctx)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return cause
	}
	background := context.WithoutCancel(ctx)
	_, err := g.client.Cancel(background, g.req.GetRequestId())
	if status.Code(err) == codes.NotFound && attached != nil && within(time.Second, attached) {
		_, err = g.client.Cancel(background, g.req.GetRequestId())
	}
	if err != nil && status.Code(err) != codes.NotFound { // not known: nothing runs
		return &CancelError{Cause: cause, Err: err}
	}
	return cause
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

// sleep waits for d. It reports whether ctx lasted.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
