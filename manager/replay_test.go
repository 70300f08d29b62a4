package manager_test

import (
	"fmt"
	"runtime"
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

		time.Sleep(2 * time.Millisecond) // the cache ends a log after its time, not at it
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
	s := w.Stats()
	if s.ReplayBytes < bound/4 || s.ReplayEvictions+uint64(w.Left().Replays) != generations {
		t.Errorf("%d bytes and %d logs in the window, %d evictions", s.ReplayBytes, w.Left().Replays, s.ReplayEvictions)
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
