package main

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc"

	"github.com/sauron-stream/sauron/client"
	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// A caller is one request, which is cancelled by its id when the user interrupts. Its
// fields are set at construction and read-only. It is used once.
type caller struct {
	client *client.Client
	req    *sauronv1.GenerateRequest // has a request id
	event  func(*sauronv1.Event) error
}

// run reads the generation to its end and returns how it ended. When in.soft ends the
// request is cancelled by its id, as somebody else would do it; if that fails, or when
// the connection is closed, the error is errInterrupted.
func (c *caller) run(in interrupts) (sauronv1.Outcome, error) {
	outcome := sauronv1.Outcome_OUTCOME_UNSPECIFIED
	for e, err := range c.client.Events(in.soft, c.req) {
		if err != nil {
			return outcome, c.interrupted(in, outcome, err)
		}
		if finished := e.GetFinished(); finished != nil {
			outcome = finished.GetOutcome()
		}
		if err := c.event(e); err != nil {
			return outcome, err // nobody would read the rest: leaving the loop cancels it
		}
	}
	return outcome, nil
}

// interrupted returns what err says to a user who may have interrupted.
func (c *caller) interrupted(in interrupts, outcome sauronv1.Outcome, err error) error {
	failed, notCancelled := errors.AsType[*client.CancelError](err)
	switch {
	case in.soft.Err() == nil:
		return err
	case outcome == sauronv1.Outcome_OUTCOME_CANCELLED:
		return nil // as it was asked for
	case in.hard.Err() == nil && notCancelled:
		return fmt.Errorf("%w, but not cancelled: %s", errInterrupted, explain(failed.Err))
	}
	return errInterrupted
}

// closeWith closes conn when the user interrupts for the second time: whatever waits
// for the server ends at once.
func closeWith(in interrupts, conn *grpc.ClientConn) {
	context.AfterFunc(in.hard, func() { _ = conn.Close() })
}
