package openai_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sauron-stream/sauron/manager"
	"github.com/sauron-stream/sauron/manager/fault"
	"github.com/sauron-stream/sauron/manager/upstream/openai"
)

// patient returns a configuration with retries.
func patient(tries int, within time.Duration) openai.Config {
	cfg := config("http://up")
	cfg.Tries, cfg.Within = tries, within
	return cfg
}

// retried runs attempts as the manager does: again after the wait, while the streamer
// asks for it. It returns what the last attempt yielded and the waits.
func retried(t *testing.T, s manager.Streamer) (last []string, waits []time.Duration) {
	t.Helper()
	for {
		var retry *fault.Retry
		last = nil
		for e, err := range s.Stream(t.Context()) {
			switch r, ok := errors.AsType[*fault.Retry](err); {
			case ok:
				retry = r
			case err != nil:
				last = append(last, errorLine(err))
			default:
				last = append(last, eventLine(e))
			}
			if err != nil {
				checkError(t, err)
			}
		}
		if retry == nil {
			return last, waits
		}
		if len(last) > 0 {
			t.Errorf("before a retry came %q", last)
		}
		waits = append(waits, retry.After)
		<-time.After(retry.After)
	}
}

// Which failures are tried again, and how often: the requests are counted.
func TestRetries(t *testing.T) {
	status := func(status int, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(status)
		}
	}
	closed := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	for name, test := range map[string]struct {
		cfg      openai.Config
		fails    http.HandlerFunc
		failures int // before the stream would succeed
		requests int
		want     []string
	}{
		"no_tries":            {patient(0, time.Hour), status(503), 1, 1, []string{"fault UPSTREAM_UNAVAILABLE upstream_status=503"}},
		"one_try":             {patient(1, time.Hour), status(503), 1, 1, []string{"fault UPSTREAM_UNAVAILABLE upstream_status=503"}},
		"no_budget":           {patient(3, 0), status(503), 1, 1, []string{"fault UPSTREAM_UNAVAILABLE upstream_status=503"}},
		"503_then_good":       {patient(3, time.Hour), status(503), 2, 3, nil},
		"503_too_often":       {patient(3, time.Hour), status(503), 9, 3, []string{"fault UPSTREAM_UNAVAILABLE upstream_status=503"}},
		"500":                 {patient(2, time.Hour), status(500), 1, 2, nil},
		"408":                 {patient(2, time.Hour), status(408), 1, 2, nil},
		"closed":              {patient(2, time.Hour), closed, 1, 2, nil},
		"closed_too_often":    {patient(2, time.Hour), closed, 9, 2, []string{"fault UPSTREAM_UNAVAILABLE"}},
		"429":                 {patient(2, time.Hour), status(429), 1, 2, nil},
		"429_that_fits":       {patient(2, time.Minute), status(429, "Retry-After", "60"), 1, 2, nil},
		"429_that_does_not":   {patient(2, time.Minute), status(429, "Retry-After", "61"), 1, 1, []string{"fault UPSTREAM_RATE_LIMITED upstream_status=429 retry_after=1m1s"}},
		"503_that_does_not":   {patient(2, time.Minute), status(503, "Retry-After", "61"), 1, 1, []string{"fault UPSTREAM_UNAVAILABLE upstream_status=503"}},
		"402":                 {patient(2, time.Hour), status(402), 1, 1, []string{"fault UPSTREAM_QUOTA upstream_status=402"}},
		"400":                 {patient(2, time.Hour), status(400), 1, 1, []string{"fault UPSTREAM_REJECTED upstream_status=400"}},
		"401":                 {patient(2, time.Hour), status(401), 1, 1, []string{"fault UPSTREAM_UNAUTHORIZED upstream_status=401"}},
		"404":                 {patient(2, time.Hour), status(404), 1, 1, []string{"fault UPSTREAM_MODEL_NOT_FOUND upstream_status=404"}},
		"a_redirect":          {patient(2, time.Hour), status(307, "Location", "/"), 1, 1, []string{"fault UPSTREAM_UNAVAILABLE upstream_status=307"}},
		"broken_before_token": {patient(2, time.Hour), stream(": x\n"), 1, 1, []string{"alive", "alive", broke}},
		"error_before_token":  {patient(2, time.Hour), stream("data: {\"error\":{\"code\":503}}\n\n"), 1, 1, []string{"alive", broke}},
		"broken_after_token":  {patient(2, time.Hour), stream(hello), 1, 1, []string{"alive", `text "Hello"`, broke}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var requests atomic.Int32
				s := inBubble(t, test.cfg, func(w http.ResponseWriter, r *http.Request) {
					if int(requests.Add(1)) <= test.failures {
						test.fails(w, r)
						return
					}
					stream(hello, stop, done)(w, r)
				}).Streamer(request(), "m")
				got, waits := retried(t, s)
				if test.want == nil {
					test.want = []string{"alive", `text "Hello"`, "alive", finished}
				}
				check(t, got, test.want...)
				if n := int(requests.Load()); n != test.requests || len(waits) != n-1 {
					t.Errorf("%d requests, want %d; waits %v", n, test.requests, waits)
				}
			})
		})
	}
}

// The waits are random around an exponential, no less than what the upstream asks for,
// and end with the budget: an attempt that would start after it is not made.
func TestWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		unavailable := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }
		const within = 20 * time.Second
		u := inBubble(t, patient(100, within), unavailable)
		firsts := map[time.Duration]bool{}
		for range 20 {
			start := time.Now()
			last, waits := retried(t, u.Streamer(request(), "m"))
			check(t, last, "fault UPSTREAM_UNAVAILABLE upstream_status=503")
			if took := time.Since(start); took > within {
				t.Errorf("the last attempt began after %v, the budget is %v", took, within)
			}
			if len(waits) < 3 {
				t.Fatalf("waits %v", waits)
			}
			firsts[waits[0]] = true
			middle := 250 * time.Millisecond
			for i, wait := range waits {
				if wait < middle/2 || wait > middle+middle/2+1 {
					t.Errorf("wait %d is %v, want %v and a half less or more", i, wait, middle)
				}
				middle = min(2*middle, 10*time.Second)
			}
		}
		if len(firsts) < 15 {
			t.Errorf("20 generations begin with the waits %v", firsts)
		}
	})
}

// What the upstream asks to wait is the least that is waited, in any of its forms.
func TestRetryAfterIsWaited(t *testing.T) {
	for name, test := range map[string]struct {
		header, value string
		want          time.Duration // 0: as if nothing was said
	}{
		"seconds":      {"Retry-After", "3", 3 * time.Second},
		"fractions":    {"Retry-After", "2.5", 2500 * time.Millisecond},
		"milliseconds": {"Retry-After-Ms", "4500", 4500 * time.Millisecond},
		"date":         {"Retry-After", "Sat, 01 Jan 2000 00:00:09 GMT", 9 * time.Second}, // a bubble's time begins at 0
		"past_date":    {"Retry-After", "Fri, 31 Dec 1999 00:00:00 GMT", 0},
		"nothing":      {"Retry-After", "", 0},
		"zero":         {"Retry-After", "0", 0},
		"negative":     {"Retry-After", "-5", 0},
		"no_number":    {"Retry-After", "NaN", 0},
		"soon":         {"Retry-After", "soon", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				answered := false
				_, waits := retried(t, inBubble(t, patient(2, time.Hour), func(w http.ResponseWriter, r *http.Request) {
					if answered {
						stream(hello, stop, done)(w, r)
						return
					}
					answered = true
					w.Header().Set(test.header, test.value)
					w.WriteHeader(http.StatusTooManyRequests)
				}).Streamer(request(), "m"))
				if len(waits) != 1 {
					t.Fatalf("waits %v", waits)
				}
				if test.want == 0 && waits[0] > 375*time.Millisecond+1 || test.want != 0 && waits[0] != test.want {
					t.Errorf("waited %v, want %v", waits[0], test.want)
				}
			})
		})
	}
}

// What is asked without any bound is bounded: callers are told at most a day.
func TestRetryAfterIsBounded(t *testing.T) {
	for _, value := range []string{"1e300", "+Inf", "Fri, 31 Dec 9999 23:59:59 GMT"} {
		check(t, ask(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", value)
			w.WriteHeader(http.StatusTooManyRequests)
		})), "fault UPSTREAM_RATE_LIMITED upstream_status=429 retry_after=24h0m0s")
	}
}

// A retry says why; whoever can't wait has the failure itself. It is logged: nobody
// else is told of an attempt that another follows.
func TestRetryHoldsTheFailure(t *testing.T) {
	var log bytes.Buffer
	cfg := config(serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }))
	cfg.Tries, cfg.Within = 2, time.Minute
	cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	s := newUpstream(t, cfg).Streamer(request(), "m")
	check(t, collect(t.Context(), t, s), "retry fault UPSTREAM_UNAVAILABLE upstream_status=502")
	check(t, collect(t.Context(), t, s), "fault UPSTREAM_UNAVAILABLE upstream_status=502")
	if n := strings.Count(log.String(), "status 502"); n != 1 || !strings.Contains(log.String(), "upstream=up") {
		t.Errorf("logged %d times, want 1: %s", n, log.String())
	}
}
