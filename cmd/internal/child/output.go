package child

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"
)

// Output is what a process writes to one of its outputs. It is safe for concurrent
// use.
type Output struct {
	mu      sync.Mutex // guards the fields below
	text    []byte
	changed chan struct{} // closed on every change, and replaced unless nothing follows
	closed  bool
}

// NewOutput returns an output with nothing in it yet.
func NewOutput() *Output { return &Output{changed: make(chan struct{})} }

// Write implements io.Writer.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text = append(o.text, p...)
	close(o.changed)
	o.changed = make(chan struct{})
	return len(p), nil
}

// Close implements io.Closer: nothing follows.
func (o *Output) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	close(o.changed)
	return nil
}

// String implements fmt.Stringer: it returns what was written so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.text)
}

// Match waits until the output matches re and returns the match with its groups.
func (o *Output) Match(ctx context.Context, re *regexp.Regexp) ([]string, error) {
	for {
		o.mu.Lock()
		found, changed, closed := re.FindStringSubmatch(string(o.text)), o.changed, o.closed
		o.mu.Unlock()
		switch {
		case found != nil:
			return found, nil
		case closed:
			return nil, fmt.Errorf("ended without %q in its output", re)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("no %q in the output: %w", re, ctx.Err())
		}
	}
}

// Tail returns the last lines of the output.
func (o *Output) Tail(lines int) string {
	all := strings.Split(strings.TrimSpace(o.String()), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
