package openai_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// soon is how long the upstream may take to see that its request has ended.
const soon = 100 * time.Millisecond

var errNobody = errors.New("nobody is left")

// silences are the ways in which an upstream may fall silent, and what is yielded
// before it.
var silences = map[string]struct {
	answer func(w http.ResponseWriter)
	want   []string
}{
	"before_the_headers":      {func(http.ResponseWriter) {}, nil},
	"after_the_headers":       {func(w http.ResponseWriter) { write(w, "") }, []string{"alive"}},
	"in_an_event":             {func(w http.ResponseWriter) { write(w, hello, hello[:20]) }, []string{"alive", `text "Hello"`}},
	"after_a_token":           {func(w http.ResponseWriter) { write(w, hello) }, []string{"alive", `text "Hello"`}},
	"in_an_error_answer_body": {func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadRequest); write(w, "{") }, nil},
}

// When the context ends, the stream ends at once with the cause, and so does the
// upstream's request, on a real connection and however silent the upstream is. A
// machine under load may need a second try for it.
func TestContextEnds(t *testing.T) {
	for name, test := range silences {
		t.Run(name, func(t *testing.T) {
			var took time.Duration
			for range 5 {
				if took = endContext(t, test.answer, test.want); took <= soon {
					return
				}
			}
			t.Errorf("the stream and the upstream's request took %v to end", took)
		})
	}
}

// endContext ends the context of a stream once that has yielded want, and checks what
// it yields then. It returns how long the stream and the upstream's request took to end.
func endContext(t *testing.T, answer func(w http.ResponseWriter), want []string) time.Duration {
	t.Helper()
	answered, ended := make(chan struct{}), make(chan time.Time, 1)
	cfg := config(serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // a server sees the end only once it has it all
		answer(w)
		close(answered)
		<-r.Context().Done()
		ended <- time.Now()
	}))
	cfg.Tries, cfg.Within = 3, mustHappen
	s := newUpstream(t, cfg).Streamer(request(), "m")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	lines := make(chan string)
	go func() {
		defer close(lines)
		for e, err := range s.Stream(ctx) {
			if err != nil {
				lines <- errorLine(err)
				continue
			}
			lines <- eventLine(e)
		}
	}()
	<-answered
	for _, want := range want {
		if got := <-lines; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	start := time.Now()
	cancel(errNobody)
	var rest []string
	for line := range lines {
		rest = append(rest, line)
	}
	check(t, rest, "error "+errNobody.Error())
	took := time.Since(start)
	select {
	case end := <-ended:
		return max(took, end.Sub(start))
	case <-time.After(mustHappen):
		t.Fatal("the upstream's request did not end")
		return 0
	}
}

// The same in fake time, where "at once" can be told from any wait.
func TestContextEndsAtOnce(t *testing.T) {
	for name, test := range silences {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var ended time.Time
				s := inBubble(t, patient(3, time.Hour), func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.Copy(io.Discard, r.Body)
					test.answer(w)
					<-r.Context().Done()
					ended = time.Now()
				}).Streamer(request(), "m")
				start := time.Now()
				const limit = 1500 * time.Millisecond
				ctx, cancel := context.WithTimeoutCause(t.Context(), limit, errNobody)
				defer cancel()
				check(t, collect(ctx, t, s), append(test.want, "error "+errNobody.Error())...)
				took := time.Since(start)
				synctest.Wait()
				if upstream := ended.Sub(start); took != limit || upstream != limit {
					t.Errorf("the stream ended after %v, the upstream's request after %v, want %v", took, upstream, limit)
				}
			})
		})
	}
}

// A context that has ended asks nothing.
func TestContextHasEnded(t *testing.T) {
	u := newUpstream(t, config(serve(t, func(http.ResponseWriter, *http.Request) { t.Error("asked") })))
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errNobody)
	check(t, collect(ctx, t, u.Streamer(request(), "m")), "error "+errNobody.Error())
}

// A context that ends while the upstream refuses is not tried again.
func TestContextEndsWhileRefused(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cfg := config(serve(t, func(w http.ResponseWriter, _ *http.Request) {
		cancel(errNobody)
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	cfg.Tries, cfg.Within = 3, mustHappen
	check(t, collect(ctx, t, newUpstream(t, cfg).Streamer(request(), "m")), "error "+errNobody.Error())
}
