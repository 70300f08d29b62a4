package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

const (
	// startTimeout is how long a cancel that came before its request waits for it.
	startTimeout = time.Second
	// endTimeout is how long the stream of a cancelled request may take to end.
	endTimeout = 5 * time.Second
)

// errNoFinish is a stream that ended OK without its last event.
var errNoFinish = errors.New("the stream ended before the answer did")

// A caller is one Generate stream, which can be cancelled by its request id. Its
// fields are set at construction and read-only. It is used once.
type caller struct {
	client sauronv1.GenerationServiceClient
	req    *sauronv1.GenerateRequest // has a request id
	event  func(*sauronv1.Event) error
}

// run reads the stream to its end and returns how it ended. When in.soft ends the
// request is cancelled by its id, as somebody else would do it; if that fails, or
// when in.hard ends, the stream is dropped and the error is errInterrupted.
func (c *caller) run(in interrupts) (sauronv1.Outcome, error) {
	ctx, drop := context.WithCancelCause(in.hard)
	defer drop(nil)
	started, ended := make(chan struct{}), make(chan struct{})
	var canceller sync.WaitGroup
	canceller.Go(func() { c.cancelWhen(ctx, in.soft, drop, started, ended) })

	outcome, err := c.read(ctx, sync.OnceFunc(func() { close(started) }))
	close(ended)
	canceller.Wait()
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, errInterrupted) {
		return outcome, cause
	}
	return outcome, err
}

// read reads the stream. It calls started at each event.
func (c *caller) read(ctx context.Context, started func()) (sauronv1.Outcome, error) {
	stream, err := c.client.Generate(ctx, c.req)
	if err != nil {
		return 0, err
	}
	outcome := sauronv1.Outcome_OUTCOME_UNSPECIFIED
	for {
		resp, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF) && outcome == sauronv1.Outcome_OUTCOME_UNSPECIFIED:
			return outcome, errNoFinish
		case errors.Is(err, io.EOF):
			return outcome, nil
		case err != nil:
			return outcome, err
		}
		started()
		for _, e := range resp.GetEvents() {
			if finished := e.GetFinished(); finished != nil {
				outcome = finished.GetOutcome()
			}
			if err := c.event(e); err != nil {
				// Nobody would read the rest: it must not be generated either.
				_, cancelErr := cancelByID(ctx, c.client, c.req.GetRequestId())
				return outcome, errors.Join(err, cancelErr)
			}
		}
	}
}

// cancelWhen cancels the request once soft ends, and sees to it that the stream
// ends. It returns when ended is closed or the stream is dropped.
func (c *caller) cancelWhen(ctx, soft context.Context, drop context.CancelCauseFunc, started, ended <-chan struct{}) {
	select {
	case <-soft.Done():
	case <-ended:
		return
	}
	err := c.cancel(ctx)
	if status.Code(err) == codes.NotFound && within(startTimeout, started, ended) {
		err = c.cancel(ctx) // it was on its way
	}
	if err != nil {
		drop(fmt.Errorf("%w, but not cancelled: %s", errInterrupted, explain(err)))
		return
	}
	if !within(endTimeout, ended, ctx.Done()) {
		drop(fmt.Errorf("%w: cancelled, but the stream did not end", errInterrupted))
	}
}

func (c *caller) cancel(ctx context.Context) error {
	_, err := cancelByID(ctx, c.client, c.req.GetRequestId())
	return err
}

// within reports whether one of two things happens within d.
func within(d time.Duration, one, other <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-one:
		return true
	case <-other:
		return true
	case <-timer.C:
		return false
	}
}
