//go:build unix

package child

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// sh starts a script and returns it with what it writes.
func sh(t *testing.T, script string) (p *Process, out *Output) {
	t.Helper()
	out = NewOutput()
	p, err := Start(t.Context(), Command{
		Argv: []string{"sh", "-c", script}, Stdout: out, Stderr: NewOutput(), Grace: 10 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	return p, out
}

// TestStop verifies that stopping a process ends its children too.
func TestStop(t *testing.T) {
	p, out := sh(t, "sleep 600 & trap 'exit 7' TERM; echo started; wait")
	if _, err := out.Match(t.Context(), regexp.MustCompile("started")); err != nil {
		t.Fatal(err)
	}
	if code := p.Stop(); code != 7 {
		t.Errorf("exit code %d, want 7", code)
	}
	p.Stop()                                 // again does no harm
	tick := time.NewTicker(time.Millisecond) // the kernel tells nobody when a group is gone
	defer tick.Stop()
	for deadline := time.Now().Add(5 * time.Second); ; <-tick.C {
		err := syscall.Kill(-p.State().Pid(), 0)
		if errors.Is(err, syscall.ESRCH) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the process group is still there: %v", err)
		}
	}
}

// TestOutput verifies what one that waits for words is told.
func TestOutput(t *testing.T) {
	p, out := sh(t, "echo port 1; echo port 2; exec cat /dev/null")
	said, err := out.Match(t.Context(), regexp.MustCompile(`port (\d+)\s+port (\d+)`))
	if err != nil || said[1] != "1" || said[2] != "2" {
		t.Errorf("%q, %v", said, err)
	}
	if code := p.State().ExitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if _, err := out.Match(t.Context(), regexp.MustCompile("port 3")); err == nil || !strings.Contains(err.Error(), "ended") {
		t.Errorf("after the end: %v", err)
	}
	if got := out.Tail(1); got != "port 2" {
		t.Errorf("the last line is %q", got)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := NewOutput().Match(ctx, regexp.MustCompile("x")); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
}

// TestNoSuchProgram verifies that what can't be started leaves nobody waiting.
func TestNoSuchProgram(t *testing.T) {
	out := NewOutput()
	if _, err := Start(t.Context(), Command{Argv: []string{"/no/such/program"}, Stdout: out, Stderr: NewOutput()}); err == nil {
		t.Fatal("it was started")
	}
	if _, err := out.Match(t.Context(), regexp.MustCompile("x")); err == nil {
		t.Error("it has said something")
	}
}
