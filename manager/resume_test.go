package manager_test

import (
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sauron-stream/sauron/manager"
	"github.com/sauron-stream/sauron/manager/event"
	"github.com/sauron-stream/sauron/manager/fault"
)

// resume returns a request of id for content that goes on in generation.
func (w *world) resume(id, content, generation string, after int64) manager.Request {
	r := w.request(id, content)
	r.Resume = &manager.ResumePoint{GenerationID: generation, After: after}
	return r
}

// resumes attaches to a generation of "A" and reads what follows after.
func (w *world) resumes(id, generation string, after int) *reading {
	w.t.Helper()
	r := &reading{sub: w.joinRequest(w.resume(id, "A", generation, int64(after))), from: after, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.run()
	}()
	return r
}

// Whoever resumes gets what lies beyond its point and nothing else, at every point, under
// its own id or another, while the generation runs and when it has ended.
func TestResume(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		first := read(w.join("a", "A"))
		time.Sleep(w.firstToken + 4*w.interToken)
		synctest.Wait()
		id, there := first.sub.GenerationID(), 4+5 // stages, tokens
		var resumed []*reading
		for after := range there + 1 {
			for _, name := range []string{"a", "b", fmt.Sprint("c", after)} {
				r := w.resumes(name, id, after)
				if p := r.sub.Participation(); p != manager.Follower || r.sub.GenerationID() != id {
					t.Errorf("%s took part in %s as %s", name, r.sub.GenerationID(), p)
				}
				resumed = append(resumed, r)
			}
		}
		first.complete(t)
		for _, r := range resumed {
			r.complete(t)
			if want := first.lines[r.from:]; !slices.Equal(r.lines, want) {
				t.Errorf("after %d: got %q, want %q", r.from, r.lines, want)
			}
		}
		for after := range first.lines { // it has ended
			r := w.resumes("d", id, after)
			r.complete(t)
			if r.sub.Participation() != manager.Replay || !slices.Equal(r.lines, first.lines[after:]) {
				t.Errorf("after %d: %q as %s", after, r.lines, r.sub.Participation())
			}
		}
		w.wantStreams(1)
	})
}

// At exactly the last event the end comes again: the event that completes the answer,
// or the failure.
func TestResumeAtTheEnd(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		first := read(w.join("a", "A"))
		first.complete(t)
		last := len(first.lines)
		r := w.resumes("b", first.sub.GenerationID(), last)
		<-r.done
		if r.end.Outcome != manager.Completed || !slices.Equal(r.lines, first.lines[last-1:]) {
			t.Errorf("got %q and %s, want the last event and its end", r.lines, r.end.Outcome)
		}
	})
	bubble(t, func(w *world) { w.cfg.GenerationTimeout = 1050 * time.Millisecond }, func(t *testing.T, w *world) {
		first := read(w.join("a", "A"))
		first.failed(t, fault.GenerationTimeout)
		for after := range len(first.lines) + 1 {
			r := w.resumes("b", first.sub.GenerationID(), after)
			r.failed(t, fault.GenerationTimeout)
			if !slices.Equal(r.lines, first.lines[after:]) {
				t.Errorf("after %d: got %q", after, r.lines)
			}
		}
		w.wantStreams(1)
	})
}

// A resume finds a generation in whatever stage, and counts as somebody who wants it.
func TestResumeInStages(t *testing.T) {
	inStages(t, func(t *testing.T, w *world, stage event.Stage) {
		s := w.join("a", "A")
		w.wantStage(stage, 1)
		s.Leave(manager.Disconnected)
		time.Sleep(w.cfg.OrphanGrace - 1)
		r := w.resumes("b", s.GenerationID(), 1)
		time.Sleep(w.cfg.OrphanGrace) // of which the lease had 1 ns left
		w.wantStage(stage, 1)
		w.cancel("b", manager.StateCancelled)
		r.cancelled(t)
		if other := w.Stats(); other.Orphans != 0 {
			t.Errorf("%d orphans", other.Orphans)
		}
	})
}

// A resume under a lease takes the lease's place; without one the generation is gone,
// and nothing is started.
func TestResumeUnderALease(t *testing.T) {
	for _, id := range []string{"a", "b"} {
		bubble(t, nil, func(t *testing.T, w *world) {
			s := w.join("a", "A")
			time.Sleep(w.firstToken)
			synctest.Wait()
			s.Leave(manager.Disconnected)
			time.Sleep(w.cfg.OrphanGrace - 1) // it has ended meanwhile
			r := w.resumes(id, s.GenerationID(), 2)
			r.complete(t)
			if r.sub.Participation() != manager.Replay {
				t.Errorf("took part as %s", r.sub.Participation())
			}
			time.Sleep(w.cfg.OrphanGrace)
			synctest.Wait()
			wantReason(t, w, w.resume(id, "A", s.GenerationID(), 2), fault.GenerationGone)
			w.wantStreams(1)
		})
	}
}

func TestResumeRefused(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		first := read(w.join("a", "A"))
		other := read(w.join("x", "X"))
		time.Sleep(w.firstToken)
		synctest.Wait()
		id := first.sub.GenerationID()
		stranger := w.resume("b", "A", id, 0)
		stranger.Tenant = "other"
		for _, tt := range []struct {
			name string
			r    manager.Request
			want fault.Reason
		}{
			{"unknown", w.resume("b", "A", "nothing", 0), fault.GenerationGone},
			{"empty", w.resume("b", "A", "", 0), fault.GenerationGone},
			{"tenant", stranger, fault.GenerationGone},
			{"content", w.resume("b", "B", id, 0), fault.ResumeMismatch},
			{"own_content", w.resume("a", "B", id, 0), fault.ResumeMismatch},
			{"beyond", w.resume("b", "A", id, int64(first.read())+1), fault.ResumeOutOfRange},
			{"far_beyond", w.resume("b", "A", id, math.MaxInt64), fault.ResumeOutOfRange},
			{"in_use", w.resume("x", "A", id, 0), fault.RequestIDInUse},
		} {
			if _, err := w.Join(tt.r); err == nil {
				t.Errorf("%s: was let in", tt.name)
			} else {
				wantFault(t, err, tt.want)
			}
		}
		if prepares, _ := w.counts(); prepares != 2 {
			t.Errorf("%d generations, want 2: a refused resume started one", prepares)
		}
		first.complete(t)
		other.complete(t)
		wantReason(t, w, w.resume("b", "A", id, int64(len(first.lines))+1), fault.ResumeOutOfRange)
		// An id whose stream had its end is free for another generation.
		r := w.resumes("x", id, 0)
		r.complete(t)
		if r.text() != first.text() {
			t.Errorf("got %q", r.text())
		}
	})
	// A failure before the first token is not kept: there is nothing to go on in.
	bubble(t, func(w *world) { w.cfg.GenerationTimeout = 950 * time.Millisecond }, func(t *testing.T, w *world) {
		unread := w.join("a", "A") // still holds it
		time.Sleep(w.firstToken)
		synctest.Wait()
		wantReason(t, w, w.resume("b", "A", unread.GenerationID(), 0), fault.GenerationGone)
		unread.Leave(manager.Failed)
	})
}

// Who was stopped is gone at once, not only when its upstream has let go.
func TestResumeOfADyingGeneration(t *testing.T) {
	bubble(t, func(w *world) { w.unwind = 100 * time.Millisecond }, func(t *testing.T, w *world) {
		first := read(w.join("a", "A"))
		time.Sleep(w.firstToken)
		synctest.Wait()
		w.cancel("a", manager.StateCancelled)
		wantReason(t, w, w.resume("b", "A", first.sub.GenerationID(), 0), fault.GenerationGone)
		first.cancelled(t)
	})
}

// An id that still reads another log, even an ended one, is in use.
func TestResumeUnderAnIDThatReads(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		first, slow := read(w.join("a", "A")), w.join("x", "X")
		first.complete(t)
		time.Sleep(w.duration())
		synctest.Wait() // X has ended too, and is not read yet
		wantReason(t, w, w.resume("x", "A", first.sub.GenerationID(), 0), fault.RequestIDInUse)
		read(slow).complete(t)
		w.resumes("x", first.sub.GenerationID(), 0).complete(t)
	})
}

// A lease on another generation is not given up for a resume either.
func TestResumeUnderTheIDOfALease(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		first := read(w.join("a", "A"))
		lost := w.join("x", "X")
		lost.Leave(manager.Disconnected)
		wantReason(t, w, w.resume("x", "A", first.sub.GenerationID(), 0), fault.RequestIDInUse)
		if s := w.Stats(); s.Orphans != 1 {
			t.Errorf("%d orphans, want the lease's", s.Orphans)
		}
		first.complete(t)
	})
}

// Who was cancelled can't tell by a resume whether the others go on.
func TestResumeOfACancelledID(t *testing.T) {
	for _, others := range []bool{false, true} {
		bubble(t, nil, func(t *testing.T, w *world) {
			first := read(w.join("a", "A"))
			if others {
				other := read(w.join("b", "A"))
				defer func() { other.complete(t) }()
			}
			time.Sleep(w.firstToken)
			synctest.Wait()
			w.cancel("a", manager.StateCancelled)
			first.cancelled(t)
			for _, after := range []int{0, 2, len(first.lines)} {
				r := w.resumes("a", first.sub.GenerationID(), after)
				r.from = 0 // it gets nothing
				r.cancelled(t)
				if r.sub.GenerationID() != first.sub.GenerationID() || r.sub.Participation() != manager.Follower || len(r.lines) > 0 {
					t.Errorf("others %t: %q of %s as %s", others, r.lines, r.sub.GenerationID(), r.sub.Participation())
				}
			}
			w.wantStreams(1)
		})
	}
}

// A drain lets a caller go on where it was.
func TestResumeWhileDraining(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		first := read(w.join("a", "A"))
		time.Sleep(w.firstToken)
		drained := make(chan struct{})
		go func() {
			defer close(drained)
			w.Drain(t.Context())
		}()
		synctest.Wait()
		r := w.resumes("b", first.sub.GenerationID(), 3)
		r.complete(t)
		first.complete(t)
		<-drained
	})
}

// A reader that had a part of the answer before has not been spared the whole of it.
func TestResumeSharesNothing(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		first := read(w.join("a", "A"))
		time.Sleep(w.firstToken)
		synctest.Wait()
		r, whole := w.resumes("b", first.sub.GenerationID(), 5), w.resumes("c", first.sub.GenerationID(), 0)
		first.complete(t)
		r.complete(t)
		whole.complete(t)
		if got := first.sub.SharedTokens() + whole.sub.SharedTokens(); got != int64(w.tokens) || r.sub.SharedTokens() != 0 {
			t.Errorf("%d and %d tokens were shared, want %d and 0", got, r.sub.SharedTokens(), w.tokens)
		}
		if r.tokens != 0 || whole.tokens != 1 {
			t.Errorf("the first token came %d and %d times, want 0 and 1", r.tokens, whole.tokens)
		}
	})
}

// A resume point against a model of the log: whatever the log holds, whether it runs,
// has completed or failed, the answer is the rest of it, or the one refusal.
func FuzzResumePoint(f *testing.F) {
	f.Add(int64(0), uint8(3), uint8(0), 1)
	f.Add(int64(7), uint8(3), uint8(1), 100)
	f.Add(int64(8), uint8(3), uint8(1), 7)
	f.Add(int64(9), uint8(3), uint8(2), 1<<20)
	f.Add(int64(math.MaxInt64), uint8(0), uint8(2), 0)
	f.Fuzz(func(t *testing.T, after int64, tokens, state uint8, limit int) {
		if after < 0 {
			t.Skip("refused by validation")
		}
		state %= 3 // running, completed, failed
		bubble(t, nil, func(t *testing.T, w *world) {
			release := make(chan struct{})
			w.streaming = func(int, int) iter.Seq2[event.Event, error] {
				return func(yield func(event.Event, error) bool) {
					for i := range tokens {
						if !yield(event.Text(fmt.Sprint(i)), nil) {
							return
						}
					}
					switch state {
					case 0:
						<-release
						fallthrough
					case 1:
						yield(finished(), nil)
					case 2:
						yield(event.Event{}, fault.New(fault.UpstreamBroken, nil))
					}
				}
			}
			first := w.join("a", "A")
			synctest.Wait()
			var log []string
			for b := first.Next(1 << 20); len(b.Data) > 0; b = first.Next(1 << 20) {
				log = append(log, strings.Split(strings.TrimSuffix(string(b.Data), "\n"), "\n")...)
			}
			stages := 4
			if want := stages + int(tokens) + btoi(state == 1); len(log) != want {
				t.Fatalf("the log has %d entries, want %d", len(log), want)
			}

			sub, err := w.Join(w.resume("b", "A", first.GenerationID(), after))
			gone := state == 2 && tokens == 0 // a failure before the first token is not kept
			switch {
			case gone:
				wantFault(t, err, fault.GenerationGone)
			case after > int64(len(log)):
				wantFault(t, err, fault.ResumeOutOfRange)
			case err != nil:
				t.Errorf("after %d of %d: %v", after, len(log), err)
			default:
				from := int(after)
				if state == 1 && from == len(log) {
					from-- // the end comes again
				}
				r := &reading{sub: sub, from: from}
				for len(r.lines) < len(log)-from {
					b := sub.Next(limit)
					if len(b.Data) == 0 {
						t.Fatalf("%d entries, then nothing", len(r.lines))
					}
					r.take(b)
				}
				if !slices.Equal(r.lines, log[from:]) {
					t.Errorf("after %d: got %q, want %q", after, r.lines, log[from:])
				}
				if r.end == nil {
					r.take(sub.Next(limit))
				}
				want := []manager.Outcome{"", manager.Completed, manager.Failed}[state]
				if r.end == nil != (want == "") || r.end != nil && r.end.Outcome != want {
					t.Errorf("ended with %v, want %q", r.end, want)
				}
				sub.Leave(manager.Completed)
			}
			close(release)
			first.Leave(manager.Completed)
			synctest.Wait()
		})
	})
}
