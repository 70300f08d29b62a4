package systemtest

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"testing"
	"time"

	"github.com/sauron-stream/sauron/cmd/internal/child"
)

// A process is a program that runs. At the end of the test it has ended.
type process struct {
	cmd            *exec.Cmd
	stdout, stderr output
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
		stdout: output{child.NewOutput()},
		stderr: output{child.NewOutput()},
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
		_ = p.cmd.Wait()     // how it ended is in ProcessState
		_ = p.stdout.Close() // it never fails
		_ = p.stderr.Close()
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

// output is what a process writes to one of its outputs.
type output struct{ *child.Output }

// match waits until the output matches pattern and returns the match with its
// groups.
func (o output) match(t *testing.T, pattern string) []string {
	t.Helper()
	found, err := o.Match(patient(t), regexp.MustCompile(pattern))
	if err != nil {
		t.Fatalf("%v:\n%s", err, o)
	}
	return found
}
