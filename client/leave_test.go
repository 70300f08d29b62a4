package client_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
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

// A request is cancelled too while its client waits to try again, which it does no more.
func TestContextCancelsBetweenTries(t *testing.T) {
	for _, part := range []time.Duration{0, 1, 2} { // of the wait, in thirds
		synctest.Test(t, func(t *testing.T) {
			f := serve(t, func(s *stream) error {
				return errors.Join(s.send(whole[:3]...), status.Error(codes.Unavailable, "lost"))
			})
			ctx, cancel := context.WithCancelCause(t.Context())
			begun := time.Now()
			var meant time.Duration
			_, err := f.read(ctx, client.WithRetryHook(func(r client.Retry) {
				if meant = r.Wait * part / 3; meant == 0 {
					cancel(errEnough)
					return
				}
				time.AfterFunc(meant, func() { cancel(errEnough) })
			}))
			requests, cancels := f.seen()
			if !errors.Is(err, errEnough) || time.Since(begun) != meant || len(requests) != 1 || len(cancels) != 1 {
				t.Errorf("error %v after %v, %d requests, %d cancels, want the cause after %v, 1 and 1",
					err, time.Since(begun), len(requests), len(cancels), meant)
			}
		})
	}
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

// A deadline that falls into a wait ends that, and needs no Cancel either.
func TestDeadlineBetweenTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, func(*stream) error { return failure(codes.ResourceExhausted, "QUEUE_FULL", 7*time.Second) })
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		begun := time.Now()
		if _, err := f.read(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != 5*time.Second {
			t.Errorf("error %v after %v, want the deadline's after 5s", err, time.Since(begun))
		}
		if requests, cancels := f.seen(); len(requests) != 1 || len(cancels) != 0 {
			t.Errorf("%d requests, %d cancels, want 1 and none", len(requests), len(cancels))
		}
	})
}

// The generation's own deadline is no deadline of the caller's, however near that is.
func TestGenerationTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, func(s *stream) error {
			if err := s.send(whole[0]); err != nil {
				return err
			}
			time.Sleep(59500 * time.Millisecond)
			return errors.Join(s.send(whole[1:3]...), failure(codes.DeadlineExceeded, "GENERATION_TIMEOUT", 0))
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		begun := time.Now()
		_, err := f.read(ctx)
		if after := time.Since(begun); client.Reason(err) != "GENERATION_TIMEOUT" || after != 59500*time.Millisecond {
			t.Errorf("error %v after %v, want GENERATION_TIMEOUT after 59.5s", err, after)
		}
	})
}

// A DEADLINE_EXCEEDED that comes long before the caller's deadline is somebody else's.
func TestDeadlineOfSomebodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, func(*stream) error { return status.Error(codes.DeadlineExceeded, "a proxy's") })
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		begun := time.Now()
		if _, err := f.read(ctx); status.Code(err) != codes.DeadlineExceeded || time.Since(begun) != 0 {
			t.Errorf("error %v after %v, want the proxy's at once", err, time.Since(begun))
		}
	})
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

// A server that does not answer the Cancel of a loop that was left holds it for 5 s.
func TestLeavingTheLoopOfADeadServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, waits)
		f.onCancel = func(int) error {
			time.Sleep(time.Minute)
			return nil
		}
		begun := time.Now()
		for range client.New(f.conn).Events(t.Context(), request()) {
			break
		}
		if after := time.Since(begun); after != 5*time.Second {
			t.Errorf("left after %v, want 5s", after)
		}
	})
}

// What the server does not end when the loop is left ends with it.
func TestLeftStreamIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dropped := false
		f := serve(t, func(s *stream) error {
			_ = s.send(whole[:3]...)
			<-s.Context().Done()
			dropped = true
			return nil
		})
		for range client.New(f.conn).Events(t.Context(), request()) {
			break
		}
		synctest.Wait()
		if !dropped {
			t.Error("the stream goes on")
		}
	})
}

// A cancel that overtakes its request on the way is repeated when the stream has begun.
func TestCancelOvertakesItsRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var known atomic.Bool
		f := serve(t, func(s *stream) error {
			time.Sleep(1500 * time.Millisecond)
			known.Store(true)
			return waits(s)
		})
		f.onCancel = func(int) error { return unless(known.Load()) }
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(errEnough) })
		begun := time.Now()
		events, err := f.read(ctx)
		if after := time.Since(begun); !errors.Is(err, errEnough) || after != 1500*time.Millisecond {
			t.Errorf("error %v after %v, want the cause after 1.5s", err, after)
		}
		checkEvents(t, events, append(whole[:3:3], finished(0, cancelled)))
		if _, cancels := f.seen(); len(cancels) != 2 {
			t.Errorf("%d cancels, want 2", len(cancels))
		}
	})
}

// unless returns the status of a Cancel, NOT_FOUND unless its request is known.
func unless(known bool) error {
	if known {
		return nil
	}
	return status.Error(codes.NotFound, "no request of this id")
}

// A request that has not come to the server when its context ends does not come there
// any more. Here gRPC itself waits to send it again.
func TestLeavingBeforeTheServerKnows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, func(s *stream) error {
			s.SetTrailer(metadata.Pairs("grpc-retry-pushback-ms", "3000"))
			return failure(codes.ResourceExhausted, "QUEUE_FULL", 3*time.Second)
		}, client.DialOptions()...)
		f.onCancel = func(int) error { return unless(false) }
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(errEnough) })
		begun := time.Now()
		_, err := f.read(ctx)
		_, failed := errors.AsType[*client.CancelError](err)
		if after := time.Since(begun); !errors.Is(err, errEnough) || failed || after != 2*time.Second {
			t.Errorf("error %v after %v, want the cause alone after 2s", err, after)
		}
		time.Sleep(time.Minute)
		if requests, _ := f.seen(); len(requests) != 1 {
			t.Errorf("%d requests, want the one that was refused", len(requests))
		}
	})
}

// A request that fails on its way is waited for no longer.
func TestLeavingWhatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, func(*stream) error {
			time.Sleep(1300 * time.Millisecond)
			return status.Error(codes.Unavailable, "lost")
		})
		f.onCancel = func(int) error { return unless(false) }
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(errEnough) })
		begun := time.Now()
		if _, err := f.read(ctx); !errors.Is(err, errEnough) || time.Since(begun) != 1300*time.Millisecond {
			t.Errorf("error %v after %v, want the cause after 1.3s", err, time.Since(begun))
		}
	})
}

// A request that comes to the server at the very moment when its client gives it up is
// cancelled after that.
func TestRequestComesAtTheLastMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		known := make(chan struct{})
		f := serve(t, func(s *stream) error {
			<-s.Context().Done() // it was on its way until then
			close(known)
			return nil
		})
		f.onCancel = func(n int) error {
			if n == 1 {
				return unless(false)
			}
			<-known
			return nil
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(errEnough) })
		begun := time.Now()
		_, err := f.read(ctx)
		if after := time.Since(begun); !errors.Is(err, errEnough) || after != 2*time.Second {
			t.Errorf("error %v after %v, want the cause after 2s", err, after)
		}
		if _, cancels := f.seen(); len(cancels) != 2 {
			t.Errorf("%d cancels, want 2", len(cancels))
		}
	})
}

// A context that has ended sends nothing.
func TestContextHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, waits)
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errEnough)
		begun := time.Now()
		_, err := f.read(ctx)
		if after := time.Since(begun); !errors.Is(err, errEnough) || after != 0 {
			t.Errorf("error %v after %v, want the cause at once", err, after)
		}
		if requests, cancels := f.seen(); len(requests) != 0 || len(cancels) != 0 {
			t.Errorf("%d requests and %d cancels, want none", len(requests), len(cancels))
		}
	})
}

// An untilUnwatched is a context that ends when somebody stops to watch for that.
type untilUnwatched struct {
	context.Context
	end func()
}

// Value hides the context inside, which package context would watch instead.
func (c untilUnwatched) Value(any) any { return nil }

func (c untilUnwatched) AfterFunc(f func()) func() bool {
	stop := context.AfterFunc(c.Context, f)
	return func() bool {
		defer c.end()
		return stop()
	}
}

// A context that ends just after its stream was lost cancels all the same, also where
// there would be no other try.
func TestContextEndsAfterTheStream(t *testing.T) {
	for _, budget := range []time.Duration{0, time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			f := serve(t, func(s *stream) error {
				return errors.Join(s.send(whole[:3]...), status.Error(codes.Unavailable, "lost"))
			})
			ctx, cancel := context.WithCancel(t.Context())
			_, err := f.read(untilUnwatched{ctx, cancel}, client.WithBudget(budget))
			if requests, cancels := f.seen(); !errors.Is(err, context.Canceled) || len(requests) != 1 || len(cancels) != 1 {
				t.Errorf("budget %v: error %v, %d requests, %d cancels, want the cause, 1 and 1", budget, err, len(requests), len(cancels))
			}
		})
	}
}

// A panic in the loop's body, or the end of its goroutine, leaves the loop like any
// other: the request is cancelled, once, and nothing is left behind.
func TestLoopBreaksOff(t *testing.T) {
	for name, breakOff := range map[string]func(){
		"panic":  func() { panic("the caller's") },
		"goexit": runtime.Goexit,
	} {
		for _, inEnded := range []bool{false, true} { // the context has ended meanwhile
			t.Run(fmt.Sprint(name, inEnded), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := serve(t, waits)
					ctx, cancel := context.WithCancel(t.Context())
					begun := time.Now()
					var looping sync.WaitGroup
					looping.Go(func() {
						defer func() {
							if r := recover(); r != nil && r != "the caller's" {
								t.Errorf("panic: %v", r)
							}
						}()
						for range client.New(f.conn).Events(ctx, request()) {
							if inEnded {
								cancel()
								synctest.Wait()
							}
							breakOff()
						}
					})
					looping.Wait()
					if after := time.Since(begun); after != 0 {
						t.Errorf("it took %v", after)
					}
					cancel() // which nobody watches any more
					time.Sleep(time.Minute)
					if _, cancels := f.seen(); len(cancels) != 1 {
						t.Errorf("%d cancels, want 1", len(cancels))
					}
				})
			})
		}
	}
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
		// No end of its stream is to be expected.
		if after := time.Since(begun); after != time.Second {
			t.Errorf("it ended after %v, want 1s", after)
		}
	})
}

// A request that the server does not know any more does not run: that is no error.
func TestNothingToCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, func(s *stream) error {
			if s.try == 1 {
				return errors.Join(s.send(whole[:3]...), status.Error(codes.Unavailable, "lost"))
			}
			return s.Context().Err()
		})
		f.onCancel = func(int) error { return unless(false) }
		ctx, cancel := context.WithCancelCause(t.Context())
		_, err := f.read(ctx, client.WithRetryHook(func(client.Retry) { cancel(errEnough) }))
		if _, failed := errors.AsType[*client.CancelError](err); failed || !errors.Is(err, errEnough) {
			t.Errorf("error %v, want the cause alone", err)
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
