package child

import (
	"context"
	"io"
	"os"
	"os/exec"
	"time"
)

// A Command is a program to be run.
type Command struct {
	Argv           []string
	Dir            string         // empty: the current one
	Env            []string       // nil: inherited
	Stdout, Stderr io.WriteCloser // closed when nothing follows
	Grace          time.Duration  // from asking it to end to killing it
}

// A Process is a running command in a process group of its own.
type Process struct {
	cmd    *exec.Cmd
	cancel context.CancelFunc
	ended  chan struct{} // closed once it has ended, its group is gone, and its outputs are whole
}

// Start starts c. When ctx ends, or on Stop, its process group is asked to end and, if
// it does not, killed.
func Start(ctx context.Context, c Command) (*Process, error) {
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, c.Argv[0], c.Argv[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = c.Dir, c.Env, c.Stdout, c.Stderr
	cmd.WaitDelay = c.Grace
	ownGroup(cmd)
	closeOutputs := func() {
		_ = c.Stdout.Close() // what it holds is what counts
		_ = c.Stderr.Close()
	}
	if err := cmd.Start(); err != nil {
		cancel()
		closeOutputs()
		return nil, err
	}
	p := &Process{cmd: cmd, cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		_ = cmd.Wait() // how it ended is in cmd.ProcessState
		killGroup(cmd) // what it left behind
		closeOutputs()
	}()
	return p, nil
}

// Ended returns a channel that is closed once the process has ended, its group is gone,
// and its outputs are whole.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// State waits for the end and says how it came.
func (p *Process) State() *os.ProcessState {
	<-p.ended
	return p.cmd.ProcessState
}

// Stop asks the process to end, waits for it, and returns the exit code. It may be
// called again.
func (p *Process) Stop() int {
	p.cancel()
	return p.State().ExitCode()
}

// Signal sends s to the process itself.
func (p *Process) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// String returns the command line.
func (p *Process) String() string { return p.cmd.String() }
