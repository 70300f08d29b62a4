package systemtest

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"sync"
	"testing"
	"time"
)

// A process is a program that runs. At the end of the test it has ended.
type process struct {
	cmd            *exec.Cmd
	stdout, stderr *output
	ended          chan struct{} // closed when it has ended and all it wrote is there
}

// start starts a program with nothing of our own environment but what it needs to
// run at all. Before the test binary itself runs out of time, it is killed.
func start(t *testing.T, env []string, program string, args ...string) *process {
	t.Helper()
	deadline, ok := t.Deadline()
	if !ok {
		deadline = time.Now().Add(time.Hour)
	}
	ctx, cancel := context.WithDeadline(context.WithoutCancel(t.Context()), deadline.Add(-5*time.Second))
	noteSources()
	p := &process{
		cmd:    exec.CommandContext(ctx, program, args...),
		stdout: newOutput(),
		stderr: newOutput(),
		ended:  make(chan struct{}),
	}
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, env...)
	p.cmd.Stdout, p.cmd.Stderr = p.stdout, p.stderr
	p.cmd.WaitDelay = time.Second
	if err := p.cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // how it ended is in ProcessState
		p.stdout.close()
		p.stderr.close()
	}()
	t.Cleanup(func() {
		cancel() // kills it, if it still runs
		<-p.ended
	})
	return p
}

// signal sends s.
func (p *process) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Errorf("signal %v: %v", s, err)
	}
}

// exit waits for the end and returns the exit status.
func (p *process) exit(t *testing.T) int {
	t.Helper()
	receive(t, p.ended, "end of the process")
	return p.cmd.ProcessState.ExitCode()
}

// output is what a process writes to one of its outputs. It is safe for concurrent
// use.
type output struct {
	mu      sync.Mutex // guards the fields below
	text    []byte
	changed chan struct{} // closed on every change
	closed  bool
}

func newOutput() *output { return &output{changed: make(chan struct{})} }

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text = append(o.text, p...)
	close(o.changed)
	o.changed = make(chan struct{})
	return len(p), nil
}

// close says that nothing follows.
func (o *output) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	close(o.changed)
}

// String returns what was written so far.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.text)
}

// match waits until the output matches pattern and returns the match with its
// groups.
func (o *output) match(t *testing.T, pattern string) []string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	ctx := patient(t)
	for {
		o.mu.Lock()
		found, changed, closed := re.FindStringSubmatch(string(o.text)), o.changed, o.closed
		o.mu.Unlock()
		if found != nil {
			return found
		}
		if closed {
			t.Fatalf("it ended without %q:\n%s", pattern, o)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("no %q:\n%s", pattern, o)
		}
	}
}
