package client

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

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
	lost     error              // what ended the last stream; nil: this is the first
	started  string             // the generation whose Started was yielded
	foreign  bool               // the stream is another generation's than what was yielded
	best     int64              // the furthest that any generation came
	answered bool               // a part of the answer was yielded: no other answer may follow
	end      *sauronv1.Finished // when that was yielded
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

// run yields the whole generation. It returns why it could not; errLeft if nobody
// wants to know.
func (g *generation) run(ctx context.Context) error {
	patience := newPatience(g.client.budget)
	for ctx.Err() == nil {
		a := g.attach(ctx, patience)
		verdict, err := a.run()
		// A proxy may cut a stream in which a model only thinks, again and again. A server
		// that takes a stream and loses it soon gets nowhere.
		if g.last() > g.best || verdict == again && a.lasted() > longestWait {
			g.best = max(g.best, g.last())
			patience.progress()
		}
		switch {
		case verdict == final, verdict == afresh && g.answered:
			return err
		case verdict == afresh:
			g.req.Resume, g.started = nil, ""
		}
		g.lost = err
		if ctx.Err() != nil {
			break
		}
		wait, ok := patience.next(retryDelay(err))
		if !ok {
			return err
		}
		g.client.onRetry(Retry{
			RequestID: g.req.GetRequestId(), GenerationID: g.req.GetResume().GetGenerationId(),
			After: g.last(), Wait: wait, Err: err,
		})
		sleep(ctx, wait)
	}
	if g.lost == nil || expired(ctx) {
		return context.Cause(ctx) // nothing was sent, or the server knows by itself
	}
	return abandoned(ctx, g.cancel(ctx))
}

// take yields e if it is new.
func (g *generation) take(e *sauronv1.Event) error {
	if started := e.GetStarted(); started != nil {
		same := started.GetGenerationId() == g.req.GetResume().GetGenerationId()
		g.foreign = !same && g.answered
		if g.foreign || started.GetGenerationId() == g.started {
			return nil
		}
		g.started = started.GetGenerationId()
		if !same {
			g.req.Resume = &sauronv1.ResumePoint{GenerationId: g.started}
		}
	}
	switch sequence := e.GetSequence(); {
	case g.req.GetResume() == nil:
		return status.Error(codes.DataLoss, "client: an event came before Started")
	case g.foreign && sequence > 0: // else it is about the request, such as its cancel
		return status.Error(codes.DataLoss, "client: another generation came in the middle of the answer")
	case sequence > g.last()+1:
		return status.Errorf(codes.DataLoss, "client: event %d came after %d", sequence, g.last())
	case sequence > g.last():
		g.req.Resume.AfterSequence = sequence
	case sequence > 0 && e.GetFinished() == nil:
		return nil // it was here before; an end comes again if the caller's own resume point is there
	}
	switch kind := e.GetKind().(type) {
	case *sauronv1.Event_Started, *sauronv1.Event_StageChanged:
	case *sauronv1.Event_Finished:
		g.end = kind.Finished
	default:
		g.answered = true
	}
	if !g.yield(e, nil) {
		return errLeft
	}
	return nil
}

// cancel cancels the request by its id, also when ctx has ended.
func (g *generation) cancel(ctx context.Context) error {
	_, err := g.client.Cancel(context.WithoutCancel(ctx), g.req.GetRequestId())
	return err
}

// abandoned returns what an iteration ends with whose ctx has ended. err is the status
// of the Cancel.
func abandoned(ctx context.Context, err error) error {
	if err == nil || status.Code(err) == codes.NotFound { // not known: nothing runs
		return context.Cause(ctx)
	}
	return &CancelError{Cause: context.Cause(ctx), Err: err}
}

// expired reports whether ctx has ended by its deadline. That needs no Cancel: the
// server has it too.
func expired(ctx context.Context) bool { return errors.Is(ctx.Err(), context.DeadlineExceeded) }

// sleep waits for d, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
