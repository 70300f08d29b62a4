package sim_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
	"github.com/sauron-stream/sauron/manager/upstream/sim"
)

var errGone = errors.New("nobody is left")

func paced() sim.Config {
	return sim.Config{Name: "sim", Tokens: 4, FirstToken: 200 * time.Millisecond, InterToken: 20 * time.Millisecond}
}

func millis(ns ...int) []time.Duration {
	ds := make([]time.Duration, len(ns))
	for i, n := range ns {
		ds[i] = time.Duration(n) * time.Millisecond
	}
	return ds
}

// Every token comes when it is due, and the end with the last. A second attempt
// starts its clock anew.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, paced()).Streamer(request("hello"), "m")
		for range 2 {
			got := collect(t.Context(), t, s)
			if want := millis(200, 220, 240, 260, 260, 260); got.err != nil || !slices.Equal(got.at, want) {
				t.Errorf("events at %v, %v; want %v", got.at, got.err, want)
			}
		}
	})
}

// A reader that is late for one token is not late for the next: the schedule is
// absolute.
func TestPaceDoesNotDrift(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var at []time.Duration
		for _, err := range newSim(t, paced()).Streamer(request("hello"), "m").Stream(t.Context()) {
			if err != nil {
				t.Fatalf("stream: %v", err)
			}
			at = append(at, time.Since(start))
			if len(at) == 1 {
				time.Sleep(25 * time.Millisecond) // in the bubble; past the second token's time
			}
		}
		if want := millis(200, 225, 240, 260, 260, 260); !slices.Equal(at, want) {
			t.Errorf("events at %v, want %v", at, want)
		}
	})
}

// An answer without a token takes as long as its first would have.
func TestEmptyAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := withExtension(t, map[string]any{"tokens": 0})
		got := collect(t.Context(), t, newSim(t, paced()).Streamer(r, "m"))
		if want := millis(200, 200); got.err != nil || !slices.Equal(got.at, want) {
			t.Errorf("events at %v, %v; want %v", got.at, got.err, want)
		}
	})
}

// However long and however paced, the last token is due at the sum.
func TestLongAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := sim.Config{Name: "sim", Tokens: 5_000, FirstToken: time.Hour, InterToken: time.Hour}
		got := collect(t.Context(), t, newSim(t, cfg).Streamer(request("hello"), "m"))
		_, tokens, _ := got.text()
		if last := got.at[len(got.at)-1]; tokens != 5_000 || last != 5_000*time.Hour {
			t.Errorf("%d tokens until %v, want 5000 until %v", tokens, last, 5_000*time.Hour)
		}
	})
}

// The end of ctx ends the stream at once, with its cause, wherever it is.
func TestContextEnds(t *testing.T) {
	for _, tt := range []struct {
		name   string
		ext    map[string]any
		after  time.Duration
		events int
	}{
		{"before_the_first_token", nil, 199 * time.Millisecond, 0},
		{"between_tokens", nil, 230 * time.Millisecond, 2},
		{"before_the_end_of_an_empty_answer", map[string]any{"tokens": 0}, 100 * time.Millisecond, 0},
		{"in_a_stall", map[string]any{"fault": "stall", "after_tokens": 1}, time.Hour, 1},
		{"before_an_error", map[string]any{"fault": "error"}, 100 * time.Millisecond, 0},
		{"before_a_break", map[string]any{"fault": "break", "after_tokens": 1}, 210 * time.Millisecond, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(tt.after, func() { cancel(errGone) })
				r := request("hello")
				if tt.ext != nil {
					r = withExtension(t, tt.ext)
				}
				got := collect(ctx, t, newSim(t, paced()).Streamer(r, "m"))
				if !errors.Is(got.err, errGone) || got.errAt != tt.after || len(got.events) != tt.events {
					t.Errorf("%d events, then %v at %v; want %d, then %v at %v",
						len(got.events), got.err, got.errAt, tt.events, errGone, tt.after)
				}
			})
		})
	}
}

// A stream that takes no time does not outrun the end of its context either, be
// it before the first token or between the last and the end.
func TestContextEndsWithoutPace(t *testing.T) {
	for _, after := range []int{0, 1, 5} {
		ctx, cancel := context.WithCancelCause(t.Context())
		if after == 0 {
			cancel(errGone)
		}
		var n int
		var last error
		for _, err := range newSim(t, config()).Streamer(request("hello"), "m").Stream(ctx) {
			if last = err; err != nil {
				continue
			}
			if n++; n == after {
				cancel(errGone)
			}
		}
		if n != after || !errors.Is(last, errGone) {
			t.Errorf("%d events, then %v; want %d, then %v", n, last, after, errGone)
		}
		cancel(nil)
	}
}

// A reader may leave at any event: the range loop panics if the stream yields
// again.
func TestReaderLeaves(t *testing.T) {
	call := request("hello")
	call.Tools = []*sauronv1.Tool{{Name: "f"}}
	call.ToolChoice = &sauronv1.ToolChoice{Choice: &sauronv1.ToolChoice_Name{Name: "f"}}
	for _, tt := range []struct {
		name    string
		request *sauronv1.GenerateRequest
		events  int
	}{
		{"text", request("hello"), 7},
		{"tool_call", call, 4},
		{"fault", withExtension(t, map[string]any{"fault": "break", "after_tokens": 2}), 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for leaveAt := 1; leaveAt <= tt.events; leaveAt++ {
				n := 0
				for range newSim(t, config()).Streamer(tt.request, "m").Stream(t.Context()) {
					if n++; n == leaveAt {
						break
					}
				}
				if n != leaveAt {
					t.Errorf("left at %d, want %d", n, leaveAt)
				}
			}
		})
	}
}
