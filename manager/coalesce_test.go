package manager_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sauron-stream/sauron/manager"
	"github.com/sauron-stream/sauron/manager/fault"
)

// 200 identical callers at once: one upstream stream, one leader, equal texts.
func TestCoalesces(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		const callers = 200
		readings := make([]*reading, callers)
		var joining sync.WaitGroup
		for i := range callers {
			joining.Go(func() {
				s, err := w.Join(w.request(fmt.Sprint("id-", i), "A"))
				if err != nil {
					t.Error(err)
					return
				}
				readings[i] = read(s)
			})
		}
		joining.Wait()
		leaders := 0
		for _, r := range readings {
			if text := r.complete(t); text != w.answer("A") {
				t.Errorf("text %q, want %q", text, w.answer("A"))
			}
			if r.sub.Participation() == manager.Leader {
				leaders++
			}
			if r.tokens != 1 {
				t.Errorf("first token seen %d times", r.tokens)
			}
		}
		if leaders != 1 {
			t.Errorf("%d leaders", leaders)
		}
		if prepares, streams := w.counts(); prepares != 1 || streams != 1 {
			t.Errorf("got %d prepares and %d streams, want 1 and 1", prepares, streams)
		}
		if r := w.lastReport(); r.Requests != callers || r.Outcome != manager.Completed || r.Events != 16 {
			t.Errorf("report %+v", r)
		}
	})
}

// Joins spread over the whole life of a stream, the last just before its end.
func TestJoinAtAnyTime(t *testing.T) {
	bubble(t, func(w *world) { w.prepare = time.Second }, func(t *testing.T, w *world) {
		const callers = 200
		total := w.prepare + w.duration()
		var readings []*reading
		for i := range callers {
			readings = append(readings, read(w.join(fmt.Sprint("id-", i), "A")))
			if i < callers-2 {
				time.Sleep(total / callers)
			} else if i == callers-2 {
				time.Sleep(total - w.since() - 1)
			}
		}
		if got := w.since(); got != total-1 {
			t.Fatalf("last join at %v, want a nanosecond before %v", got, total)
		}
		for _, r := range readings {
			if text := r.complete(t); text != w.answer("A") {
				t.Errorf("text %q", text)
			}
		}
		w.wantStreams(1)
		if got := w.since(); got != total {
			t.Errorf("ended at %v, want %v", got, total)
		}
	})
}

func TestDifferentContentDoesNotShare(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		a, b := read(w.join("a", "A")), read(w.join("b", "B"))
		if a.complete(t) != w.answer("A") || b.complete(t) != w.answer("B") {
			t.Error("answers mixed")
		}
		w.wantStreams(2)
	})
}

// A generation that completed with all its readers is not shared with who comes
// later under another id.
func TestSequentialRequestsDoNotShare(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		read(w.join("a", "A")).complete(t)
		r := read(w.join("b", "A"))
		r.complete(t)
		if r.sub.Participation() != manager.Leader {
			t.Errorf("participation %s", r.sub.Participation())
		}
		w.wantStreams(2)
	})
}

// Without coalescing only streams of one id share.
func TestCoalescingOff(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		off := func(id string) *manager.Subscription {
			r := w.request(id, "A")
			r.Coalesce = false
			return w.joinRequest(r)
		}
		live := read(w.join("live", "A"))
		a1, b, a2 := read(off("a")), read(off("b")), read(off("a"))
		late := read(w.join("late", "A"))
		for _, r := range []*reading{live, a1, b, a2, late} {
			r.complete(t)
		}
		if a1.sub.GenerationID() != a2.sub.GenerationID() || a2.sub.Participation() != manager.Leader {
			t.Error("streams of one id must share, each as the leader")
		}
		if late.sub.GenerationID() != live.sub.GenerationID() {
			t.Error("a sharing request must share with the sharing one only")
		}
		w.wantStreams(3)
	})
}

// Racing creators of one uncoalesced id make one generation.
func TestCoalescingOffRace(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		var readings [50]*reading
		var joining sync.WaitGroup
		for i := range readings {
			joining.Go(func() {
				r := w.request("a", "A")
				r.Coalesce = false
				readings[i] = read(w.joinRequest(r))
			})
		}
		joining.Wait()
		for _, r := range readings {
			r.complete(t)
		}
		w.wantStreams(1)
	})
}

// However creators race, there is one generation of a key, and of an id.
func TestRacingCreators(t *testing.T) {
	w := newWorld(t, func(w *world) { w.cfg.QueueCapacity = 1 << 20 })
	defer w.Close()
	for round := range 3000 {
		var joining sync.WaitGroup
		begin := make(chan struct{})
		var ids [4]string
		for i := range ids {
			r := w.request(fmt.Sprint(round, "-", i), fmt.Sprint(round))
			if round%2 == 0 {
				r.ID, r.Coalesce = fmt.Sprint(round), false
			}
			joining.Go(func() {
				<-begin
				ids[i] = w.joinRequest(r).GenerationID()
			})
		}
		close(begin)
		joining.Wait()
		if ids != [...]string{ids[0], ids[0], ids[0], ids[0]} {
			t.Fatalf("round %d: %q", round, ids)
		}
	}
}

func TestRequestIDInUse(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		r := read(w.join("a", "A"))
		wantReason(t, w, w.request("a", "B"), fault.RequestIDInUse)
		// Another tenant's id is another id.
		other := w.request("a", "B")
		other.Tenant = "other"
		read(w.joinRequest(other)).complete(t)
		r.complete(t)
		// Finished, the id is free for other content at once.
		if text := read(w.join("a", "B")).complete(t); text != w.answer("B") {
			t.Errorf("text %q", text)
		}
	})
}

// An id names one generation at a time: while a stream of it still reads an ended
// log, other content is refused.
func TestRequestIDInUseWhileReading(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		lagging := w.join("a", "A")
		time.Sleep(w.duration())
		synctest.Wait()
		wantReason(t, w, w.request("a", "B"), fault.RequestIDInUse)
		read(lagging).complete(t)
		read(w.join("a", "B")).complete(t)
	})
}

// Every reader sees the same entries whatever it asks for at once, and a slow one
// costs the others nothing.
func TestSlowReader(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		slow, fast := w.join("slow", "A"), read(w.join("fast", "A"))
		fast.complete(t)
		if got := w.since(); got != w.duration() {
			t.Errorf("fast reader ended at %v, want %v", got, w.duration())
		}
		late := &reading{sub: slow}
		for late.end == nil {
			b := slow.Next(1) // one entry at a time
			if b.Events > 1 {
				t.Fatalf("%d entries in one byte", b.Events)
			}
			late.take(b)
		}
		slow.Leave(late.end.Outcome)
		if !slices.Equal(late.lines, fast.lines) {
			t.Errorf("slow read %q, fast %q", late.lines, fast.lines)
		}
	})
}

// Completion tokens count as shared for every reader but the first.
func TestSharedTokens(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		var readings []*reading
		for i := range 4 {
			readings = append(readings, read(w.join(fmt.Sprint(i), "A")))
		}
		var shared int64
		for _, r := range readings {
			r.complete(t)
			shared += r.sub.SharedTokens()
		}
		if want := int64(3 * w.tokens); shared != want {
			t.Errorf("shared %d tokens, want %d", shared, want)
		}
	})
}

// wantReason fails unless r is refused for reason.
func wantReason(t *testing.T, w *world, r manager.Request, reason fault.Reason) {
	t.Helper()
	s, err := w.Join(r)
	if err == nil {
		s.Leave(manager.Deadline)
		t.Fatalf("join %s: want %s, got a subscription", r.ID, reason)
	}
	wantFault(t, err, reason)
}
