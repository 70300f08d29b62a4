package client_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sauron-stream/sauron/client"
	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

var errEnough = errors.New("enough")

// waits returns a script that sends a part of the answer and waits for its cancel, as
// the service does.
func waits(s *stream) error {
	if err := s.send(whole[:3]...); err != nil {
		return err
	}
	select {
	case <-s.cancelled:
		return s.send(finished(0, cancelled))
	case <-s.Context().Done():
		return status.FromContextError(s.Context().Err()).Err()
	}
}

// A context that ends cancels the request by its id, and its cause is the error.
func TestContextCancels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, waits)
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		time.AfterFunc(time.Second, func() { cancel(errEnough) })
		events, err := f.read(ctx)
		if !errors.Is(err, errEnough) {
			t.Errorf("error %v, want the context's cause", err)
		}
		checkEvents(t, events, append(whole[:3:3], finished(0, cancelled)))
		if requests, cancels := f.seen(); len(requests) != 1 || len(cancels) != 1 || cancels[0] != "id" {
			t.Errorf("%d requests, cancelled %q; want 1 and the id", len(requests), cancels)
		}
	})
}

// A request is cancelled too while its client waits to try again.
func TestContextCancelsBetweenTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, func(s *stream) error {
			return errors.Join(s.send(whole[:3]...), status.Error(codes.Unavailable, "lost"))
		})
		ctx, cancel := context.WithCancelCause(t.Context())
		_, err := f.read(ctx, client.WithRetryHook(func(client.Retry) { cancel(errEnough) }))
		if requests, cancels := f.seen(); !errors.Is(err, errEnough) || len(requests) != 1 || len(cancels) != 1 {
			t.Errorf("error %v, %d requests, %d cancels, want the cause, 1 and 1", err, len(requests), len(cancels))
		}
	})
}

// A deadline goes to the server, which ends the stream by itself: the id is not
// cancelled, so that it may be asked for again.
func TestDeadline(t *testing.T) {
	for name, lead := range map[string]time.Duration{"client_first": 0, "server_first": 10 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := serve(t, func(s *stream) error {
					deadline, ok := s.Context().Deadline()
					if !ok {
						return status.Error(codes.Internal, "no deadline")
					}
					if err := s.send(whole[:3]...); err != nil {
						return err
					}
					time.Sleep(time.Until(deadline) - lead)
					if lead == 0 {
						<-s.Context().Done()
					}
					return status.Error(codes.DeadlineExceeded, "late")
				})
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				begun := time.Now()
				_, err := f.read(ctx)
				if !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != time.Minute {
					t.Errorf("error %v after %v, want the deadline's after 1m", err, time.Since(begun))
				}
				if requests, cancels := f.seen(); len(requests) != 1 || len(cancels) != 0 {
					t.Errorf("%d requests, cancels %q; want 1 and none", len(requests), cancels)
				}
			})
		})
	}
}

// Leaving the loop early cancels: nobody wants the rest. After the end there is nothing
// to cancel.
func TestLeavingTheLoop(t *testing.T) {
	for n, want := range map[int]int{1: 1, 3: 1, 5: 0} { // events taken, cancels
		synctest.Test(t, func(t *testing.T) {
			f := serve(t, func(s *stream) error {
				if n == 5 {
					return s.send(whole...)
				}
				return waits(s)
			})
			taken := 0
			for _, err := range client.New(f.conn).Events(t.Context(), request()) {
				if err != nil {
					t.Fatal(err)
				}
				if taken++; taken == n {
					break
				}
			}
			if _, cancels := f.seen(); len(cancels) != want {
				t.Errorf("%d events taken: cancels %q, want %d", n, cancels, want)
			}
		})
	}
}

// A cancel that overtakes its request on the way is repeated when the stream has begun.
func TestCancelOvertakesItsRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		notFound := make(chan struct{})
		f := serve(t, func(s *stream) error {
			<-notFound
			return waits(s)
		})
		f.onCancel = func(n int) error {
			if n == 1 {
				defer close(notFound)
				return status.Error(codes.NotFound, "no request of this id")
			}
			return nil
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(errEnough) })
		_, err := f.read(ctx)
		if _, cancels := f.seen(); !errors.Is(err, errEnough) || len(cancels) != 2 {
			t.Errorf("error %v after %d cancels, want the cause after 2", err, len(cancels))
		}
	})
}

// The answer was whole before the cancel came: nothing of it is lost.
func TestCancelTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, func(s *stream) error {
			if err := s.send(whole[:3]...); err != nil {
				return err
			}
			<-s.cancelled
			return s.send(whole[3:]...)
		})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		events, err := f.read(ctx)
		if err != nil {
			t.Errorf("error %v, want none", err)
		}
		checkEvents(t, events, whole)
	})
}

// Who could not be cancelled may still run: the caller is told.
func TestCancelFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, waits)
		f.onCancel = func(int) error { return status.Error(codes.Internal, "no") }
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(errEnough) })
		begun := time.Now()
		_, err := f.read(ctx)
		failed, ok := errors.AsType[*client.CancelError](err)
		if !ok || !errors.Is(err, errEnough) || status.Code(failed.Err) != codes.Internal {
			t.Errorf("error %v", err)
		}
		if want := "enough, but not cancelled: rpc error: code = Internal desc = no"; err.Error() != want {
			t.Errorf("text %q, want %q", err, want)
		}
		// Its stream had 5 s to end.
		if after := time.Since(begun); after != 6*time.Second {
			t.Errorf("it ended after %v, want 6s", after)
		}
	})
}

// A server that takes the cancel and does not end the stream holds nobody for long.
func TestCancelledStreamMustEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, func(s *stream) error {
			if err := s.send(whole[:3]...); err != nil {
				return err
			}
			<-s.Context().Done()
			return nil
		})
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(errEnough) })
		begun := time.Now()
		if _, err := f.read(ctx); !errors.Is(err, errEnough) || time.Since(begun) != 6*time.Second {
			t.Errorf("error %v after %v, want the cause after 6s", err, time.Since(begun))
		}
	})
}

// Cancel says what it found.
func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, waits)
		state, err := client.New(f.conn).Cancel(t.Context(), "other")
		if _, cancels := f.seen(); err != nil || state != sauronv1.CancelState_CANCEL_STATE_CANCELLED || cancels[0] != "other" {
			t.Errorf("%v, %v", state, err)
		}
	})
}
