package sim_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sauron-stream/sauron/manager/fault"
	"github.com/sauron-stream/sauron/manager/upstream/sim"
)

// checkFault compares what callers are told, and when, with what is wanted.
func checkFault(t *testing.T, got run, want fault.Error, tokens int, at time.Duration) {
	t.Helper()
	f, ok := errors.AsType[*fault.Error](got.err)
	if !ok {
		t.Fatalf("error = %v, want a fault", got.err)
	}
	if f.Err == nil {
		t.Error("the log is not told what happened")
	}
	told := fault.Error{Kind: f.Kind, Reason: f.Reason, RetryAfter: f.RetryAfter, Metadata: f.Metadata}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("fault (-want +got)\n%s", diff)
	}
	if len(got.events) != tokens || got.errAt != at {
		t.Errorf("fault after %d events at %v, want %d at %v", len(got.events), got.errAt, tokens, at)
	}
}

func status(s string) map[string]string { return map[string]string{"upstream_status": s} }

// Each HTTP status is the failure that the contract makes of it, in the place of
// the first token.
func TestErrorStatuses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		want   fault.Error
	}{
		{"default", 0, fault.Error{Reason: fault.UpstreamUnavailable, Metadata: status("500")}},
		{"500", 500, fault.Error{Reason: fault.UpstreamUnavailable, Metadata: status("500")}},
		{"503", 503, fault.Error{Reason: fault.UpstreamUnavailable, Metadata: status("503")}},
		{"599", 599, fault.Error{Reason: fault.UpstreamUnavailable, Metadata: status("599")}},
		{"408", 408, fault.Error{Reason: fault.UpstreamUnavailable, Metadata: status("408")}},
		{"400", 400, fault.Error{Kind: fault.Invalid, Reason: fault.UpstreamRejected}},
		{"413", 413, fault.Error{Kind: fault.Invalid, Reason: fault.UpstreamRejected}},
		{"422", 422, fault.Error{Kind: fault.Invalid, Reason: fault.UpstreamRejected}},
		{"401", 401, fault.Error{Kind: fault.Precondition, Reason: fault.UpstreamUnauthorized}},
		{"403", 403, fault.Error{Kind: fault.Precondition, Reason: fault.UpstreamUnauthorized}},
		{"404", 404, fault.Error{Kind: fault.Precondition, Reason: fault.UpstreamModelNotFound}},
		{"402", 402, fault.Error{Kind: fault.Exhausted, Reason: fault.UpstreamQuota}},
		{"429", 429, fault.Error{Kind: fault.Exhausted, Reason: fault.UpstreamRateLimited, RetryAfter: time.Second}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := paced()
				cfg.Fault = sim.Fault{Kind: sim.FaultError, Status: tt.status, RetryAfter: time.Second, AfterTokens: 3}
				got := collect(t.Context(), t, newSim(t, cfg).Streamer(request("hello"), "m"))
				checkFault(t, got, tt.want, 0, 200*time.Millisecond)
			})
		})
	}
}

// The other faults that end a stream, each when the next token was due, and
// before the end of an answer that is too short for them.
func TestFaults(t *testing.T) {
	broken := fault.Error{Reason: fault.UpstreamBroken}
	for _, tt := range []struct {
		name   string
		fault  sim.Fault
		want   fault.Error
		tokens int
		at     time.Duration
	}{
		{
			"rate_limit",
			sim.Fault{Kind: sim.FaultRateLimit, RetryAfter: 2 * time.Second, AfterTokens: 3, Status: 503},
			fault.Error{Kind: fault.Exhausted, Reason: fault.UpstreamRateLimited, RetryAfter: 2 * time.Second},
			0, 200 * time.Millisecond,
		},
		{
			"rate_limit_unsaid",
			sim.Fault{Kind: sim.FaultRateLimit},
			fault.Error{Kind: fault.Exhausted, Reason: fault.UpstreamRateLimited},
			0, 200 * time.Millisecond,
		},
		{"break_at_once", sim.Fault{Kind: sim.FaultBreak}, broken, 0, 200 * time.Millisecond},
		{"break", sim.Fault{Kind: sim.FaultBreak, AfterTokens: 3}, broken, 3, 260 * time.Millisecond},
		{"break_at_the_end", sim.Fault{Kind: sim.FaultBreak, AfterTokens: 4}, broken, 4, 280 * time.Millisecond},
		{"break_beyond_the_end", sim.Fault{Kind: sim.FaultBreak, AfterTokens: 9}, broken, 4, 280 * time.Millisecond},
		{"garbage", sim.Fault{Kind: sim.FaultGarbage, AfterTokens: 2}, broken, 2, 240 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := paced()
				cfg.Fault = tt.fault
				got := collect(t.Context(), t, newSim(t, cfg).Streamer(request("hello"), "m"))
				checkFault(t, got, tt.want, tt.tokens, tt.at)
			})
		})
	}
}

// The log can tell a break from garbage, though callers cannot.
func TestBreakAndGarbageDiffer(t *testing.T) {
	texts := make(map[string]bool)
	for _, kind := range []sim.FaultKind{sim.FaultBreak, sim.FaultGarbage} {
		cfg := config()
		cfg.Fault.Kind = kind
		texts[collect(t.Context(), t, newSim(t, cfg).Streamer(request("hello"), "m")).err.Error()] = true
	}
	if len(texts) != 2 {
		t.Errorf("texts for the log = %v, want two", texts)
	}
}

// A stall yields its tokens and then nothing until the context ends.
func TestStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := paced()
		cfg.Fault = sim.Fault{Kind: sim.FaultStall, AfterTokens: 3}
		ctx, cancel := context.WithTimeoutCause(t.Context(), 24*time.Hour, errGone)
		defer cancel()
		got := collect(ctx, t, newSim(t, cfg).Streamer(request("hello"), "m"))
		if _, tokens, rest := got.text(); tokens != 3 || rest != nil {
			t.Errorf("%d tokens, then %v; want 3, then nothing", tokens, rest)
		}
		if !errors.Is(got.err, errGone) || got.errAt != 24*time.Hour {
			t.Errorf("ended with %v at %v, want %v at %v", got.err, got.errAt, errGone, 24*time.Hour)
		}
	})
}
