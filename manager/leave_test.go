package manager_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sauron-stream/sauron/manager"
	"github.com/sauron-stream/sauron/manager/event"
	"github.com/sauron-stream/sauron/manager/fault"
)

// inStages runs f once for each stage that a generation can be left in, with the
// generation of content "A" held in that stage. It ends 100 s later unless it is
// stopped.
func inStages(t *testing.T, f func(t *testing.T, w *world, stage event.Stage)) {
	for stage := event.StageQueued; stage <= event.StageStreaming; stage++ {
		t.Run(stage.String(), func(t *testing.T) {
			bubble(t, func(w *world) {
				w.cfg.MaxConcurrentRequests, w.cfg.MaxConcurrentLLMStreams = 1, 1
				w.cfg.OrphanGrace, w.cfg.IDMemory = 10*time.Second, 60*time.Second
				w.tokens, w.interToken, w.firstToken = 11, time.Second, 90*time.Second
				w.unwind = 50 * time.Millisecond
				if stage == event.StageQueued || stage == event.StagePreparing {
					w.prepare = 100 * time.Second
				}
				if stage == event.StageStreaming {
					w.firstToken = 0
					w.interToken = 10 * time.Second
				}
			}, func(t *testing.T, w *world) {
				var blocker *reading
				if stage == event.StageQueued || stage == event.StageWaiting {
					blocker = read(w.join("blocker", "B"))
					synctest.Wait()
				}
				f(t, w, stage)
				if blocker != nil {
					_, _ = w.Cancel("t", "blocker")
					<-blocker.done
				}
			})
		})
	}
}

// stageOf fails unless the generation of "A" is in stage.
func (w *world) wantStage(stage event.Stage, n int) {
	w.t.Helper()
	synctest.Wait()
	if got := w.Stats().Generations[stage]; got != n {
		w.t.Errorf("%d generations are %s, want %d", got, stage, n)
	}
}

// cancelled waits for the end and fails unless it is a cancellation.
func (r *reading) cancelled(t *testing.T) {
	t.Helper()
	<-r.done
	if r.end.Outcome != manager.Cancelled || r.end.Err != nil {
		t.Errorf("%s ended %s, want cancelled", r.sub.RequestID(), r.end.Outcome)
	}
	if err := r.check(); err != nil {
		t.Error(err)
	}
}

func (w *world) cancel(id string, want manager.CancelState) {
	w.t.Helper()
	got, err := w.Cancel("t", id)
	if err != nil || got != want {
		w.t.Errorf("cancel %s: got %d, %v, want %d", id, got, err, want)
	}
}

// A cancelled leader and a cancelled follower get the same, the others go on
// untouched, and the last one who cancels stops the upstream.
func TestCancel(t *testing.T) {
	for _, first := range []string{"leader", "follower"} {
		t.Run(first, func(t *testing.T) {
			inStages(t, func(t *testing.T, w *world, stage event.Stage) {
				readings := map[string]*reading{"leader": read(w.join("leader", "A"))}
				readings["follower"] = read(w.join("follower", "A"))
				readings["second"] = read(w.join("leader", "A")) // a second stream of the same id
				w.wantStage(stage, 1)
				time.Sleep(time.Second)
				at := w.since()

				w.cancel(first, manager.StateCancelled)
				readings[first].cancelled(t)
				if first == "leader" {
					readings["second"].cancelled(t)
				}
				w.cancel(first, manager.StateCancelled) // again
				w.wantStage(stage, 1)

				other := map[string]string{"leader": "follower", "follower": "leader"}[first]
				late := read(w.join("late", "A"))
				if late.sub.GenerationID() != readings[other].sub.GenerationID() {
					t.Error("the generation did not go on")
				}
				w.cancel(other, manager.StateCancelled)
				readings[other].cancelled(t)
				w.wantStage(stage, 1)
				w.cancel("late", manager.StateCancelled)
				late.cancelled(t)
				if got := w.since(); got != at {
					t.Errorf("cancelled at %v, want %v", got, at)
				}
				blockers := btoi(stage == event.StageQueued || stage == event.StageWaiting)
				if s := w.Stats(); s.Subscriptions != blockers || s.Orphans != 0 {
					t.Errorf("left: %+v", s)
				}
				// Its upstream has really been stopped: at once, but for its own
				// unwinding.
				time.Sleep(w.unwind)
				synctest.Wait()
				if r := w.lastReport(); r.Outcome != manager.Stopped || r.Reached != stage {
					t.Errorf("report %+v", r)
				}

				// A late retry with the same content stays cancelled and is shown the
				// same generation; other content is new.
				retry := read(w.join(first, "A"))
				retry.cancelled(t)
				if retry.sub.GenerationID() != readings[first].sub.GenerationID() || len(retry.lines) != 0 ||
					retry.sub.Participation() != readings[first].sub.Participation() {
					t.Errorf("a late retry was shown %s as %s with %d events",
						retry.sub.GenerationID(), retry.sub.Participation(), len(retry.lines))
				}
				fresh := read(w.join(first, "C"))
				if fresh.sub.GenerationID() == retry.sub.GenerationID() {
					t.Error("other content attached to the old generation")
				}
				w.cancel(first, manager.StateCancelled)
				fresh.cancelled(t)
			})
		})
	}
}

// An id is forgotten a while after it was cancelled, or after it ended.
func TestIDMemory(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		if _, err := w.Cancel("t", "a"); !errors.Is(err, manager.ErrUnknownRequest) {
			t.Errorf("cancel before generate: %v", err)
		}
		a := read(w.join("a", "A"))
		if _, err := w.Cancel("other", "a"); !errors.Is(err, manager.ErrUnknownRequest) {
			t.Errorf("another tenant's cancel: %v", err)
		}
		w.cancel("a", manager.StateCancelled)
		a.cancelled(t)
		b := read(w.join("b", "B"))
		b.complete(t)
		ended := w.since()
		w.cancel("b", manager.StateAlreadyFinished)

		time.Sleep(w.cfg.IDMemory - ended - 1)
		w.cancel("a", manager.StateCancelled)
		time.Sleep(time.Nanosecond)
		if _, err := w.Cancel("t", "a"); !errors.Is(err, manager.ErrUnknownRequest) {
			t.Errorf("cancel of a forgotten id: %v", err)
		}
		time.Sleep(ended - 1)
		w.cancel("b", manager.StateAlreadyFinished)
		time.Sleep(time.Nanosecond)
		if _, err := w.Cancel("t", "b"); !errors.Is(err, manager.ErrUnknownRequest) {
			t.Errorf("cancel of a forgotten id: %v", err)
		}
		synctest.Wait()
		time.Sleep(w.cfg.OrphanGrace)
		synctest.Wait()
		if left := w.Left(); left.Requests != 0 || left.Remembered != 0 {
			t.Errorf("left %+v", left)
		}
		// A cancelled id begins anew when it is forgotten.
		read(w.join("a", "A")).complete(t)
	})
}

// The memory of ids is bounded: the oldest are forgotten early.
func TestIDMemoryIsBounded(t *testing.T) {
	bubble(t, func(w *world) { w.cfg.OrphanGrace = 0 }, func(t *testing.T, w *world) {
		leader := w.join("leader", "A")
		for i := range manager.MaxRemembered + 10 {
			s := w.join(fmt.Sprint(i), "A")
			w.cancel(fmt.Sprint(i), manager.StateCancelled)
			s.Leave(manager.Cancelled)
		}
		if left := w.Left(); left.Remembered != manager.MaxRemembered || left.Requests != manager.MaxRemembered+1 {
			t.Errorf("remembered %d of %d ids", left.Remembered, left.Requests)
		}
		if _, err := w.Cancel("t", "9"); !errors.Is(err, manager.ErrUnknownRequest) {
			t.Errorf("the oldest is still known: %v", err)
		}
		w.cancel("10", manager.StateCancelled)
		w.cancel("leader", manager.StateCancelled)
		leader.Leave(manager.Cancelled)
	})
}

// The leader disconnects: followers go on; it may come back as the leader.
func TestLeaderDisconnects(t *testing.T) {
	inStages(t, func(t *testing.T, w *world, stage event.Stage) {
		leader, follower := w.join("leader", "A"), read(w.join("follower", "A"))
		w.wantStage(stage, 1)
		leader.Leave(manager.Disconnected)
		time.Sleep(2 * w.cfg.OrphanGrace) // its lease is long over
		w.wantStage(stage, 1)
		back := read(w.join("leader", "A"))
		if back.sub.GenerationID() != follower.sub.GenerationID() || back.sub.Participation() != manager.Leader {
			t.Errorf("came back to %s as %s", back.sub.GenerationID(), back.sub.Participation())
		}
		w.cancel("leader", manager.StateCancelled)
		w.cancel("follower", manager.StateCancelled)
		back.cancelled(t)
		follower.cancelled(t)
	})
}

// The last one disconnects: the generation goes on for the grace, then ends. The
// lease's end frees the place.
func TestLastDisconnects(t *testing.T) {
	inStages(t, func(t *testing.T, w *world, stage event.Stage) {
		s := w.join("a", "A")
		w.wantStage(stage, 1)
		at := w.since()
		s.Leave(manager.Disconnected)
		time.Sleep(w.cfg.OrphanGrace - 1)
		w.wantStage(stage, 1)
		if s := w.Stats(); s.Orphans != 1 {
			t.Errorf("%d orphans", s.Orphans)
		}
		time.Sleep(time.Nanosecond)
		w.wantStage(stage, btoi(stage == event.StageStreaming)) // unwinding
		time.Sleep(w.unwind)
		w.wantStage(stage, 0)
		if r := w.lastReport(); r.Outcome != manager.Stopped {
			t.Errorf("report %+v", r)
		}
		if stage == event.StageStreaming && w.streamEnded[0] != at+w.cfg.OrphanGrace+w.unwind {
			t.Errorf("the upstream ended at %v", w.streamEnded[0])
		}
		w.cancel("a", manager.StateAlreadyFinished)
	})
}

// A retry within the grace, under the same id or another, while the generation runs:
// the same generation from its first event, and no second one.
func TestRetryAttaches(t *testing.T) {
	for _, id := range []string{"a", "other"} {
		t.Run(id, func(t *testing.T) {
			inStages(t, func(t *testing.T, w *world, stage event.Stage) {
				lost := w.join("a", "A")
				w.wantStage(stage, 1)
				lost.Leave(manager.Disconnected)
				time.Sleep(w.cfg.OrphanGrace - 1)
				back := read(w.join(id, "A"))
				if back.sub.GenerationID() != lost.GenerationID() {
					t.Error("got another generation")
				}
				time.Sleep(2 * w.cfg.OrphanGrace) // it is no orphan any more
				w.wantStage(stage, 1)
				if len(back.lines) == 0 {
					t.Error("did not get what was there")
				}
				if id == "a" {
					w.cancel(id, manager.StateCancelled)
				} else {
					w.cancel("other", manager.StateCancelled)
				}
				back.cancelled(t)
			})
		})
	}
}

// A retry two seconds after the generation completed under a lease gets it whole,
// under the same id and under another, and nothing is asked twice.
func TestRetryAfterTheEnd(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		lost := w.join("a", "A")
		time.Sleep(w.firstToken)
		lost.Leave(manager.Disconnected)
		time.Sleep(w.duration() - w.firstToken + 2*time.Second)
		for _, id := range []string{"b", "a", "b", "c"} {
			r := read(w.join(id, "A"))
			if text := r.complete(t); text != w.answer("A") {
				t.Errorf("%s got %q", id, text)
			}
			if r.sub.Participation() != manager.Replay || r.sub.GenerationID() != lost.GenerationID() {
				t.Errorf("%s took part as %s", id, r.sub.Participation())
			}
		}
		w.wantStreams(1)
		// When the lease would have ended, the log is no longer found by its key, but
		// still by the ids that had a stream on it.
		time.Sleep(w.cfg.OrphanGrace - (w.since() - w.firstToken))
		synctest.Wait()
		read(w.join("c", "A")).complete(t)
		w.wantStreams(1)
		read(w.join("d", "A")).complete(t)
		w.wantStreams(2)
	})
}

// The same id with the same content gets an ended log again for the grace, then it
// begins anew.
func TestKeptLog(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		first := read(w.join("a", "A"))
		first.complete(t)
		again := read(w.join("a", "A"))
		again.complete(t)
		if again.sub.Participation() != manager.Replay || again.sub.GenerationID() != first.sub.GenerationID() {
			t.Errorf("took part in %s as %s", again.sub.GenerationID(), again.sub.Participation())
		}
		w.cancel("a", manager.StateAlreadyFinished)
		time.Sleep(w.cfg.OrphanGrace - 1)
		read(w.join("a", "A")).complete(t) // each stream keeps it anew
		time.Sleep(w.cfg.OrphanGrace - 1)
		synctest.Wait()
		if s := w.Stats(); s.LogBytes == 0 {
			t.Error("the log is gone before its time")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if s := w.Stats(); s.LogBytes != 0 {
			t.Errorf("%d bytes of logs are kept", s.LogBytes)
		}
		w.wantStreams(1)
		read(w.join("a", "A")).complete(t)
		w.wantStreams(2)
	})
}

// The deadline of a stream that had its end does not bound how long the log is kept.
func TestKeptLogOutlivesTheDeadline(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		r := w.request("a", "A")
		r.Deadline = time.Now().Add(w.duration() + time.Second)
		read(w.joinRequest(r)).complete(t)
		time.Sleep(w.cfg.OrphanGrace - 1)
		read(w.join("a", "A")).complete(t)
		w.wantStreams(1)
	})
}

// Of several leases the longest says how long a completed log is found by its key.
func TestLongestLeaseKeepsTheKey(t *testing.T) {
	bubble(t, func(w *world) { w.cfg.OrphanGrace = 30 * time.Second }, func(t *testing.T, w *world) {
		var all []*manager.Subscription
		for i := range 20 { // any of them may be looked at last
			r := w.request(fmt.Sprint(i), "A")
			r.OrphanGrace = time.Duration(10+i) * time.Second
			all = append(all, w.joinRequest(r))
		}
		synctest.Wait()
		for _, s := range all {
			s.Leave(manager.Disconnected)
		}
		time.Sleep(29*time.Second - 1)
		read(w.join("late", "A")).complete(t)
		w.wantStreams(1)
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		read(w.join("too late", "A")).complete(t)
		w.wantStreams(2)
	})
}

// A generation that failed after its first token is kept with its failure; before
// it, the same id tries afresh.
func TestFailedLog(t *testing.T) {
	bubble(t, func(w *world) { w.cfg.GenerationTimeout = 1050 * time.Millisecond }, func(t *testing.T, w *world) {
		r := read(w.join("a", "A"))
		r.failed(t, fault.GenerationTimeout)
		again := read(w.join("a", "A"))
		again.failed(t, fault.GenerationTimeout)
		if again.text() != "A-0 " || again.sub.Participation() != manager.Replay {
			t.Errorf("got %q as %s", again.text(), again.sub.Participation())
		}
		w.wantStreams(1)
		// But it is nobody else's.
		read(w.join("b", "A")).failed(t, fault.GenerationTimeout)
		w.wantStreams(2)
	})
	bubble(t, func(w *world) { w.cfg.GenerationTimeout = 950 * time.Millisecond }, func(t *testing.T, w *world) {
		lost := w.join("lost", "A")
		r := read(w.join("a", "A"))
		lost.Leave(manager.Disconnected)
		r.failed(t, fault.GenerationTimeout)
		if s := w.Stats(); s.LogBytes != 0 {
			t.Errorf("%d bytes are kept", s.LogBytes)
		}
		read(w.join("a", "A")).failed(t, fault.GenerationTimeout)
		w.cancel("lost", manager.StateAlreadyFinished)
		w.wantStreams(2)
	})
}

// Of a generation that completed while only its lease was left, a Cancel says
// cancelled, and the log goes.
func TestCancelOfALease(t *testing.T) {
	for _, ended := range []bool{false, true} {
		t.Run(fmt.Sprint("ended_", ended), func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, w *world) {
				s := w.join("a", "A")
				synctest.Wait()
				s.Leave(manager.Disconnected)
				if ended {
					time.Sleep(w.duration())
					synctest.Wait()
				}
				w.cancel("a", manager.StateCancelled)
				synctest.Wait()
				if left := w.Left(); left.Live != 0 || left.Joinable != 0 || left.LogBytes != 0 {
					t.Errorf("left %+v", left)
				}
				w.cancel("a", manager.StateCancelled)
				r := read(w.join("a", "A"))
				r.cancelled(t)
				if r.sub.GenerationID() != s.GenerationID() {
					t.Error("was shown another generation")
				}
				w.wantStreams(1)
			})
		})
	}
}

// With the lease that kept it there, a Cancel takes a completed log off its key, even
// if others may still read it under their ids.
func TestCancelOfALeaseEndsJoins(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		a1, a2 := w.join("a1", "A"), w.join("a2", "A")
		b := read(w.join("b", "A"))
		synctest.Wait()
		a1.Leave(manager.Disconnected)
		a2.Leave(manager.Disconnected)
		b.complete(t)
		w.cancel("a1", manager.StateCancelled)
		read(w.join("c", "A")).complete(t) // a2's lease is out
		w.wantStreams(1)
		w.cancel("a2", manager.StateCancelled)
		read(w.join("d", "A")).complete(t)
		w.wantStreams(2)
		read(w.join("b", "A")).complete(t)
		w.wantStreams(2)
	})
}

// A disconnects and B cancels, in both orders: the lease keeps the generation.
func TestDisconnectAndCancel(t *testing.T) {
	for _, order := range []string{"disconnect_first", "cancel_first"} {
		t.Run(order, func(t *testing.T) {
			inStages(t, func(t *testing.T, w *world, stage event.Stage) {
				a, b := w.join("a", "A"), read(w.join("b", "A"))
				w.wantStage(stage, 1)
				if order == "disconnect_first" {
					a.Leave(manager.Disconnected)
					w.cancel("b", manager.StateCancelled)
				} else {
					w.cancel("b", manager.StateCancelled)
					a.Leave(manager.Disconnected)
				}
				b.cancelled(t)
				time.Sleep(w.cfg.OrphanGrace - 1)
				w.wantStage(stage, 1)
				time.Sleep(1 + w.unwind)
				w.wantStage(stage, 0)
				if r := w.lastReport(); r.Outcome != manager.Stopped {
					t.Errorf("report %+v", r)
				}
			})
		})
	}
}

// A caller's own deadline leaves no lease; a lease does not outlive the deadline of
// the stream that left it; a grace of 0 leaves none; the shorter grace counts.
func TestLeases(t *testing.T) {
	tests := []struct {
		name     string
		grace    time.Duration
		deadline time.Duration
		how      manager.Outcome
		want     time.Duration
	}{
		{"deadline", 10 * time.Second, time.Second, manager.Deadline, 0},
		{"deadline_caps_the_lease", 10 * time.Second, 3 * time.Second, manager.Disconnected, 3 * time.Second},
		{"deadline_after_the_lease", 2 * time.Second, 3 * time.Second, manager.Disconnected, 2 * time.Second},
		{"no_grace", 0, 0, manager.Disconnected, 0},
		{"own_grace", 4 * time.Second, 0, manager.Slow, 4 * time.Second},
		{"capped_grace", time.Hour, 0, manager.Slow, 10 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(w *world) { w.firstToken = time.Hour; w.cfg.UpstreamIdleTimeout = 2 * time.Hour }, func(t *testing.T, w *world) {
				r := w.request("a", "A")
				r.OrphanGrace = tt.grace
				if tt.deadline > 0 {
					r.Deadline = time.Now().Add(tt.deadline)
				}
				s := w.joinRequest(r)
				synctest.Wait()
				s.Leave(tt.how)
				if tt.want > 0 {
					time.Sleep(tt.want - 1)
					w.wantStage(event.StageStreaming, 1)
					time.Sleep(time.Nanosecond)
				}
				w.wantStage(event.StageStreaming, 0)
				if got := w.streamEnded[0]; got != tt.want {
					t.Errorf("the upstream ended at %v, want %v", got, tt.want)
				}
			})
		})
	}
}

// By its own deadline a stream leaves no lease even of a log that has ended, nor does
// a request that was cancelled while another stream of it had its end.
func TestNothingIsKept(t *testing.T) {
	t.Run("deadline", func(t *testing.T) {
		bubble(t, nil, func(t *testing.T, w *world) {
			s := w.join("a", "A")
			time.Sleep(w.duration())
			synctest.Wait()
			s.Leave(manager.Deadline)
			if s := w.Stats(); s.LogBytes != 0 {
				t.Errorf("%+v", s)
			}
		})
	})
	t.Run("cancelled", func(t *testing.T) {
		bubble(t, nil, func(t *testing.T, w *world) {
			had, lagging := w.join("a", "A"), w.join("a", "A")
			time.Sleep(w.duration())
			synctest.Wait()
			if b := had.Next(1 << 20); b.End == nil {
				t.Fatal("no end")
			}
			w.cancel("a", manager.StateCancelled)
			read(lagging).cancelled(t)
			had.Leave(manager.Completed)
			if s := w.Stats(); s.LogBytes != 0 || s.Subscriptions != 0 {
				t.Errorf("%+v", s)
			}
			w.cancel("a", manager.StateCancelled)
		})
	})
}

// A request that has another stream leaves no lease when one is lost; by its own
// deadline that other one leaves none either.
func TestLeaseIsTheLastStreams(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		s1, s2 := w.join("a", "A"), w.join("a", "A")
		synctest.Wait()
		s1.Leave(manager.Disconnected)
		s1.Leave(manager.Disconnected) // again does nothing
		if s := w.Stats(); s.Orphans != 0 || s.Subscriptions != 1 {
			t.Errorf("%+v", s)
		}
		s2.Leave(manager.Deadline)
		w.wantStage(event.StageStreaming, 0)
	})
}

// Cancel acts at once, whether or not the stream's reader ever looks.
func TestCancelDoesNotWait(t *testing.T) {
	inStages(t, func(t *testing.T, w *world, stage event.Stage) {
		s := w.join("a", "A")
		w.wantStage(stage, 1)
		w.cancel("a", manager.StateCancelled)
		time.Sleep(w.unwind)
		w.wantStage(stage, 0)
		if r := w.lastReport(); r.Outcome != manager.Stopped {
			t.Errorf("report %+v", r)
		}
		s.Leave(manager.Cancelled)
	})
}

// A lease may be longer than the memory of ids: the id is known as long as it goes
// on.
func TestLeaseLongerThanMemory(t *testing.T) {
	bubble(t, func(w *world) { w.cfg.IDMemory, w.interToken = time.Second, 30*time.Second }, func(_ *testing.T, w *world) {
		w.join("a", "A").Leave(manager.Disconnected)
		time.Sleep(5 * time.Second)
		w.cancel("a", manager.StateCancelled)
	})
	// A kept log too is found by its id as long as it is kept.
	bubble(t, func(w *world) { w.cfg.IDMemory = time.Second }, func(t *testing.T, w *world) {
		read(w.join("a", "A")).complete(t)
		time.Sleep(5 * time.Second)
		if _, err := w.Cancel("t", "a"); !errors.Is(err, manager.ErrUnknownRequest) {
			t.Errorf("cancel of a forgotten id: %v", err)
		}
		read(w.join("a", "A")).complete(t)
		w.wantStreams(1)
	})
}

// The same id tries afresh after a failure before the first token, also while
// another stream of it has not yet seen that failure.
func TestAfreshBesideALaggingStream(t *testing.T) {
	bubble(t, func(w *world) { w.preparing = func(g int) error { return map[int]error{1: errors.New("first")}[g] } }, func(t *testing.T, w *world) {
		lagging := w.join("a", "A")
		synctest.Wait()
		fresh := read(w.join("a", "A"))
		if fresh.sub.GenerationID() == lagging.GenerationID() {
			t.Error("attached to the failure")
		}
		fresh.complete(t)
		read(lagging).failed(t, fault.PrepareFailed)
		w.cancel("a", manager.StateAlreadyFinished)
		read(w.join("a", "A")).complete(t) // the lagging one's end did not touch the new log
		w.wantStreams(1)
	})
}

// A log that is let go does not take its successor's key along.
func TestSuccessorKeepsItsKey(t *testing.T) {
	bubble(t, func(w *world) { w.tokens = 200 }, func(t *testing.T, w *world) {
		w.tokens = 10
		read(w.join("a", "A")).complete(t) // kept for 10 s
		w.tokens = 200
		b := read(w.join("b", "A")) // streams for 21 s
		time.Sleep(w.cfg.OrphanGrace)
		synctest.Wait()
		c := read(w.join("c", "A"))
		if c.sub.GenerationID() != b.sub.GenerationID() {
			t.Error("the successor was not found")
		}
		b.complete(t)
		c.complete(t)
		w.wantStreams(2)
	})
}

// Cancel wins as long as the end was not handed out; then it has lost.
func TestCancelRacesWithTheEnd(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		before, after := w.join("before", "A"), w.join("after", "A")
		time.Sleep(w.duration())
		synctest.Wait() // completed; nothing was handed out
		w.cancel("before", manager.StateCancelled)
		if b := before.Next(1 << 20); b.End == nil || b.End.Outcome != manager.Cancelled || len(b.Data) != 0 {
			t.Errorf("got %+v", b)
		}
		before.Leave(manager.Cancelled)
		if b := after.Next(1 << 20); b.End == nil || b.End.Outcome != manager.Completed {
			t.Errorf("got %+v", b)
		}
		w.cancel("after", manager.StateAlreadyFinished)
		select {
		case <-after.Cancelled():
			t.Error("cancelled after its end")
		default:
		}
		after.Leave(manager.Completed)
	})
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
