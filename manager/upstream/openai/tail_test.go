package openai_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sauron-stream/sauron/manager/event"
)

// sleep pauses a handler, but not beyond the request's end.
func sleep(r *http.Request, d time.Duration) {
	select {
	case <-time.After(d):
	case <-r.Context().Done():
	}
}

// What may follow a finish reason, and how long it may take, to the nanosecond. The
// server waits for the client to go away where nothing else is said.
func TestAfterTheFinish(t *testing.T) {
	for name, test := range map[string]struct {
		then func(w http.ResponseWriter, r *http.Request) // after the finish reason
		want []string                                     // after the finish reason
		took time.Duration
	}{
		"silence": {
			then: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
			want: []string{finished}, took: 2 * time.Second,
		},
		"usage_then_silence": {
			then: func(w http.ResponseWriter, r *http.Request) {
				sleep(r, 1500*time.Millisecond)
				write(w, counts)
				<-r.Context().Done()
			},
			want: []string{"alive", usage, finished}, took: 2 * time.Second,
		},
		"late_usage": {
			then: func(w http.ResponseWriter, r *http.Request) {
				sleep(r, 2*time.Second-1)
				write(w, counts+done)
			},
			want: []string{"alive", usage, finished}, took: 2*time.Second - 1,
		},
		"comments_for_ever": {
			then: func(w http.ResponseWriter, r *http.Request) {
				for r.Context().Err() == nil {
					write(w, ": x\n")
					sleep(r, 300*time.Millisecond)
				}
			},
			want: []string{finished}, took: 2 * time.Second,
		},
		"error_in_time": {
			then: func(w http.ResponseWriter, r *http.Request) {
				sleep(r, 1999*time.Millisecond)
				write(w, "data: {\"error\":{}}\n\n")
				<-r.Context().Done()
			},
			want: []string{broke}, took: 1999 * time.Millisecond,
		},
		"text_all_the_same": {
			then: func(w http.ResponseWriter, r *http.Request) {
				for range 3 {
					sleep(r, 1500*time.Millisecond)
					write(w, hello)
				}
				<-r.Context().Done()
			},
			want: []string{`text "Hello"`, `text "Hello"`, `text "Hello"`, finished}, took: 6500 * time.Millisecond,
		},
		"done_then_silence": {
			then: func(w http.ResponseWriter, r *http.Request) {
				sleep(r, time.Second)
				write(w, done)
				<-r.Context().Done()
			},
			want: []string{finished}, took: time.Second + 25*time.Millisecond,
		},
		"done_then_an_endless_body": {
			then: func(w http.ResponseWriter, r *http.Request) {
				write(w, done)
				for r.Context().Err() == nil {
					write(w, strings.Repeat("x", 1<<10))
				}
			},
			want: []string{finished}, took: 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := inBubble(t, config("http://up"), func(w http.ResponseWriter, r *http.Request) {
					write(w, hello, stop)
					test.then(w, r)
				}).Streamer(request(), "m")
				start := time.Now()
				got := collect(t.Context(), t, s)
				if took := time.Since(start); took != test.took {
					t.Errorf("took %v, want %v", took, test.took)
				}
				check(t, got, append([]string{"alive", `text "Hello"`, "alive"}, test.want...)...)
			})
		})
	}
}

// After a finish reason the answer is whole: a limit that ends the context then, or an
// idle limit shorter than what may follow, does not undo it.
func TestContextEndsAfterTheFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := inBubble(t, config("http://up"), func(w http.ResponseWriter, r *http.Request) {
			write(w, hello, stop)
			<-r.Context().Done()
		}).Streamer(request(), "m")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("limit"))
		defer cancel()
		start := time.Now()
		check(t, collect(ctx, t, s), "alive", `text "Hello"`, "alive", finished)
		if took := time.Since(start); took != time.Second {
			t.Errorf("took %v, want the time of the limit", took)
		}
	})
}

// The body of an error answer is not waited for longer than 2 s: the status is known.
func TestSlowErrorBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := inBubble(t, config("http://up"), func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusUnprocessableEntity)
			write(w, `{"detail":"context length"`)
			<-r.Context().Done()
		}).Streamer(request(), "m")
		start := time.Now()
		check(t, collect(t.Context(), t, s), "fault UPSTREAM_REJECTED upstream_status=422")
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("took %v, want 2s", took)
		}
	})
}

// A connection serves the next stream if the server ended the body after [DONE], at
// once or a little later, until the upstream is closed.
func TestConnectionsAreUsedAgain(t *testing.T) {
	for name, pause := range map[string]time.Duration{"at_once": 0, "a_little_later": 20 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := inBubble(t, config("http://up"), func(w http.ResponseWriter, r *http.Request) {
					write(w, hello, stop, done)
					sleep(r, pause)
				})
				var reused []bool
				ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
					GotConn: func(c httptrace.GotConnInfo) { reused = append(reused, c.Reused) },
				})
				for range 3 {
					collect(ctx, t, u.Streamer(request(), "m"))
					synctest.Wait() // the transport takes the connection back
				}
				u.Close()
				collect(ctx, t, u.Streamer(request(), "m"))
				if want := []bool{false, true, true, false}; !slices.Equal(reused, want) {
					t.Errorf("connections used again: %v, want %v", reused, want)
				}
			})
		})
	}
}

// Whoever reads may break off at any event; the stream ends at once and the upstream's
// request with it.
func TestReaderBreaksOff(t *testing.T) {
	for events, test := range map[int]struct {
		answer []string
		took   time.Duration
	}{
		1: {[]string{hello}, 0},
		2: {[]string{hello}, 0},
		3: {[]string{hello, stop}, 0},
		4: {[]string{hello, stop, done}, 25 * time.Millisecond},
	} {
		t.Run(fmt.Sprint(events), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ended := make(chan struct{})
				s := inBubble(t, config("http://up"), func(w http.ResponseWriter, r *http.Request) {
					defer close(ended)
					write(w, test.answer...)
					<-r.Context().Done()
				}).Streamer(request(), "m")
				start, n := time.Now(), 0
				for range s.Stream(t.Context()) {
					if n++; n == events {
						break
					}
				}
				if took := time.Since(start); took != test.took {
					t.Errorf("took %v, want %v", took, test.took)
				}
				synctest.Wait()
				select {
				case <-ended:
				default:
					t.Error("the upstream still works")
				}
			})
		})
	}
}

// Of the body of an error answer no more is read than may say something.
func TestEndlessErrorBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := inBubble(t, config("http://up"), func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			for sent := 0; sent < 1<<20 && r.Context().Err() == nil; sent += 1 << 10 {
				write(w, strings.Repeat("x", 1<<10))
			}
			<-r.Context().Done()
		}).Streamer(request(), "m")
		start := time.Now()
		check(t, collect(t.Context(), t, s), "fault UPSTREAM_REJECTED upstream_status=400")
		if took := time.Since(start); took != 0 {
			t.Errorf("took %v, want no time", took)
		}
	})
}

// A stream that was never ranged over asks nothing of anybody.
func TestNothingIsAskedBeforeItIsRead(t *testing.T) {
	url := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("asked") })
	newUpstream(t, config(url)).Streamer(request(), "m").Stream(t.Context())
}

// Whoever is slow to take events loses none of them.
func TestSlowReaderLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := inBubble(t, config("http://up"), stream(hello, hello, stop, hello, counts, done)).Streamer(request(), "m")
		var text strings.Builder
		for e, err := range s.Stream(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Kind == event.KindText {
				text.WriteString(e.Text)
			}
			<-time.After(time.Second)
		}
		if want := strings.Repeat("Hello", 3); text.String() != want {
			t.Errorf("text %q, want %q", text.String(), want)
		}
	})
}
