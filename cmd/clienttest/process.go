package main

import (
	"context"
	"fmt"
	"os/exec"
	"time"
)

const (
	stopGrace = 5 * time.Second // from asking a process to end to killing it
	toolLimit = 5 * time.Minute // for what builds or installs something
)

// A process is a running program in a process group of its own.
type process struct {
	cmd            *exec.Cmd
	cancel         context.CancelFunc
	stdout, stderr *output
	ended          chan struct{} // closed once it has ended, its group is gone, and its outputs are whole
}

// start starts a program. When ctx ends, or on stop, its process group is asked to
// end and, if it does not, killed. A nil env is inherited.
func start(ctx context.Context, dir string, env []string, program string, args ...string) (*process, error) {
	ctx, cancel := context.WithCancel(ctx)
	p := &process{
		cmd:    exec.CommandContext(ctx, program, args...),
		cancel: cancel,
		stdout: newOutput(),
		stderr: newOutput(),
		ended:  make(chan struct{}),
	}
	p.cmd.Dir, p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = dir, env, p.stdout, p.stderr
	p.cmd.WaitDelay = stopGrace
	ownGroup(p.cmd)
	if err := p.cmd.Start(); err != nil {
		cancel()
		return nil, err
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // how it ended is in cmd.ProcessState
		killGroup(p.cmd) // what it left behind
		p.stdout.close()
		p.stderr.close()
	}()
	return p, nil
}

// wait waits for the end and returns the exit code.
func (p *process) wait() int {
	<-p.ended
	return p.cmd.ProcessState.ExitCode()
}

// stop asks the process to end, waits for it, and returns the exit code.
func (p *process) stop() int {
	p.cancel()
	return p.wait()
}

// runTool runs a program that builds or installs something, with our own environment.
func runTool(ctx context.Context, dir, program string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, toolLimit)
	defer cancel()
	p, err := start(ctx, dir, nil, program, args...)
	if err != nil {
		return err
	}
	code := p.wait()
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", p.cmd, ctx.Err())
	case code != 0:
		return fmt.Errorf("%s: %v: %s", p.cmd, p.cmd.ProcessState, p.stderr.tail(3))
	}
	return nil
}
