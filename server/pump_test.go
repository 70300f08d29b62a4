package server

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
	"github.com/sauron-stream/sauron/manager"
)

// atRest returns how many streams wait in the crowds of r's pumps, by pump, when nothing
// moves. The pumps do it themselves: nobody else may look.
func (r *running) atRest(t *testing.T) []int {
	t.Helper()
	var counts []int
	for _, p := range r.service.pumps.all {
		n := make(chan int)
		p.push(taskFunc(func(p *pump) {
			waiting := 0
			for _, c := range p.crowds {
				waiting += len(c.waiting)
				for i, d := range c.waiting {
					if d.crowd != c || d.place != i {
						t.Errorf("place %d of a crowd holds the one of %d", i, d.place)
					}
				}
			}
			n <- waiting
		}))
		counts = append(counts, <-n)
	}
	return counts
}

type taskFunc func(*pump)

func (f taskFunc) step(p *pump) bool {
	f(p)
	return true
}

func sum(counts []int) (sum int) {
	for _, n := range counts {
		sum += n
	}
	return sum
}

// A generation's first readers share a pump, a large crowd is spread, and nothing of
// either is left when they have gone.
func TestCrowds(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	synctest.Test(t, func(t *testing.T) {
		r := startInBubble(t, func(o *options) { o.sim.FirstToken = 30 * time.Second })
		c := r.client()
		var readers sync.WaitGroup
		join := func(n int) {
			for range n {
				g := generate(t.Context(), t, c, ask("", "A"))
				readers.Go(func() { g.completed(t) })
			}
			synctest.Wait()
		}
		join(readersTogether)
		if counts := r.atRest(t); slices.Max(counts) != readersTogether || sum(counts) != readersTogether {
			t.Errorf("%v streams wait, want all %d at one pump", counts, readersTogether)
		}
		join(3 * readersTogether)
		if counts := r.atRest(t); slices.Min(counts) != readersTogether || slices.Max(counts) != readersTogether {
			t.Errorf("%v streams wait, want %d at each pump", counts, readersTogether)
		}
		readers.Wait()
		synctest.Wait()
		for i, p := range r.service.pumps.all {
			if left := r.atRest(t)[i]; left != 0 || len(p.crowds) != 0 {
				t.Errorf("pump %d: %d streams in %d crowds are left", i, left, len(p.crowds))
			}
		}
	})
}

// What comes between a stream's last look and its joining of a crowd is not missed.
func TestShortAnswersAllEnd(t *testing.T) {
	r := start(t, func(o *options) {
		o.sim.FirstToken, o.sim.InterToken, o.sim.Tokens = 0, 0, 1
		o.Manager.OrphanGrace = 0
	})
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	var callers sync.WaitGroup
	for i := range 4 {
		c := r.client()
		callers.Go(func() {
			for j := range 500 {
				stream, err := c.Generate(ctx, ask("", fmt.Sprint(i, "-", j)))
				if err != nil {
					t.Error(err)
					return
				}
				if g := (&received{stream: stream}).all(); g.err != nil {
					t.Errorf("%d-%d: %v", i, j, g.err)
					return
				}
			}
		})
	}
	callers.Wait()
}

// A stream without window is in no crowd: what the others get costs it, and them,
// nothing.
func TestParkedStreamIsInNoCrowd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startInBubble(t, func(o *options) {
			flood(o)
			o.sim.InterToken = time.Microsecond
		})
		c := r.client()
		stuck := generate(t.Context(), t, c, ask("stuck", "A"))
		other := generate(t.Context(), t, c, ask("other", "A"))
		var reader sync.WaitGroup
		reader.Go(func() { other.completed(t) })
		time.Sleep(50 * time.Millisecond) // half of the answer
		synctest.Wait()
		if n := sum(r.atRest(t)); n != 1 {
			t.Errorf("%d streams wait for more, want the one that reads", n)
		}
		reader.Wait()
		cancel(t, c, "stuck", stateCancelled)
		stuck.cancelled(t)
	})
}

// Streams come and go in all ways while events flow: the handler takes its stream back
// before it returns, whatever the pump is at. The race detector looks on.
func TestHandshake(t *testing.T) {
	r := start(t, func(o *options) {
		o.sim.FirstToken, o.sim.InterToken, o.sim.Tokens = 0, 100*time.Microsecond, 3000
	})
	clients := make([]sauronv1.GenerationServiceClient, 4)
	for i := range clients {
		clients[i] = r.client()
	}
	var callers sync.WaitGroup
	for i := range 200 {
		callers.Go(func() {
			c, id := clients[i%len(clients)], fmt.Sprint("id-", i)
			ctx, reset := context.WithCancel(t.Context())
			defer reset()
			if i%5 == 0 {
				ctx, reset = context.WithTimeout(ctx, time.Duration(100+i)*time.Millisecond)
				defer reset()
			}
			stream, err := c.Generate(ctx, ask(id, fmt.Sprint(i%3)))
			if err != nil {
				if status.Code(err) != codes.DeadlineExceeded { // on a busy machine that may come first
					t.Error(err)
				}
				return
			}
			g := &received{stream: stream}
			for range i % 40 {
				g.next()
			}
			switch i % 4 {
			case 0:
				reset()
			case 1:
				_, _ = c.Cancel(t.Context(), &sauronv1.CancelRequest{RequestId: id}) // it may have ended
			}
			g.all()
			if err := g.check(); len(g.events) > 0 && err != nil {
				t.Error(err)
			}
		})
	}
	callers.Wait()
	r.eventuallyDo(t, func() error {
		if n, s := sum(r.atRest(t)), r.manager.Stats().Subscriptions; n+s != 0 {
			return fmt.Errorf("%d streams are left, %d with the pumps", s, n)
		}
		return nil
	})
}

// With an interval a generation wakes its readers no more often, loses nothing, and the
// first event does not wait.
func TestCoalesceInterval(t *testing.T) {
	for _, interval := range []time.Duration{0, 100 * time.Millisecond} {
		t.Run(interval.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := startInBubble(t, func(o *options) {
					o.CoalesceInterval = interval
					o.sim.FirstToken, o.sim.InterToken, o.sim.Tokens = time.Second, 10*time.Millisecond, 100
				})
				begun := time.Now()
				g := generate(t.Context(), t, r.client(), ask("a", "A"))
				g.until(isText)
				if after := time.Since(begun); after != time.Second {
					t.Errorf("the first token came after %v, want 1s", after)
				}
				messages := 0
				for g.next() {
					messages++
				}
				g.completed(t)
				// 99 tokens more, over 990 ms; usage and the end with the last. Where a chunk of
				// the log ends, so does a message.
				least, most := 99, 110
				if interval > 0 {
					least, most = 10, 15
				}
				if messages < least || messages > most {
					t.Errorf("%d messages, want %d to %d", messages, least, most)
				}
			})
		})
	}
}

// Parking does not make a reader's next wake-up come sooner.
func TestCoalesceIntervalOfAParkedStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startInBubble(t, func(o *options) {
			o.CoalesceInterval = time.Second
			o.sim.FirstToken, o.sim.InterToken, o.sim.Tokens = time.Second, 100*time.Microsecond, 50_000
		})
		g := generate(t.Context(), t, r.client(), ask("a", "A"))
		g.until(isText)
		wakes, last := 0, time.Now()
		for g.next() {
			if now := time.Now(); now.After(last) {
				wakes, last = wakes+1, now
			}
		}
		g.completed(t)
		if wakes > 6 {
			t.Errorf("woken %d times in 5 s, want once a second", wakes)
		}
	})
}

// What the transport holds for clients that do not read keeps no log once their streams
// have ended.
func TestEndedStreamLetsItsLogGo(t *testing.T) {
	r := start(t, func(o *options) {
		flood(o)
		o.Manager.OrphanGrace = 0
		o.Manager.MaxConcurrentLLMStreams = 10
		o.client = []grpc.DialOption{grpc.WithInitialWindowSize(64 << 10), grpc.WithInitialConnWindowSize(16 << 20)}
	})
	c := r.client()
	const streams = 10
	for i := range streams {
		generate(t.Context(), t, c, ask(fmt.Sprint("stuck-", i), fmt.Sprint(i)))
	}
	r.eventuallyDo(t, func() error {
		if s := r.manager.Stats(); s.LogBytes < streams<<20 || s.Generations != (manager.Stats{}).Generations {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
	logs := r.manager.Stats().LogBytes
	for i := range streams {
		cancel(t, c, fmt.Sprint("stuck-", i), stateCancelled)
	}
	r.eventuallyDo(t, func() error {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		if int64(m.HeapAlloc) > logs/2 {
			return fmt.Errorf("%d bytes are in use, the logs had %d", m.HeapAlloc, logs)
		}
		return nil
	})
}
