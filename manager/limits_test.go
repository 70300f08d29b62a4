package manager_test

import (
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/sauron-stream/sauron/manager"
	"github.com/sauron-stream/sauron/manager/event"
	"github.com/sauron-stream/sauron/manager/fault"
)

func wantFault(t *testing.T, err error, reason fault.Reason) *fault.Error {
	t.Helper()
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || f.Reason != reason {
		t.Fatalf("got %v, want %s", err, reason)
	}
	return f
}

// failed waits for the end and fails unless it is reason, after a whole prefix.
func (r *reading) failed(t *testing.T, reason fault.Reason) *fault.Error {
	t.Helper()
	<-r.done
	if err := r.check(); err != nil {
		t.Error(err)
	}
	if r.end.Err == nil {
		t.Fatalf("%s ended %s, want %s", r.sub.RequestID(), r.end.Outcome, reason)
	}
	return wantFault(t, r.end.Err, reason)
}

// 100 different requests, 10 permits, 5 slots, a hook that takes a second: never
// more than 10 prepare, never more than 5 stream, and all 100 are prepared while the
// first 5 streams still run.
func TestPreparingNeverWaitsForStreaming(t *testing.T) {
	bubble(t, func(w *world) {
		w.prepare, w.firstToken, w.interToken, w.tokens = time.Second, 30*time.Second, time.Second, 31
	}, func(t *testing.T, w *world) {
		var readings []*reading
		for i := range 100 {
			readings = append(readings, read(w.join(fmt.Sprint("id-", i), fmt.Sprint("c", i))))
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if s := w.Stats(); s.Generations != [...]int{0, 0, 0, 95, 5} {
			t.Errorf("after 10 s: stages %v, want 95 waiting and 5 streaming", s.Generations)
		}
		if prepares, streams := w.counts(); prepares != 100 || streams != 5 {
			t.Errorf("after 10 s: %d prepares and %d streams begun, want 100 and 5", prepares, streams)
		}
		for _, r := range readings {
			r.complete(t)
		}
		synctest.Wait()
		if w.maxPrepare != 10 || w.maxStream != 5 {
			t.Errorf("at most %d prepared and %d streamed at a time, want 10 and 5", w.maxPrepare, w.maxStream)
		}
		if got, want := w.prepareEnded[99], 10*time.Second; got != want {
			t.Errorf("all prepared after %v, want %v", got, want)
		}
		// 20 rounds of 5 streams of 60 s, the first begun after 1 s.
		if got, want := w.since(), time.Second+20*w.duration(); got != want {
			t.Errorf("all done after %v, want %v", got, want)
		}
		if first := w.streamEnded[0]; first < w.prepareEnded[99] {
			t.Errorf("the first stream ended at %v, before preparing ended at %v", first, w.prepareEnded[99])
		}
	})
}

// The same with 100 identical requests: one permit, one slot.
func TestIdenticalRequestsTakeOnePlace(t *testing.T) {
	bubble(t, func(w *world) {
		w.prepare = time.Second
		w.cfg.QueueCapacity, w.cfg.MaxConcurrentRequests, w.cfg.MaxConcurrentLLMStreams = 1, 1, 1
	}, func(t *testing.T, w *world) {
		var readings []*reading
		for i := range 100 {
			readings = append(readings, read(w.join(fmt.Sprint("id-", i), "A")))
		}
		for _, r := range readings {
			r.complete(t)
		}
		synctest.Wait()
		if w.prepares != 1 || w.streams != 1 {
			t.Errorf("%d prepares, %d streams", w.prepares, w.streams)
		}
	})
}

func TestQueueFull(t *testing.T) {
	bubble(t, func(w *world) {
		w.cfg.QueueCapacity, w.cfg.MaxConcurrentRequests, w.prepare = 2, 1, time.Second
	}, func(t *testing.T, w *world) {
		var readings []*reading
		for i := range 3 { // one prepares, two wait
			readings = append(readings, read(w.join(fmt.Sprint(i), fmt.Sprint("c", i))))
		}
		hints := map[time.Duration]bool{} // who is refused together does not come back together
		for range 100 {
			_, err := w.Join(w.request("3", "c3"))
			f := wantFault(t, err, fault.QueueFull)
			if f.RetryAfter < 500*time.Millisecond || f.RetryAfter >= 1500*time.Millisecond {
				t.Errorf("told to come back after %v", f.RetryAfter)
			}
			hints[f.RetryAfter.Truncate(100*time.Millisecond)] = true
		}
		if len(hints) < 5 {
			t.Errorf("100 refused callers come back within %d tenths of a second", len(hints))
		}
		// Followers take no place.
		readings = append(readings, read(w.join("follower", "c2")))
		// A refused id is not remembered.
		if _, err := w.Cancel("t", "3"); !errors.Is(err, manager.ErrUnknownRequest) {
			t.Errorf("cancel of a refused id: %v", err)
		}
		for _, r := range readings {
			r.complete(t)
		}
	})
}

// Without a queue a request is taken if there is a permit for it right now.
func TestNoQueue(t *testing.T) {
	bubble(t, func(w *world) {
		w.cfg.QueueCapacity, w.cfg.MaxConcurrentRequests, w.prepare = 0, 1, time.Second
	}, func(t *testing.T, w *world) {
		r := read(w.join("a", "A"))
		wantReason(t, w, w.request("b", "B"), fault.QueueFull)
		r.complete(t)
		read(w.join("b", "B")).complete(t)
	})
}

func TestQueueTimeout(t *testing.T) {
	t.Run("queue", func(t *testing.T) {
		bubble(t, func(w *world) {
			w.cfg.MaxQueueWait, w.cfg.MaxConcurrentRequests, w.prepare = 2*time.Second, 1, 10*time.Second
		}, func(t *testing.T, w *world) {
			a, b, c := read(w.join("a", "A")), read(w.join("b", "B")), read(w.join("c", "B"))
			if f := b.failed(t, fault.QueueTimeout); f.RetryAfter <= 0 {
				t.Error("no hint when to retry")
			}
			c.failed(t, fault.QueueTimeout)
			if got := w.since(); got != 2*time.Second {
				t.Errorf("failed after %v, want 2 s", got)
			}
			a.complete(t)
		})
	})
	t.Run("backlog", func(t *testing.T) {
		bubble(t, func(w *world) {
			w.cfg.MaxQueueWait, w.cfg.MaxConcurrentLLMStreams = 2*time.Second, 1
			w.prepare, w.firstToken = time.Second, 10*time.Second
		}, func(t *testing.T, w *world) {
			a := read(w.join("a", "A"))
			time.Sleep(time.Second)
			b := read(w.join("b", "B"))
			b.failed(t, fault.QueueTimeout)
			if got := w.since(); got != 4*time.Second {
				t.Errorf("failed after %v, want 4 s", got)
			}
			a.complete(t)
		})
	})
}

// A generation that finds the backlog full keeps its permit until there is room.
func TestBacklogFull(t *testing.T) {
	bubble(t, func(w *world) {
		w.cfg.PreparedBacklog, w.cfg.MaxConcurrentLLMStreams, w.cfg.MaxConcurrentRequests = 1, 1, 1
		w.firstToken, w.tokens = 10*time.Second, 1
	}, func(t *testing.T, w *world) {
		var readings []*reading
		for i := range 4 { // streams, waits, holds the permit, queued
			readings = append(readings, read(w.join(fmt.Sprint(i), fmt.Sprint("c", i))))
			synctest.Wait()
		}
		if left := w.Left(); left.Streaming != 1 || left.Backlog != 1 || left.Blocked != 1 || left.Preparing != 1 || left.Queue != 1 {
			t.Errorf("%+v, want one in each place", left)
		}
		if s := w.Stats(); s.Generations != [...]int{0, 1, 1, 1, 1} {
			t.Errorf("stages %v", s.Generations)
		}
		if prepares, _ := w.counts(); prepares != 3 {
			t.Errorf("%d prepared, want 3", prepares)
		}
		for i, r := range readings {
			r.complete(t)
			if got, want := w.since(), time.Duration(i+1)*10*time.Second; got != want {
				t.Errorf("%d done at %v, want %v", i, got, want)
			}
		}
	})
}

// Whoever leaves the backlog makes room at once for who holds a permit.
func TestBacklogPlaceComesFree(t *testing.T) {
	bubble(t, func(w *world) {
		w.cfg.PreparedBacklog, w.cfg.MaxConcurrentLLMStreams, w.cfg.MaxConcurrentRequests = 1, 1, 1
	}, func(t *testing.T, w *world) {
		var subs []*manager.Subscription
		for i := range 3 {
			subs = append(subs, w.join(fmt.Sprint(i), fmt.Sprint("c", i)))
			synctest.Wait()
		}
		w.cancel("1", manager.StateCancelled) // it waited
		if left := w.Left(); left.Blocked != 0 || left.Backlog != 1 || left.Preparing != 0 {
			t.Errorf("%+v", left)
		}
		for i, s := range subs {
			if i != 1 {
				w.cancel(fmt.Sprint(i), manager.StateCancelled)
			}
			s.Leave(manager.Cancelled)
		}
	})
}

func TestNoBacklog(t *testing.T) {
	bubble(t, func(w *world) { w.cfg.PreparedBacklog, w.cfg.MaxConcurrentLLMStreams = 0, 1 }, func(t *testing.T, w *world) {
		a, b := read(w.join("a", "A")), read(w.join("b", "B"))
		a.complete(t)
		b.complete(t)
	})
}

// An upstream's own limit does not hold up generations of another upstream.
func TestUpstreamLimit(t *testing.T) {
	bubble(t, func(w *world) {
		w.cfg.MaxConcurrentLLMStreams = 3
		w.upstream.MaxStreams = 1
	}, func(t *testing.T, w *world) {
		a := read(w.join("a", "A"))
		synctest.Wait()
		b := read(w.join("b", "B"))
		synctest.Wait()
		w.upstream = manager.Upstream{Name: "other"}
		c := read(w.join("c", "C"))
		synctest.Wait()
		w.wantStreams(2) // a on fake, c on other; b waits
		c.complete(t)
		a.complete(t)
		if got := w.since(); got != w.duration() {
			t.Errorf("a and c ended at %v, want %v", got, w.duration())
		}
		b.complete(t)
		if got := w.since(); got != 2*w.duration() {
			t.Errorf("b ended at %v, want %v", got, 2*w.duration())
		}
	})
}

// Nor while those who wait for it fill the backlog.
func TestUpstreamLimitWithAFullBacklog(t *testing.T) {
	bubble(t, func(w *world) {
		w.cfg.PreparedBacklog = 1
		w.upstream.MaxStreams = 1
	}, func(t *testing.T, w *world) {
		var readings []*reading
		for i := range 3 { // streams, waits, holds a permit
			readings = append(readings, read(w.join(fmt.Sprint(i), fmt.Sprint("c", i))))
			synctest.Wait()
		}
		w.upstream = manager.Upstream{Name: "other"}
		other := read(w.join("other", "O"))
		synctest.Wait()
		w.wantStreams(2)
		for _, r := range append(readings, other) {
			r.complete(t)
		}
	})
}

func TestServerBusy(t *testing.T) {
	bubble(t, func(w *world) { w.cfg.MaxLogBytes = 60 }, func(t *testing.T, w *world) {
		a := read(w.join("a", "A"))
		time.Sleep(w.firstToken + w.interToken)
		synctest.Wait()
		wantReason(t, w, w.request("b", "B"), fault.ServerBusy)
		late := read(w.join("late", "A")) // attaching is not starting
		a.complete(t)
		late.complete(t)
		wantReason(t, w, w.request("b", "B"), fault.ServerBusy) // a's log is kept for its grace
		time.Sleep(w.cfg.OrphanGrace)
		synctest.Wait()
		read(w.join("b", "B")).complete(t)
	})
}

// A log that is kept does not keep the request that was asked.
func TestKeptLogLetsItsRequestGo(t *testing.T) {
	w := newWorld(t, func(w *world) { w.streaming = script(event.Text("x"), finished()) })
	defer w.Close()
	asked := func() weak.Pointer[fakePreparer] {
		preparer := &fakePreparer{w: w, content: "A"}
		r := w.request("a", "A")
		r.Preparer = preparer
		read(w.joinRequest(r)).complete(t)
		return weak.Make(preparer)
	}()
	runtime.GC()
	if w.Stats().LogBytes == 0 {
		t.Error("the log is not kept")
	}
	if asked.Value() != nil {
		t.Error("the request is still held")
	}
}

func TestGenerationTooLarge(t *testing.T) {
	bubble(t, func(w *world) { w.cfg.MaxGenerationBytes = 100 }, func(t *testing.T, w *world) {
		r := read(w.join("a", "A"))
		r.failed(t, fault.GenerationTooLarge)
		if n := len(r.text()); n == 0 || n > 100 {
			t.Errorf("%d bytes of text were delivered", n)
		}
		synctest.Wait()
		if w.stoppedEarly != 0 || w.inStream != 0 {
			t.Error("the upstream was not let go")
		}
	})
}

func TestGenerationTimeout(t *testing.T) {
	bubble(t, func(w *world) {
		w.cfg.GenerationTimeout = 1450 * time.Millisecond
		w.cfg.MaxConcurrentLLMStreams = 1
		w.prepare = time.Hour // counts for nothing
		w.cfg.MaxQueueWait = 2 * time.Hour
	}, func(t *testing.T, w *world) {
		r := read(w.join("a", "A"))
		r.failed(t, fault.GenerationTimeout)
		if got, want := w.since(), w.prepare+w.cfg.GenerationTimeout; got != want {
			t.Errorf("ended at %v, want %v", got, want)
		}
		if want := "A-0 A-1 A-2 A-3 A-4 "; r.text() != want {
			t.Errorf("text %q", r.text())
		}
	})
}

// A whole answer is one even if its time was over when its end came.
func TestEndAtTheTimeout(t *testing.T) {
	bubble(t, func(w *world) {
		w.cfg.GenerationTimeout = time.Second
		w.streaming = func(int, int) iter.Seq2[event.Event, error] {
			return func(yield func(event.Event, error) bool) {
				time.Sleep(time.Second + 1)
				yield(finished(), nil)
			}
		}
	}, func(t *testing.T, w *world) { read(w.join("a", "A")).complete(t) })
}

// No progress for the idle limit, from the request on; life before the first token
// counts, each yield starts the limit anew.
func TestUpstreamStalled(t *testing.T) {
	const idle = 5 * time.Second
	say := func(after time.Duration, e event.Event) func(yield func(event.Event, error) bool) bool {
		return func(yield func(event.Event, error) bool) bool {
			time.Sleep(after)
			return yield(e, nil)
		}
	}
	alive := event.Event{Kind: event.KindAlive}
	tests := []struct {
		name  string
		steps []func(func(event.Event, error) bool) bool
		want  time.Duration
	}{
		{"from the request on", nil, idle},
		{"alive", []func(func(event.Event, error) bool) bool{say(4*time.Second, alive), say(4*time.Second, alive)}, 8*time.Second + idle},
		{"after a token", []func(func(event.Event, error) bool) bool{say(4*time.Second, event.Text("x"))}, 4*time.Second + idle},
	}
	for _, tt := range tests {
		t.Run(strings.ReplaceAll(tt.name, " ", "_"), func(t *testing.T) {
			bubble(t, func(w *world) {
				w.cfg.UpstreamIdleTimeout = idle
				w.streaming = func(int, int) iter.Seq2[event.Event, error] {
					return func(yield func(event.Event, error) bool) {
						for _, step := range tt.steps {
							if !step(yield) {
								return
							}
						}
						time.Sleep(idle + 1)
						yield(alive, nil)
					}
				}
			}, func(t *testing.T, w *world) {
				read(w.join("a", "A")).failed(t, fault.UpstreamStalled)
				// The fake looks at its context only a nanosecond later.
				if got := w.since(); got != tt.want+1 {
					t.Errorf("ended at %v, want %v", got, tt.want+1)
				}
			})
		})
	}
}

// What a streamer's end means.
func TestStreamEnds(t *testing.T) {
	tests := []struct {
		name   string
		events []event.Event
		err    error
		want   fault.Reason
	}{
		{"no_end", []event.Event{event.Text("x")}, nil, fault.UpstreamBroken},
		{"nothing", nil, nil, fault.UpstreamBroken},
		{"foreign_error", nil, errors.New("internal"), fault.UpstreamBroken},
		{"fault", nil, fault.New(fault.UpstreamQuota, nil), fault.UpstreamQuota},
		{"retry_after_a_token", []event.Event{event.Text("x")}, &fault.Retry{Err: errors.New("internal")}, fault.UpstreamBroken},
		{"retry_after_an_extension", []event.Event{{Kind: event.KindExtension, Text: "{}"}}, &fault.Retry{}, fault.UpstreamBroken},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(w *world) {
				w.streaming = func(int, int) iter.Seq2[event.Event, error] {
					return func(yield func(event.Event, error) bool) {
						for _, e := range tt.events {
							if !yield(e, nil) {
								return
							}
						}
						if tt.err != nil {
							yield(event.Event{}, tt.err)
						}
					}
				}
			}, func(t *testing.T, w *world) {
				read(w.join("a", "A")).failed(t, tt.want)
				w.wantStreams(1)
				if r := w.lastReport(); r.Outcome != manager.Failed || r.Err == nil {
					t.Errorf("report %+v", r)
				}
			})
		})
	}
}

func TestPrepareFails(t *testing.T) {
	denied := &fault.Error{Kind: fault.Denied, Reason: fault.PrepareFailed}
	for name, err := range map[string]error{"foreign": errors.New("internal"), "own": denied} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(w *world) {
				w.prepare = time.Second
				w.preparing = func(int) error { return err }
			}, func(t *testing.T, w *world) {
				a, b := read(w.join("a", "A")), read(w.join("b", "A"))
				fa, fb := a.failed(t, fault.PrepareFailed), b.failed(t, fault.PrepareFailed)
				if fa != fb || name == "own" && fa != denied {
					t.Errorf("got %v and %v", fa, fb)
				}
				w.wantStreams(0)
				// A failure before the first token is not kept: the same id tries
				// afresh.
				w.preparing = nil
				read(w.join("a", "A")).complete(t)
			})
		})
	}
}

// Before the first token a streamer may ask for another attempt. It holds no slot
// meanwhile, and goes before those who wait.
func TestRetry(t *testing.T) {
	bubble(t, func(w *world) {
		w.cfg.MaxConcurrentLLMStreams, w.tokens = 1, 1
		answer := func(yield func(event.Event, error) bool) {
			time.Sleep(10 * time.Second)
			yield(finished(), nil)
		}
		w.streaming = func(generation, attempt int) iter.Seq2[event.Event, error] {
			if generation == 1 && attempt < 3 {
				return func(yield func(event.Event, error) bool) {
					yield(event.Event{}, &fault.Retry{After: 2 * time.Second, Err: errors.New("503")})
				}
			}
			return answer
		}
	}, func(t *testing.T, w *world) {
		a := read(w.join("a", "A"))
		synctest.Wait()
		if s := w.Stats(); s.Generations != [...]int{0, 0, 0, 1, 0} {
			t.Errorf("between attempts: stages %v", s.Generations)
		}
		b := read(w.join("b", "B")) // takes the slot meanwhile
		synctest.Wait()
		c := read(w.join("c", "C"))
		b.complete(t)
		if got := w.since(); got != 10*time.Second {
			t.Errorf("b done at %v", got)
		}
		a.complete(t)
		// The second attempt at 10 s fails at once, c takes the slot, the third
		// waits for it until 20 s.
		if got := w.since(); got != 30*time.Second {
			t.Errorf("a done at %v", got)
		}
		c.complete(t)
		synctest.Wait()
		if w.attempts[manager.Failed] != 2 || w.attempts[manager.Completed] != 3 || w.maxStream != 1 {
			t.Errorf("attempts %v, at most %d at a time", w.attempts, w.maxStream)
		}
		if stages := slices.DeleteFunc(slices.Clone(a.lines), func(l string) bool { return !strings.Contains(l, " 1 ") }); len(stages) != 4 {
			t.Errorf("stages %q, want each once", stages)
		}
		for _, r := range w.reports {
			if r.Attempts == 3 && (r.Stages[event.StageWaiting] != 20*time.Second || r.Stages[event.StageStreaming] != 10*time.Second) {
				t.Errorf("stage times %v", r.Stages)
			}
		}
	})
}

// The generation's time also ends the wait for another slot.
func TestRetryWaitsNoLongerThanTheGeneration(t *testing.T) {
	bubble(t, func(w *world) {
		w.cfg.MaxConcurrentLLMStreams, w.cfg.GenerationTimeout = 1, 5*time.Second
		w.tokens, w.interToken = 100, time.Second
		w.streaming = func(generation, attempt int) iter.Seq2[event.Event, error] {
			if generation > 1 || attempt > 1 {
				return nil
			}
			return func(yield func(event.Event, error) bool) {
				time.Sleep(4 * time.Second)
				yield(event.Event{}, &fault.Retry{After: 500 * time.Millisecond, Err: errors.New("503")})
			}
		}
	}, func(t *testing.T, w *world) {
		a := read(w.join("a", "A"))
		synctest.Wait()
		b := read(w.join("b", "B")) // takes the slot meanwhile
		a.failed(t, fault.GenerationTimeout)
		if got := w.since(); got != 5*time.Second {
			t.Errorf("ended at %v", got)
		}
		if r := w.lastReport(); r.Attempts != 1 {
			t.Errorf("report %+v", r)
		}
		b.failed(t, fault.GenerationTimeout)
	})
}

// A retry that is due while the generation's time is over does not happen.
func TestRetryEndsWithTheGeneration(t *testing.T) {
	bubble(t, func(w *world) {
		w.cfg.GenerationTimeout = time.Second
		w.streaming = func(int, int) iter.Seq2[event.Event, error] {
			return func(yield func(event.Event, error) bool) {
				yield(event.Event{}, &fault.Retry{After: 2 * time.Second, Err: errors.New("503")})
			}
		}
	}, func(t *testing.T, w *world) {
		read(w.join("a", "A")).failed(t, fault.GenerationTimeout)
		w.wantStreams(1)
	})
}
