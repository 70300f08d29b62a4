package report

import (
	"strings"
	"testing"

	"github.com/google/pprof/profile"
)

// profiled is a profile with a sample for each stack, innermost function first.
func profiled(values []int64, stacks ...[]string) Profile {
	p := &profile.Profile{}
	for i, names := range stacks {
		s := &profile.Sample{Value: []int64{1, values[i]}}
		for _, n := range names {
			s.Location = append(s.Location, &profile.Location{Line: []profile.Line{{Function: &profile.Function{Name: n}}}})
		}
		p.Sample = append(p.Sample, s)
	}
	return Profile{"point", p}
}

// TestProfile counts a sample once for each part on its stack, and for one function.
func TestProfile(t *testing.T) {
	p := profiled([]int64{60e6, 30e6, 10e6},
		[]string{"internal/runtime/syscall.Syscall6", "internal/poll.(*FD).Write", "google.golang.org/grpc/internal/transport.(*loopyWriter).run"},
		[]string{"runtime.memmove", "google.golang.org/grpc/internal/transport.(*loopyWriter).run", "google.golang.org/grpc/internal/transport.(*loopyWriter).run"},
		[]string{"runtime.memmove", "main.main"})
	for row, text := range map[string]string{
		"| write(2) | 60 |": p.shares(), "| grpc-go's writer, one a connection | 90 |": p.shares(), "| select | 0 |": p.shares(),
		"| `syscall.Syscall6` | 60 |\n| `runtime.memmove` | 40 |": p.top(),
		"100 ms of samples": p.text(),
	} {
		if !strings.Contains(text, row) {
			t.Errorf("no %q in\n%s", row, text)
		}
	}
}
