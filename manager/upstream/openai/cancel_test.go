package openai_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"
)

// soon is how long the upstream may take to see that its request has ended.
const soon = 100 * time.Millisecond

// When the context ends, the stream ends at once with the cause, and so does the
// upstream's request, on a real connection and however silent the upstream is.
func TestContextEnds(t *testing.T) {
	for name, test := range map[string]struct {
		answer func(w http.ResponseWriter)
		want   []string
	}{
		"before_the_headers":      {func(http.ResponseWriter) {}, nil},
		"after_the_headers":       {func(w http.ResponseWriter) { write(w, "") }, []string{"alive"}},
		"in_an_event":             {func(w http.ResponseWriter) { write(w, hello, hello[:20]) }, []string{"alive", `text "Hello"`}},
		"after_a_token":           {func(w http.ResponseWriter) { write(w, hello) }, []string{"alive", `text "Hello"`}},
		"in_an_error_answer_body": {func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadRequest); write(w, "{") }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			answered, ended := make(chan struct{}), make(chan time.Time, 1)
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body) // a server sees the end only once it has it all
				test.answer(w)
				close(answered)
				<-r.Context().Done()
				ended <- time.Now()
			})
			cfg := config(url)
			cfg.Tries, cfg.Within = 3, mustHappen
			s := newUpstream(t, cfg).Streamer(request(), "m")
			cause := errors.New("nobody is left")
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
			for _, want := range test.want {
				if got := <-lines; got != want {
					t.Errorf("got %q, want %q", got, want)
				}
			}
			at := time.Now()
			cancel(cause)
			var rest []string
			for line := range lines {
				rest = append(rest, line)
			}
			if took := time.Since(at); took > soon {
				t.Errorf("the stream took %v to end", took)
			}
			check(t, rest, "error "+cause.Error())
			select {
			case end := <-ended:
				if took := end.Sub(at); took > soon {
					t.Errorf("the upstream saw it after %v", took)
				}
			case <-time.After(mustHappen):
				t.Error("the upstream's request did not end")
			}
		})
	}
}

// A context that has ended asks nothing.
func TestContextHasEnded(t *testing.T) {
	url := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("asked") })
	cause := errors.New("nobody is left")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	check(t, collect(t, ctx, newUpstream(t, config(url)).Streamer(request(), "m")), "error "+cause.Error())
}

// A context that ends while the upstream refuses is not tried again.
func TestContextEndsWhileRefused(t *testing.T) {
	cause := errors.New("nobody is left")
	ctx, cancel := context.WithCancelCause(t.Context())
	cfg := config(serve(t, func(w http.ResponseWriter, r *http.Request) {
		cancel(cause)
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	cfg.Tries, cfg.Within = 3, mustHappen
	check(t, collect(t, ctx, newUpstream(t, cfg).Streamer(request(), "m")), "error "+cause.Error())
}
