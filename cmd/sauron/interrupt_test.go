package main

import (
	"context"
	"errors"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestInterruptCancelsByID(t *testing.T) {
	fake, address := serveFake(t, answerAndWait(text(1, "so far")))
	s := newSession()
	exit := s.begin(t, "generate", "--address", address, "x")
	s.out.waitFor(t, "so far")
	s.interrupt(t)
	s.check(t, receive(t, exit, "ended"), exitCancelled, "so far\n", "sauron generate: cancelled\n")
	requests, cancels := fake.seen()
	if len(cancels) != 1 || cancels[0] != requests[0].GetRequestId() {
		t.Errorf("cancelled %q, want the request's id, %q", cancels, requests[0].GetRequestId())
	}
}

// A cancel that overtakes its request on the way is repeated when the stream has
// begun.
func TestInterruptBeforeTheStart(t *testing.T) {
	arrived, notFound := make(chan struct{}), make(chan struct{})
	fake, address := serveFake(t, func(s *fakeStream) error {
		close(arrived)
		<-notFound
		return answerAndWait()(s)
	})
	cancels := 0 // they come one after the other
	fake.onCancel = func(context.Context) error {
		if cancels++; cancels == 1 {
			defer close(notFound)
			return status.Error(codes.NotFound, "no request of this id")
		}
		return nil
	}
	s := newSession()
	exit := s.begin(t, "generate", "--address", address, "x")
	receive(t, arrived, "arrived")
	s.interrupt(t)
	s.check(t, receive(t, exit, "ended"), exitCancelled, "", "sauron generate: cancelled\n")
	if cancels != 2 {
		t.Errorf("%d cancels, want 2", cancels)
	}
}

func TestInterruptThatCannotCancel(t *testing.T) {
	fake, address := serveFake(t, answerAndWait(text(1, "so far")))
	fake.onCancel = func(context.Context) error { return status.Error(codes.Internal, "no") }
	s := newSession()
	exit := s.begin(t, "generate", "--address", address, "x")
	s.out.waitFor(t, "so far")
	s.interrupt(t)
	s.check(t, receive(t, exit, "ended"), exitCancelled, "so far\n",
		"sauron generate: interrupted, but not cancelled: INTERNAL: no\n")
}

func TestSecondInterruptLeavesAtOnce(t *testing.T) {
	fake, address := serveFake(t, answerAndWait(text(1, "so far")))
	cancelling := make(chan struct{})
	fake.onCancel = func(ctx context.Context) error {
		close(cancelling)
		<-ctx.Done()
		return ctx.Err()
	}
	s := newSession()
	exit := s.begin(t, "generate", "--address", address, "x")
	s.out.waitFor(t, "so far")
	s.interrupt(t)
	receive(t, cancelling, "cancelled")
	s.interrupt(t)
	status := receive(t, exit, "ended")
	if got := s.err.String(); status != exitCancelled || !strings.HasPrefix(got, "sauron generate: interrupted") {
		t.Errorf("exit status %d, standard error:\n%s", status, got)
	}
}

// The answer was whole before the cancel came.
func TestInterruptTooLate(t *testing.T) {
	cancelled := make(chan struct{})
	fake, address := serveFake(t, func(s *fakeStream) error {
		s.service.mu.Lock()
		s.service.finished[s.id] = true
		s.service.mu.Unlock()
		if err := errors.Join(s.start(), s.send(text(1, "whole"))); err != nil {
			return err
		}
		<-cancelled
		return s.send(completed(2))
	})
	fake.onCancel = func(context.Context) error {
		close(cancelled)
		return nil
	}
	s := newSession()
	exit := s.begin(t, "generate", "--address", address, "x")
	s.out.waitFor(t, "whole")
	s.interrupt(t)
	s.check(t, receive(t, exit, "ended"), exitOK, "whole\n", "")
}

func TestCancelledBySomebodyElse(t *testing.T) {
	_, address := serveFake(t, answerAndWait(text(1, "so far")))
	s := newSession()
	exit := s.begin(t, "generate", "--address", address, "--request-id=demo", "x")
	s.out.waitFor(t, "so far")
	other := newSession()
	other.check(t, other.do(t, "cancel", "demo", "--address", address), exitOK, "cancelled\n", "")
	s.check(t, receive(t, exit, "ended"), exitCancelled, "so far\n", "sauron generate: cancelled\n")
}

// Nobody reads the rest, so it must not be generated.
func TestLostOutputCancels(t *testing.T) {
	fake, address := serveFake(t, answerAndWait(text(1, "so far")))
	s := newSession()
	s.stdout = brokenPipe{}
	s.check(t, s.do(t, "generate", "--address", address, "--request-id=r", "x"), exitFailed, "",
		"sauron generate: broken pipe\n")
	if _, cancels := fake.seen(); len(cancels) != 1 || cancels[0] != "r" {
		t.Errorf("cancelled %q, want r", cancels)
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }
