package client_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sauron-stream/sauron/client"
	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// A refusal that may be retried is retried when the server says, not before, and a
// little later by chance.
func TestRetryInfo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, func(s *stream) error {
			if s.try < 3 {
				return failure(codes.ResourceExhausted, "QUEUE_FULL", 7*time.Second)
			}
			return s.send(whole...)
		})
		var retries []client.Retry
		events, err := f.read(t.Context(), client.WithRetryHook(func(r client.Retry) { retries = append(retries, r) }))
		if err != nil {
			t.Fatal(err)
		}
		checkEvents(t, events, whole)
		for i := range 2 {
			if wait := f.times[i+1].Sub(f.times[i]); wait <= 7*time.Second || wait > 7500*time.Millisecond || retries[i].Wait != wait || retries[i].RequestID != "id" {
				t.Errorf("try %d came after %v, told %+v; want 7s and a little", i+2, wait, retries[i])
			}
		}
	})
}

// The client gives up when nothing new has come for its budget, and not as long as
// something does.
func TestBudget(t *testing.T) {
	lost := status.Error(codes.Unavailable, "lost")
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		f := serve(t, func(*stream) error { return lost })
		_, err := f.read(t.Context(), client.WithBudget(10*time.Second))
		requests, _ := f.seen()
		if after := time.Since(begun); status.Code(err) != codes.Unavailable || after > 10*time.Second || after < 2*time.Second || len(requests) < 4 {
			t.Errorf("error %v after %v and %d tries", err, after, len(requests))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, func(*stream) error { return lost })
		_, err := f.read(t.Context(), client.WithBudget(0))
		if requests, _ := f.seen(); status.Code(err) != codes.Unavailable || len(requests) != 1 {
			t.Errorf("error %v after %d tries, want one without a budget", err, len(requests))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		const events = 200 // one a try: the whole takes many budgets
		f := serve(t, func(s *stream) error {
			next := s.req.GetResume().GetAfterSequence() + 1
			if next == events {
				return s.send(started("g"), finished(next, completed))
			}
			time.Sleep(100 * time.Millisecond)
			return errors.Join(s.send(started("g"), text(next, "x")), lost)
		})
		begun := time.Now()
		got, err := f.read(t.Context(), client.WithBudget(time.Second))
		if err != nil || len(got) != events+1 || time.Since(begun) < 20*time.Second {
			t.Errorf("%d events and %v after %v", len(got), err, time.Since(begun))
		}
	})
}

// Stages that begin again and again are nothing new.
func TestBudgetOfGenerationsThatFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, func(s *stream) error {
			return errors.Join(s.send(started(fmt.Sprint("g", s.try)), stage(1), stage(2)),
				failure(codes.ResourceExhausted, "UPSTREAM_RATE_LIMITED", time.Second))
		})
		begun := time.Now()
		_, err := f.read(t.Context(), client.WithBudget(10*time.Second))
		if after := time.Since(begun); client.Reason(err) != "UPSTREAM_RATE_LIMITED" || after > 10*time.Second {
			t.Errorf("error %v after %v, want the failure within 10s", err, after)
		}
	})
}

// A try that is not answered is given up with the budget, and what was lost before is
// the error. Once it is answered, a generation may take its time.
func TestBudgetOfASilentServer(t *testing.T) {
	for _, answers := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f := serve(t, func(s *stream) error {
				if s.try == 1 {
					return errors.Join(s.send(whole[:3]...), status.Error(codes.Unavailable, "lost"))
				}
				if answers {
					if err := s.send(started("g")); err != nil {
						return err
					}
					time.Sleep(time.Hour)
					return s.send(whole[3:]...)
				}
				<-s.Context().Done()
				return nil
			})
			begun := time.Now()
			_, err := f.read(t.Context(), client.WithBudget(10*time.Second))
			after := time.Since(begun)
			if answers && (err != nil || after < time.Hour) {
				t.Errorf("error %v after %v, want the whole", err, after)
			}
			if !answers && (status.Code(err) != codes.Unavailable || after != 10*time.Second) {
				t.Errorf("error %v after %v, want what was lost after 10s", err, after)
			}
		})
	}
}

// So is the first try, which nothing was lost before; but not where there is no other.
func TestBudgetOfAFirstTry(t *testing.T) {
	for budget, want := range map[time.Duration]time.Duration{10 * time.Second: 10 * time.Second, 0: time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			f := serve(t, func(s *stream) error {
				select {
				case <-s.Context().Done():
					return nil
				case <-time.After(time.Hour):
					return status.Error(codes.Unavailable, "no")
				}
			})
			begun := time.Now()
			_, err := f.read(t.Context(), client.WithBudget(budget))
			if after := time.Since(begun); status.Code(err) != codes.Unavailable || after != want {
				t.Errorf("budget %v: error %v after %v, want UNAVAILABLE after %v", budget, err, after, want)
			}
		})
	}
}

// An answer that is whole does not wait for long for its status.
func TestStatusNeverComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, func(s *stream) error {
			err := s.send(whole...)
			<-s.Context().Done()
			return err
		})
		begun := time.Now()
		events, err := f.read(t.Context())
		if after := time.Since(begun); err != nil || after != time.Second {
			t.Errorf("error %v after %v, want none after 1s", err, after)
		}
		checkEvents(t, events, whole)
		if _, cancels := f.seen(); len(cancels) > 0 {
			t.Errorf("cancels %q", cancels)
		}
	})
}

// A stream that the server had for a while was no idle try: however often a proxy cuts
// the silence of a model that thinks, the client comes back.
func TestBudgetOfSilence(t *testing.T) {
	const cuts = 20
	tests := []struct {
		name     string
		lasts    time.Duration // each stream, without a word but Started
		comeback bool
	}{
		{"proxy", time.Minute, true},
		{"just_long_enough", 2*time.Second + time.Millisecond, true},
		{"comes_and_goes", 2 * time.Second, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := serve(t, func(s *stream) error {
					switch {
					case s.try == 1:
						_ = s.send(whole[:2]...)
					case s.try > cuts:
						return errors.Join(s.send(started("g")), s.send(whole[2:]...))
					default:
						_ = s.send(started("g"))
					}
					time.Sleep(tt.lasts)
					return status.Error(codes.Unavailable, "idle timeout")
				})
				begun := time.Now()
				events, err := f.read(t.Context(), client.WithBudget(10*time.Second))
				// The budget, after the stream that brought something, and before the last one.
				if after := time.Since(begun); (err == nil) != tt.comeback || !tt.comeback && after > 14*time.Second {
					t.Errorf("error %v after %v", err, after)
				}
				if tt.comeback {
					checkEvents(t, events, whole)
				}
			})
		})
	}
}

// A generation that fails after a while, and is begun anew, is nothing new.
func TestBudgetOfSlowFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, func(s *stream) error {
			_ = s.send(started(fmt.Sprint("g", s.try)), stage(1))
			time.Sleep(3 * time.Second)
			return failure(codes.ResourceExhausted, "UPSTREAM_RATE_LIMITED", time.Second)
		})
		begun := time.Now()
		_, err := f.read(t.Context(), client.WithBudget(10*time.Second))
		if after := time.Since(begun); client.Reason(err) != "UPSTREAM_RATE_LIMITED" || after > 16*time.Second {
			t.Errorf("error %v after %v, want the failure within 16s", err, after)
		}
	})
}

// waitsOf returns how long a client waits that gets nothing but lost streams.
func waitsOf(t *testing.T, lost error) (waits []time.Duration) {
	t.Helper()
	f := serve(t, func(*stream) error { return lost })
	_, err := f.read(t.Context(), client.WithBudget(5*time.Minute),
		client.WithRetryHook(func(r client.Retry) { waits = append(waits, r.Wait) }))
	if status.Code(err) != status.Code(lost) {
		t.Errorf("error %v, want %v", err, lost)
	}
	return waits
}

// The waits grow from a tenth of a second to two, by half more or less, and so stay well
// below the 10 s for which a server keeps what was lost.
func TestWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		waits := waitsOf(t, status.Error(codes.Unavailable, "lost"))
		if len(waits) < 100 {
			t.Fatalf("only %d waits", len(waits))
		}
		for i, wait := range waits {
			middle := min(100*time.Millisecond<<min(i, 10), 2*time.Second)
			if wait < middle/2 || wait > middle*3/2 {
				t.Errorf("wait %d is %v, want %v by half", i+1, wait, middle)
			}
		}
	})
}

// Clients that were lost, or refused, together do not come back together.
func TestJitter(t *testing.T) {
	for _, lost := range []error{status.Error(codes.Unavailable, "lost"), failure(codes.ResourceExhausted, "QUEUE_FULL", time.Second)} {
		synctest.Test(t, func(t *testing.T) {
			first := map[time.Duration]int{}
			for range 20 {
				first[waitsOf(t, lost)[0]]++
			}
			if len(first) < 18 {
				t.Errorf("%d different waits of 20 clients after %v", len(first), lost)
			}
		})
	}
}

// halts is a script whose first stream stops after three events, until it is lost, and
// whose second one goes on there.
func halts(s *stream) error {
	if s.try == 1 {
		_ = s.send(whole[:3]...)
		<-s.Context().Done()
		return nil
	}
	return errors.Join(s.send(started("g")), s.send(whole[3:]...))
}

// Without a server the first try fails at once. A client that comes back waits for the
// connection instead of trying again and again.
func TestServerIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, func(s *stream) error { return s.send(whole...) })
		f.listen(false)
		begun := time.Now()
		if _, err := f.read(t.Context(), client.WithBudget(0)); status.Code(err) != codes.Unavailable || time.Since(begun) != 0 {
			t.Errorf("error %v after %v, want UNAVAILABLE at once", err, time.Since(begun))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, func(s *stream) error { return s.send(whole...) })
		f.listen(false)
		time.AfterFunc(5*time.Second, func() { f.listen(true) })
		events, err := f.read(t.Context())
		if err != nil {
			t.Errorf("error %v, want none", err)
		}
		checkEvents(t, events, whole)
	})
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, halts, client.DialOptions()...)
		var events []*sauronv1.Event
		retries := 0
		for e, err := range client.New(f.conn, client.WithRetryHook(func(client.Retry) { retries++ })).Events(t.Context(), request()) {
			if err != nil {
				t.Fatal(err)
			}
			if events = append(events, e); len(events) == 3 {
				f.listen(false)
				time.AfterFunc(15*time.Second, func() { f.listen(true) })
			}
		}
		checkEvents(t, events, whole)
		if retries != 1 {
			t.Errorf("%d retries, want one that waits", retries)
		}
	})
}

// A connection that dies without a word is noticed by its pings, and soon enough: the
// server keeps for 10 s what it has noticed as lost.
func TestSilentConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, halts, client.DialOptions()...)
		var events []*sauronv1.Event
		var silent time.Time
		for e, err := range client.New(f.conn).Events(t.Context(), request()) {
			if err != nil {
				t.Fatal(err)
			}
			if events = append(events, e); len(events) == 3 {
				f.silence()
				silent = time.Now()
			}
		}
		checkEvents(t, events, whole)
		if took := f.times[1].Sub(silent); took > (12+5+1)*time.Second {
			t.Errorf("back after %v, want 12s and 5s for a ping and a moment", took)
		}
	})
}

// With DialOptions a server that was away for long is found again soon, and one that does
// not let anybody in is asked again.
func TestReconnects(t *testing.T) {
	for name, test := range map[string]struct{ leave, comeBack func(f *fake) }{
		"refuses": {func(f *fake) { f.listen(false) }, func(f *fake) { f.listen(true) }},
		"hangs":   {func(f *fake) { f.delay(time.Hour) }, func(f *fake) { f.delay(0) }},
		"is slow": {func(f *fake) { f.listen(false) }, func(f *fake) { f.delay(4 * time.Second) }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := serve(t, halts, client.DialOptions()...)
				var events []*sauronv1.Event
				var back time.Time
				for e, err := range client.New(f.conn, client.WithBudget(time.Hour)).Events(t.Context(), request()) {
					if err != nil {
						t.Fatal(err)
					}
					if events = append(events, e); len(events) == 3 {
						test.leave(f)
						time.AfterFunc(10*time.Minute, func() { test.comeBack(f) })
						back = time.Now().Add(10 * time.Minute)
					}
				}
				checkEvents(t, events, whole)
				// One attempt may hang for 5 s, then comes the longest wait, by a fifth more or less.
				if took := f.times[1].Sub(back); took > 7500*time.Millisecond {
					t.Errorf("back after %v", took)
				}
			})
		})
	}
}

// A connection that can't be asked for its state is as good as any.
func TestWrappedConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, func(s *stream) error {
			if s.try == 1 {
				return status.Error(codes.Unavailable, "lost")
			}
			return s.send(whole...)
		})
		var got strings.Builder
		for text, err := range client.New(struct{ grpc.ClientConnInterface }{f.conn}).Text(t.Context(), request()) {
			if err != nil {
				t.Fatal(err)
			}
			got.WriteString(text)
		}
		if got.String() != "ab" {
			t.Errorf("%q, want \"ab\"", got.String())
		}
	})
}

// What can never work is not tried again.
func TestNeverTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, waits)
		req := request()
		req.Messages[0].Content = "\xff"
		begun := time.Now()
		for _, err := range client.New(f.conn).Events(t.Context(), req) {
			if status.Code(err) != codes.Internal {
				t.Errorf("error %v, want INTERNAL: it can't be encoded", err)
			}
		}
		if after := time.Since(begun); after != 0 {
			t.Errorf("it took %v", after)
		}
	})
	for name, hide := range map[string]func(*grpc.ClientConn) grpc.ClientConnInterface{
		"conn":    func(c *grpc.ClientConn) grpc.ClientConnInterface { return c },
		"wrapped": func(c *grpc.ClientConn) grpc.ClientConnInterface { return struct{ grpc.ClientConnInterface }{c} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := serve(t, waits)
				retries := 0
				for e, err := range client.New(hide(f.conn), client.WithRetryHook(func(client.Retry) { retries++ })).Events(t.Context(), request()) {
					if e.GetTextDelta() != "" {
						_ = f.conn.Close()
					}
					if err != nil && !strings.Contains(err.Error(), "the client connection is closing") {
						t.Errorf("error %v", err)
					}
				}
				// Of a connection that can't be asked it may take a second try to know.
				if most := map[string]int{"conn": 0, "wrapped": 1}[name]; retries > most {
					t.Errorf("%d retries on a closed connection, want at most %d", retries, most)
				}
			})
		})
	}
}
