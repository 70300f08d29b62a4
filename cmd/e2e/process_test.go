//go:build unix

package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func newTestWorkspace(t *testing.T) *workspace {
	t.Helper()
	w := &workspace{dir: t.TempDir(), progress: io.Discard}
	if err := os.Mkdir(w.path("logs"), 0o755); err != nil {
		t.Fatal(err)
	}
	return w
}

// TestEndedEarly verifies that a server which ends instead of getting ready is
// reported at once, with its last words.
func TestEndedEarly(t *testing.T) {
	w := newTestWorkspace(t)
	p, err := w.start(t.Context(), command{name: "server", argv: []string{"sh", "-c", "echo no such flag >&2; exit 2"}})
	if err != nil {
		t.Fatal(err)
	}
	err = p.await(t.Context(), func(context.Context) error { return errors.New("not yet") })
	if err == nil || !strings.Contains(err.Error(), "no such flag") || !strings.Contains(err.Error(), "exit status 2") {
		t.Errorf("error %v", err)
	}
}

// TestRun verifies how commands that run to their end are reported.
func TestRun(t *testing.T) {
	w := newTestWorkspace(t)
	if err := w.run(t.Context(), command{name: "true", argv: []string{"true"}}); err != nil {
		t.Error(err)
	}
	err := w.run(t.Context(), command{name: "tool", argv: []string{"sh", "-c", "echo broken; exit 1"}})
	if err == nil || !strings.Contains(err.Error(), "broken") {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if err := w.run(ctx, command{name: "sleep", argv: []string{"sleep", "600"}}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
}

// TestOnce verifies that what failed half-way is made again, and what succeeded
// is not.
func TestOnce(t *testing.T) {
	w := newTestWorkspace(t)
	calls := 0
	fill := func(err error) func(string) error {
		return func(dir string) error {
			calls++
			return errors.Join(os.WriteFile(filepath.Join(dir, "part"), nil, 0o644), err)
		}
	}
	broken := errors.New("broken")
	if _, err := w.once("thing", fill(broken)); !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
	for range 2 {
		dir, err := w.once("thing", fill(nil))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(dir, "part")); err != nil {
			t.Error(err)
		}
	}
	if calls != 2 {
		t.Errorf("filled %d times, want 2", calls)
	}
}
