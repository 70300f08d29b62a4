package trial

import (
	"strings"
	"testing"

	"github.com/sauron-stream/sauron/cmd/bench/load"
	"github.com/sauron-stream/sauron/cmd/bench/upstream"
)

// TestWrong lets nothing of Sauron's pass that must not be, and only reports what older
// designs do.
func TestWrong(t *testing.T) {
	good := Outcome{Sauron: true, Result: load.Result{Received: 10}, Paid: upstream.Stats{Streams: 1}, Streams: 1}
	if w := good.Wrong(); w != "" {
		t.Errorf("good: %q", w)
	}
	for want, change := range map[string]func(*Outcome){
		"nothing came":       func(o *Outcome) { o.Received = 0 },
		"1 lost":             func(o *Outcome) { o.Lost = 1 },
		"-1 lost":            func(o *Outcome) { o.Lost = -1 }, // more than there were to be
		"2 repeated":         func(o *Outcome) { o.Repeated = 2 },
		"3 reordered":        func(o *Outcome) { o.Reordered = 3 },
		"4 of another":       func(o *Outcome) { o.Foreign = 4 },
		"5 streams failed":   func(o *Outcome) { o.Failed = 5 },
		"2 upstream streams": func(o *Outcome) { o.Paid.Streams = 2 },
	} {
		bad := good
		change(&bad)
		if w := bad.Wrong(); !strings.Contains(w, want) {
			t.Errorf("%q, want %q", w, want)
		}
		if bad.Sauron = false; want != "nothing came" && bad.Wrong() != "" {
			t.Errorf("of an older design: %q, want nothing", bad.Wrong())
		}
	}
}
