package manager_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sauron-stream/sauron/manager"
	"github.com/sauron-stream/sauron/manager/event"
	"github.com/sauron-stream/sauron/manager/fault"
)

// Draining refuses new generations, lets running ones end, lets others attach to
// them, and stops orphans.
func TestDrain(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		a := read(w.join("a", "A"))
		w.orphan("o", "O")
		drained := make(chan struct{})
		go func() {
			defer close(drained)
			w.Drain(t.Context())
		}()
		synctest.Wait()
		if s := w.Stats(); s.Orphans != 0 {
			t.Errorf("%d orphans", s.Orphans)
		}
		_, err := w.Join(w.request("b", "B"))
		if f := wantFault(t, err, fault.Draining); f.RetryAfter <= 0 {
			t.Error("no hint when to retry")
		}
		late := read(w.join("late", "A"))
		gone := w.join("gone", "A")
		gone.Leave(manager.Disconnected) // leaves no lease now
		w.cancel("gone", manager.StateAlreadyFinished)
		w.cancel("o", manager.StateAlreadyFinished)
		a.complete(t)
		late.complete(t)
		<-drained
		if got := w.since(); got != w.duration() {
			t.Errorf("drained at %v, want %v", got, w.duration())
		}
	})
}

// A drain waits for readers of what has ended.
func TestDrainWaitsForReaders(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		lagging := w.join("a", "A")
		time.Sleep(w.duration())
		drained := make(chan struct{})
		go func() {
			defer close(drained)
			w.Drain(t.Context())
		}()
		time.Sleep(time.Minute)
		synctest.Wait()
		select {
		case <-drained:
			t.Error("drained before the last reader was done")
		default:
		}
		read(lagging).complete(t)
		<-drained
	})
}

// At its end a drain ends what is left in any stage, and every reader has all
// events first.
func TestDrainTimeout(t *testing.T) {
	inStages(t, func(t *testing.T, w *world, stage event.Stage) {
		r := read(w.join("a", "A"))
		w.wantStage(stage, 1)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		w.Drain(ctx)
		if f := r.failed(t, fault.Draining); f.RetryAfter <= 0 {
			t.Error("no hint when to retry")
		}
		if r.end.Outcome != manager.Stopped {
			t.Errorf("ended %s", r.end.Outcome)
		}
		if len(r.lines) != int(stage)+btoi(stage == event.StageStreaming) {
			t.Errorf("got %q", r.lines)
		}
	})
}

// Close ends everything at once, is idempotent, and waits for the owner goroutines.
func TestCloseWaits(t *testing.T) {
	bubble(t, func(w *world) { w.unwind = 3 * time.Second }, func(t *testing.T, w *world) {
		r := read(w.join("a", "A"))
		time.Sleep(w.firstToken + 1)
		w.Close()
		if got, want := w.since(), w.firstToken+1+w.unwind; got != want {
			t.Errorf("closed at %v, want %v", got, want)
		}
		r.failed(t, fault.Draining)
		w.nothingLeft() // who leaves now leaves no lease
		wantReason(t, w, w.request("b", "B"), fault.Draining)
		w.Close()
	})
}
