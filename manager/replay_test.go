package manager_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sauron-stream/sauron/manager"
	"github.com/sauron-stream/sauron/manager/event"
	"github.com/sauron-stream/sauron/manager/fault"
)

const window = time.Minute

// replay returns a request that takes a completed generation too, and keeps its own.
func (w *world) replay(id, content string) manager.Request {
	r := w.request(id, content)
	r.Replay, r.ReplayWindow = true, window
	return r
}

// ask reads what a request is answered.
func (w *world) ask(r manager.Request) *reading { return read(w.joinRequest(r)) }

// wantReplays fails unless the window was hit, missed and robbed that often.
func (w *world) wantReplays(hits, misses, evictions uint64) {
	w.t.Helper()
	synctest.Wait()
	if s := w.Stats(); s.ReplayHits != hits || s.ReplayMisses != misses || s.ReplayEvictions != evictions {
		w.t.Errorf("%d hits, %d misses, %d evictions, want %d, %d, %d",
			s.ReplayHits, s.ReplayMisses, s.ReplayEvictions, hits, misses, evictions)
	}
}

// A completed generation is replayed for its window, which reading does not prolong, to
// those who ask for it, and to nobody else.
func TestReplay(t *testing.T) {
	bubble(t, func(w *world) { w.cfg.OrphanGrace = 0 }, func(t *testing.T, w *world) {
		first := w.ask(w.replay("a", "A"))
		first.complete(t)
		w.wantReplays(0, 1, 0)
		if s := w.Stats(); s.ReplayBytes == 0 || s.ReplayBytes != s.LogBytes {
			t.Errorf("%d bytes in the window, %d in all", s.ReplayBytes, s.LogBytes)
		}

		for i, at := range []time.Duration{0, window / 2, window/2 - 1} {
			time.Sleep(at)
			begun := w.since()
			r := w.ask(w.replay(fmt.Sprint("b", i), "A"))
			r.complete(t)
			if r.sub.Participation() != manager.Replay || r.sub.GenerationID() != first.sub.GenerationID() || w.since() != begun {
				t.Errorf("after %v: took part in %s as %s", at, r.sub.GenerationID(), r.sub.Participation())
			}
			if r.text() != first.text() {
				t.Errorf("got %q", r.text())
			}
		}
		w.wantReplays(3, 1, 0)
		w.resumes("c", first.sub.GenerationID(), 5).complete(t)
		w.wantStreams(1)

		time.Sleep(2 * time.Nanosecond) // the window has ended: its last moment is part of it
		wantReason(t, w, w.resume("c", "A", first.sub.GenerationID(), 5), fault.GenerationGone)
		synctest.Wait()
		if left := w.Left(); left.LogBytes != 0 || left.ReplayBytes != 0 || left.Readable != 0 || left.Replays != 0 {
			t.Errorf("after the window: %+v", left)
		}
		wantReason(t, w, w.resume("c", "A", first.sub.GenerationID(), 5), fault.GenerationGone)
		r := w.ask(w.replay("d", "A"))
		if r.sub.Participation() != manager.Leader {
			t.Errorf("took part as %s", r.sub.Participation())
		}
		r.complete(t)
		w.wantReplays(3, 2, 0)
		w.wantStreams(2)
	})
}

// LIVE asks for a running generation, OFF for an independent one.
func TestReplayIsAskedFor(t *testing.T) {
	bubble(t, func(w *world) { w.cfg.OrphanGrace = 0 }, func(t *testing.T, w *world) {
		live := func(id string) manager.Request {
			r := w.request(id, "A")
			r.ReplayWindow = window
			return r
		}
		off := live("off")
		off.Coalesce = false
		w.ask(off).complete(t)
		if s := w.Stats(); s.ReplayBytes != 0 || s.LogBytes != 0 {
			t.Error("an independent sample is kept for others")
		}
		first := w.ask(live("a"))
		first.complete(t) // for those who ask for a replay
		second := w.ask(live("b"))
		if second.sub.Participation() != manager.Leader {
			t.Errorf("took part as %s", second.sub.Participation())
		}
		// While another one runs, that is what a replay joins.
		during := w.ask(w.replay("c", "A"))
		if during.sub.Participation() != manager.Follower {
			t.Errorf("took part as %s", during.sub.Participation())
		}
		w.resumes("d", first.sub.GenerationID(), 0).complete(t)
		second.complete(t)
		during.complete(t)
		w.wantStreams(3)
		w.wantReplays(0, 0, 0)
		// The newest takes the place of the one before.
		if r := w.ask(w.replay("e", "A")); r.sub.GenerationID() != second.sub.GenerationID() {
			t.Error("an older answer was replayed")
		}
		wantReason(t, w, w.resume("f", "A", first.sub.GenerationID(), 0), fault.GenerationGone)
		if left := w.Left(); left.Replays != 1 || left.LogBytes != left.ReplayBytes {
			t.Errorf("left %+v", left)
		}
		w.wantReplays(1, 0, 0)
	})
}

// Without a window nothing is kept, and asking for a replay is asking for LIVE.
func TestNoReplayWindow(t *testing.T) {
	bubble(t, func(w *world) { w.cfg.OrphanGrace = 0 }, func(t *testing.T, w *world) {
		for range 2 {
			r := w.replay("a", "A")
			r.ReplayWindow = 0
			w.ask(r).complete(t)
		}
		w.wantStreams(2)
		w.wantReplays(0, 0, 0)
	})
}

// What failed, was cut or was cancelled is never replayed.
func TestOnlyWholeAnswersAreReplayed(t *testing.T) {
	for name, set := range map[string]func(*world){
		"failed": func(w *world) { w.cfg.GenerationTimeout = 1050 * time.Millisecond },
		"cut":    func(w *world) { w.streaming = script(event.Text("x")) },
		"large":  func(w *world) { w.cfg.MaxGenerationBytes = 100 },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, set, func(t *testing.T, w *world) {
				for i := range 2 {
					r := w.ask(w.replay(fmt.Sprint(i), "A"))
					<-r.done
					if r.end.Outcome != manager.Failed || r.sub.Participation() != manager.Leader {
						t.Errorf("ended %s as %s", r.end.Outcome, r.sub.Participation())
					}
				}
				w.wantReplays(0, 2, 0)
				if left := w.Left(); left.Replays != 0 || left.ReplayBytes != 0 {
					t.Errorf("left %+v", left)
				}
			})
		})
	}
	bubble(t, nil, func(t *testing.T, w *world) {
		r := w.ask(w.replay("a", "A"))
		time.Sleep(w.firstToken)
		w.cancel("a", manager.StateCancelled)
		r.cancelled(t)
		w.ask(w.replay("b", "A")).complete(t)
		w.wantStreams(2)
	})
}

// The log that was used longest ago makes room.
func TestReplayEvictionOrder(t *testing.T) {
	size := func() (size int64) {
		bubble(t, func(w *world) { w.cfg.OrphanGrace = 0 }, func(t *testing.T, w *world) {
			w.ask(w.replay("a", "A")).complete(t)
			size = w.Stats().ReplayBytes
		})
		return size
	}()
	bubble(t, func(w *world) {
		w.cfg.OrphanGrace = 0
		w.cfg.MaxLogBytes = 2*3*size + 1 // half of it is the window's: three logs
	}, func(t *testing.T, w *world) {
		ask := func(content string, want manager.Participation) {
			t.Helper()
			r := w.ask(w.replay("id"+fmt.Sprint(w.since())+content, content))
			r.complete(t)
			if got := r.sub.Participation(); got != want {
				t.Errorf("%s: took part as %s, want %s", content, got, want)
			}
			synctest.Wait() // the cache says from goroutines of its own what it removed
			time.Sleep(time.Second)
		}
		ask("A", manager.Leader)
		ask("B", manager.Leader)
		ask("C", manager.Leader)
		w.wantReplays(0, 3, 0)
		ask("A", manager.Replay)
		ask("D", manager.Leader) // instead of B
		w.wantReplays(1, 4, 1)
		ask("C", manager.Replay)
		ask("A", manager.Replay)
		ask("D", manager.Replay)
		w.wantReplays(4, 4, 1)
		ask("B", manager.Leader) // instead of C
		ask("C", manager.Leader) // instead of A
		w.wantReplays(4, 6, 3)
		ask("D", manager.Replay)
		if s := w.Stats(); s.ReplayBytes != 3*size || s.LogBytes != 3*size {
			t.Errorf("%d bytes in the window, %d in all, want %d", s.ReplayBytes, s.LogBytes, 3*size)
		}
	})
}

// What the window holds never keeps a generation from starting: it makes room. What is
// read or promised by a lease does not count as room.
func TestReplayMakesRoom(t *testing.T) {
	bubble(t, func(w *world) {
		w.cfg.OrphanGrace, w.cfg.MaxLogBytes = 0, 32<<10
		w.cfg.MaxConcurrentRequests, w.cfg.MaxConcurrentLLMStreams = 100, 100
	}, func(t *testing.T, w *world) {
		for i := range 3 {
			w.ask(w.replay(fmt.Sprint("old", i), fmt.Sprint("O", i))).complete(t)
		}
		held := w.joinRequest(w.replay("reader", "O1")) // reads a replay, slowly
		var running []*reading
		for i := 0; ; i++ {
			r := w.request(fmt.Sprint(i), fmt.Sprint("N", i))
			sub, err := w.Join(r)
			if err != nil {
				wantFault(t, err, fault.ServerBusy)
				break
			}
			running = append(running, read(sub))
			synctest.Wait()
		}
		s := w.Stats()
		if s.ReplayEvictions != 2 || len(running) < 5 {
			t.Errorf("%d evictions for %d generations, want the 2 logs that nobody reads", s.ReplayEvictions, len(running))
		}
		if s.ReplayBytes == 0 {
			t.Error("the log that is read left the window")
		}
		read(held).complete(t)
		more := w.ask(w.request("more", "M")) // in its place
		more.complete(t)
		for _, r := range running {
			r.complete(t)
		}
	})
}

// A log whose window has ended holds no room for a moment longer.
func TestExpiredReplaysHoldNoRoom(t *testing.T) {
	starts := func(after time.Duration) (n int) {
		bubble(t, func(w *world) { w.cfg.OrphanGrace, w.cfg.MaxLogBytes = 0, 64<<10 }, func(t *testing.T, w *world) {
			for i := range 9 {
				w.ask(w.replay(fmt.Sprint("old", i), fmt.Sprint("O", i))).complete(t)
			}
			time.Sleep(after)
			synctest.Wait()
			var running []*manager.Subscription
			for {
				s, err := w.Join(w.request(fmt.Sprint(n), fmt.Sprint("N", n)))
				if err != nil {
					wantFault(t, err, fault.ServerBusy)
					break
				}
				running = append(running, s)
				n++
			}
			for _, s := range running {
				s.Leave(manager.Deadline)
			}
		})
		return n
	}
	if within, after := starts(0), starts(window); within != after || within < 9 {
		t.Errorf("%d generations start within the window, %d right after it", within, after)
	}
}

// Where the window and a lease both keep a log, it stays for the longer of them, and what a
// lease keeps is no room to be made.
func TestLeaseAndReplayWindow(t *testing.T) {
	bubble(t, func(w *world) { w.cfg.OrphanGrace = 2 * window }, func(t *testing.T, w *world) {
		first := w.ask(w.replay("a", "A"))
		first.complete(t)
		time.Sleep(window + time.Second)
		synctest.Wait()
		if s := w.Stats(); s.ReplayBytes != 0 || s.LogBytes == 0 {
			t.Errorf("after the window: %+v", s)
		}
		w.resumes("b", first.sub.GenerationID(), 3).complete(t)
		time.Sleep(3 * window)
		synctest.Wait()
		if s := w.Stats(); s.LogBytes != 0 {
			t.Errorf("after the lease: %+v", s)
		}
	})
	bubble(t, func(w *world) { w.cfg.OrphanGrace, w.cfg.MaxLogBytes = window/2, 20<<10 }, func(t *testing.T, w *world) {
		for i := range 2 {
			w.ask(w.replay(fmt.Sprint(i), fmt.Sprint("L", i))).complete(t)
		}
		for i := 0; ; i++ {
			sub, err := w.Join(w.request(fmt.Sprint("r", i), fmt.Sprint("N", i)))
			if err != nil {
				wantFault(t, err, fault.ServerBusy)
				break
			}
			read(sub).complete(t)
		}
		if s := w.Stats(); s.ReplayEvictions != 0 {
			t.Errorf("%d logs were taken from their leases", s.ReplayEvictions)
		}
	})
}

// Of what only the window keeps, the log used longest ago makes room first.
func TestReplayMakesRoomInOrder(t *testing.T) {
	bubble(t, func(w *world) { w.cfg.OrphanGrace, w.cfg.MaxLogBytes = 0, 40<<10 }, func(t *testing.T, w *world) {
		for _, content := range []string{"A", "B", "C"} {
			w.ask(w.replay(content, content)).complete(t)
			time.Sleep(time.Second)
		}
		w.ask(w.replay("again", "A")).complete(t) // B is the oldest now
		var running []*manager.Subscription
		for i := 0; w.Stats().ReplayEvictions == 0; i++ {
			running = append(running, w.join(fmt.Sprint("n", i), fmt.Sprint("N", i)))
		}
		for _, content := range []string{"A", "C"} {
			s := w.joinRequest(w.replay("probe"+content, content))
			if s.Participation() != manager.Replay {
				t.Errorf("%s made room, want B", content)
			}
			s.Leave(manager.Deadline)
		}
		for _, s := range running {
			s.Leave(manager.Deadline)
		}
	})
}

// A generation of the same key that completes when the window of the one before has just
// ended takes its place: nothing of that is left.
func TestReplayTakesThePlaceOfAnExpiredOne(t *testing.T) {
	bubble(t, func(w *world) { w.cfg.OrphanGrace = 0 }, func(t *testing.T, w *world) {
		w.ask(w.replay("a", "A")).complete(t)
		time.Sleep(window - w.duration() + 500*time.Microsecond)
		r := w.request("b", "A")
		r.ReplayWindow = window
		w.ask(r).complete(t)
		synctest.Wait()
		if left := w.Left(); left.Replays != 1 || left.LogBytes != left.ReplayBytes || left.Readable != 1 {
			t.Errorf("%+v", left)
		}
		time.Sleep(2 * window)
		synctest.Wait()
		if left := w.Left(); left.LogBytes != 0 || left.ReplayBytes != 0 || left.Readable != 0 {
			t.Errorf("left behind: %+v", left)
		}
	})
}

// A log that would fill the window alone does not push the others out.
func TestReplayOfAHugeAnswer(t *testing.T) {
	bubble(t, func(w *world) { w.cfg.OrphanGrace, w.cfg.MaxLogBytes = 0, 64<<10 }, func(t *testing.T, w *world) {
		for i := range 3 {
			w.ask(w.replay(fmt.Sprint(i), fmt.Sprint("S", i))).complete(t)
		}
		w.streaming = script(event.Text(strings.Repeat("x", 40<<10)), finished())
		w.ask(w.replay("huge", "H")).complete(t)
		synctest.Wait()
		if left := w.Left(); left.Replays != 3 || left.LogBytes != left.ReplayBytes {
			t.Errorf("%+v", left)
		}
		w.wantReplays(0, 4, 0)
	})
}

// A request that is refused has missed nothing: nothing was started for it.
func TestReplayMissIsAStart(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		w.Drain(ctx)
		wantReason(t, w, w.replay("a", "A"), fault.Draining)
		w.wantReplays(0, 0, 0)
	})
}

// A log that leaves the window while it is read stays until its reader is done.
func TestReplayThatExpiresUnderItsReader(t *testing.T) {
	bubble(t, func(w *world) { w.cfg.OrphanGrace = 0 }, func(t *testing.T, w *world) {
		w.ask(w.replay("a", "A")).complete(t)
		slow := w.joinRequest(w.replay("b", "A"))
		time.Sleep(2 * window)
		synctest.Wait()
		if s := w.Stats(); s.ReplayBytes != 0 || s.LogBytes == 0 {
			t.Errorf("%d bytes in the window, %d in all", s.ReplayBytes, s.LogBytes)
		}
		read(slow).complete(t)
		if s := w.Stats(); s.LogBytes != 0 {
			t.Errorf("%d bytes are left", s.LogBytes)
		}
	})
}

// Ten thousand finished generations stay under their bound, at every moment and as the
// runtime counts memory.
func TestReplayMemory(t *testing.T) {
	const generations, bound = 10_000, 8 << 20
	w := newWorld(t, func(w *world) {
		w.cfg.OrphanGrace, w.cfg.IDMemory, w.cfg.MaxLogBytes = 0, 0, bound
		w.streaming = script(event.Text("some text"), event.Text(" and more"), finished())
	})
	before := heap()
	for i := range generations {
		w.ask(w.replay(fmt.Sprint(i), fmt.Sprint("G", i))).complete(t)
		if s := w.Stats(); s.LogBytes > bound {
			t.Fatalf("after %d: %d bytes in the window, %d in all", i, s.ReplayBytes, s.LogBytes)
		}
		// The cache says from goroutines of its own what it removed.
		for w.Stats().ReplayBytes > bound/2 {
			runtime.Gosched()
		}
	}
	for w.Stats().ReplayEvictions+uint64(w.Left().Replays) != generations {
		runtime.Gosched() // it has not said all
	}
	s := w.Stats()
	if s.ReplayBytes < bound/4 {
		t.Errorf("%d bytes and %d logs in the window", s.ReplayBytes, w.Left().Replays)
	}
	w.mu.Lock()
	w.reports, w.asked, w.streamEnded, w.prepareEnded = nil, nil, nil, nil // the test's own
	w.mu.Unlock()
	if grown := heap() - before; grown > bound {
		t.Errorf("the heap has grown by %d bytes, the bound is %d", grown, bound)
	} else {
		t.Logf("%d logs of %d bytes, by the heap %d", w.Left().Replays, s.ReplayBytes, grown)
	}
	w.Close()
	w.nothingLeft()
}

// heap returns the bytes of live objects.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
