package manager_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sauron-stream/sauron/manager"
	"github.com/sauron-stream/sauron/manager/event"
)

// orphan joins and loses its connection at once.
func (w *world) orphan(id, content string) *manager.Subscription {
	w.t.Helper()
	s := w.join(id, content)
	synctest.Wait()
	s.Leave(manager.Disconnected)
	return s
}

// An orphan is passed over until somebody attaches.
func TestOrphanIsNotPromoted(t *testing.T) {
	t.Run("to_preparing", func(t *testing.T) {
		bubble(t, func(w *world) { w.cfg.MaxConcurrentRequests, w.prepare = 1, time.Second }, func(t *testing.T, w *world) {
			first := read(w.join("first", "F"))
			orphan := w.orphan("orphan", "O")
			next := read(w.join("next", "N"))
			time.Sleep(3 * time.Second)
			w.wantStage(event.StageQueued, 1)
			back := read(w.join("orphan", "O"))
			if back.sub.GenerationID() != orphan.GenerationID() {
				t.Error("another generation")
			}
			w.wantStage(event.StagePreparing, 1)
			first.complete(t)
			next.complete(t)
			back.complete(t)
			if r := w.lastReport(); r.Stages[event.StageQueued] != 3*time.Second {
				t.Errorf("report %+v", r)
			}
		})
	})
	t.Run("to_streaming", func(t *testing.T) {
		bubble(t, func(w *world) { w.cfg.MaxConcurrentLLMStreams = 1 }, func(t *testing.T, w *world) {
			first := read(w.join("first", "F"))
			synctest.Wait()
			w.orphan("orphan", "O")
			next := read(w.join("next", "N"))
			first.complete(t)
			next.complete(t)
			w.wantStage(event.StageWaiting, 1)
			read(w.join("another", "O")).complete(t)
			w.wantStreams(3)
		})
	})
}

// While others wait, orphans hold at most half of the stream slots: the oldest is
// stopped.
func TestOrphansHoldHalfOfTheSlots(t *testing.T) {
	bubble(t, func(w *world) {
		w.cfg.MaxConcurrentLLMStreams = 5
		w.tokens, w.unwind = 100, time.Millisecond
	}, func(t *testing.T, w *world) {
		var orphans []*manager.Subscription
		for i := range 5 {
			orphans = append(orphans, w.orphan(fmt.Sprint("o", i), fmt.Sprint("O", i)))
		}
		if s := w.Stats(); s.Orphans != 5 {
			t.Fatalf("%d orphans, want 5: nobody waits", s.Orphans)
		}
		var waiting []*reading
		for i, want := range []int{4, 3, 2, 2} {
			waiting = append(waiting, read(w.join(fmt.Sprint("w", i), fmt.Sprint("W", i))))
			time.Sleep(w.unwind)
			synctest.Wait()
			if s := w.Stats(); s.Orphans != want {
				t.Errorf("%d orphans beside %d who came later, want %d", s.Orphans, i+1, want)
			}
		}
		w.wantStage(event.StageWaiting, 1)
		// The two youngest are left, and are found.
		for i, s := range orphans {
			back, err := w.Join(w.request(fmt.Sprint("o", i), fmt.Sprint("O", i)))
			if err != nil {
				t.Fatal(err)
			}
			if same := back.GenerationID() == s.GenerationID(); same != (i >= 3) {
				t.Errorf("orphan %d: still there is %v", i, same)
			}
			waiting = append(waiting, read(back))
		}
		for _, r := range waiting {
			r.complete(t)
		}
		synctest.Wait()
		if w.maxStream > 5 {
			t.Errorf("%d streamed at a time", w.maxStream)
		}
	})
}

// One slot may be held by an orphan, for its grace.
func TestOrphanMayHoldTheOnlySlot(t *testing.T) {
	bubble(t, func(w *world) { w.cfg.MaxConcurrentLLMStreams, w.tokens = 1, 1000 }, func(_ *testing.T, w *world) {
		w.orphan("o", "O")
		r := w.join("r", "R")
		time.Sleep(w.cfg.OrphanGrace - 1)
		w.wantStreams(1)
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		w.wantStreams(2)
		w.cancel("r", manager.StateCancelled)
		r.Leave(manager.Cancelled)
	})
}

// The same rule holds within one upstream's own limit.
func TestOrphansHoldHalfOfAnUpstream(t *testing.T) {
	bubble(t, func(w *world) { w.upstream.MaxStreams, w.tokens = 3, 100 }, func(t *testing.T, w *world) {
		for i := range 3 {
			w.orphan(fmt.Sprint("o", i), fmt.Sprint("O", i))
		}
		r := read(w.join("r", "R"))
		synctest.Wait()
		if s := w.Stats(); s.Orphans != 2 || s.Generations[event.StageStreaming] != 3 {
			t.Errorf("%+v", s)
		}
		r.complete(t)
	})
}

// An orphan keeps its place as long as nobody needs it.
func TestOrphanStaysIfNobodyNeedsItsPlace(t *testing.T) {
	bubble(t, func(w *world) { w.cfg.PreparedBacklog, w.cfg.MaxConcurrentLLMStreams = 1, 1 }, func(t *testing.T, w *world) {
		a := read(w.join("a", "A"))
		synctest.Wait()
		b := read(w.join("b", "B"))
		synctest.Wait()
		o := w.orphan("o", "O") // prepared, holds one of ten permits
		back := read(w.join("o", "O"))
		if back.sub.GenerationID() != o.GenerationID() {
			t.Error("the lease was ended for nobody")
		}
		for _, r := range []*reading{a, b, back} {
			r.complete(t)
		}
	})
}

// Neither who may still have a permit of the free ones, nor another orphan, needs it.
func TestOrphanStaysBesideFreePermits(t *testing.T) {
	bubble(t, func(w *world) {
		w.cfg.PreparedBacklog, w.cfg.MaxConcurrentLLMStreams, w.tokens = 1, 1, 1000
	}, func(t *testing.T, w *world) {
		subs := map[string]*manager.Subscription{}
		for _, id := range []string{"streams", "waits", "blocked"} {
			subs[id] = w.join(id, id)
			synctest.Wait()
		}
		subs["blocked"].Leave(manager.Disconnected) // holds one of ten permits
		subs["new"] = w.join("new", "new")          // takes another
		synctest.Wait()
		w.cancel("new", manager.StateCancelled)
		subs["waits"].Leave(manager.Disconnected) // only orphans are left before the slot
		synctest.Wait()
		if s := w.Stats(); s.Orphans != 2 {
			t.Errorf("%d orphans are left, want 2: %+v", s.Orphans, s)
		}
		w.cancel("streams", manager.StateCancelled)
	})
}

// Who waits for a slot without a place in the backlog counts as waiting.
func TestOrphansHoldHalfWithoutABacklog(t *testing.T) {
	bubble(t, func(w *world) {
		w.cfg.PreparedBacklog, w.cfg.MaxConcurrentLLMStreams, w.tokens = 0, 4, 1000
	}, func(t *testing.T, w *world) {
		for i := range 4 {
			w.orphan(fmt.Sprint("o", i), fmt.Sprint("O", i))
		}
		r := w.join("r", "R")
		synctest.Wait()
		if s := w.Stats(); s.Orphans != 3 || s.Generations[event.StageStreaming] != 4 {
			t.Errorf("%+v", s)
		}
		w.cancel("r", manager.StateCancelled)
		r.Leave(manager.Cancelled)
	})
}

// Orphans hold no place that others need in a full queue or backlog.
func TestOrphanMakesWay(t *testing.T) {
	t.Run("queue", func(t *testing.T) {
		bubble(t, func(w *world) {
			w.cfg.QueueCapacity, w.cfg.MaxConcurrentRequests, w.prepare = 2, 1, time.Second
		}, func(t *testing.T, w *world) {
			a := read(w.join("a", "A"))
			w.orphan("o1", "O1")
			o2 := w.orphan("o2", "O2")
			b := read(w.join("b", "B"))
			back := read(w.join("o2", "O2"))
			if back.sub.GenerationID() != o2.GenerationID() {
				t.Error("the younger orphan was stopped")
			}
			wantReason(t, w, w.request("o1", "O1"), "QUEUE_FULL") // the older one is gone
			w.cancel("o1", manager.StateAlreadyFinished)
			a.complete(t)
			b.complete(t)
			back.complete(t)
		})
	})
	t.Run("backlog", func(t *testing.T) {
		bubble(t, func(w *world) {
			w.cfg.PreparedBacklog, w.cfg.MaxConcurrentLLMStreams = 1, 1
		}, func(t *testing.T, w *world) {
			a := read(w.join("a", "A"))
			synctest.Wait()
			w.orphan("o", "O") // holds the backlog's place
			w.wantStage(event.StageWaiting, 1)
			b := read(w.join("b", "B"))
			synctest.Wait()
			if s := w.Stats(); s.Orphans != 0 || s.Generations[event.StageWaiting] != 1 {
				t.Errorf("%+v", s)
			}
			a.complete(t)
			b.complete(t)
			w.wantStreams(2)
		})
	})
	t.Run("blocked", func(t *testing.T) {
		bubble(t, func(w *world) {
			w.cfg.PreparedBacklog, w.cfg.MaxConcurrentLLMStreams, w.cfg.MaxConcurrentRequests = 1, 1, 1
		}, func(t *testing.T, w *world) {
			a := read(w.join("a", "A"))
			synctest.Wait()
			b := read(w.join("b", "B"))
			synctest.Wait()
			o := w.join("o", "O") // prepared, keeps its permit
			synctest.Wait()
			c := read(w.join("c", "C"))
			w.wantStage(event.StageQueued, 1)
			o.Leave(manager.Disconnected) // c needs its permit
			synctest.Wait()
			if left := w.Left(); left.Blocked != 1 || left.Queue != 0 {
				t.Errorf("%+v", left)
			}
			for _, r := range []*reading{a, b, c} {
				r.complete(t)
			}
		})
	})
}

// Events that nobody listened to are counted.
func TestOrphanedEvents(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		s := w.join("a", "A")
		time.Sleep(w.firstToken)
		synctest.Wait()
		s.Leave(manager.Disconnected)
		time.Sleep(w.duration())
		synctest.Wait()
		// 4 stages and a token were listened to; 9 tokens, usage and the end not.
		if got := w.Stats(); got.Appended != 16 || got.Orphaned != 11 {
			t.Errorf("appended %d, orphaned %d, want 16 and 11", got.Appended, got.Orphaned)
		}
	})
}
