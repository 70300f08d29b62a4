package main

import (
	"context"
	"fmt"
	"time"

	"github.com/sauron-stream/sauron/cmd/internal/child"
)

const (
	stopGrace = 5 * time.Second // from asking a process to end to killing it
	toolLimit = 5 * time.Minute // for what builds or installs something
)

// A process is a running program and what it writes.
type process struct {
	*child.Process

	stdout, stderr *child.Output
}

// start starts a program. When ctx ends, or on Stop, its process group ends. A nil env
// is inherited.
func start(ctx context.Context, dir string, env []string, argv ...string) (*process, error) {
	p := &process{stdout: child.NewOutput(), stderr: child.NewOutput()}
	var err error
	p.Process, err = child.Start(ctx, child.Command{
		Argv: argv, Dir: dir, Env: env, Stdout: p.stdout, Stderr: p.stderr, Grace: stopGrace,
	})
	return p, err
}

// runTool runs a program that builds or installs something, with our own environment.
func runTool(ctx context.Context, dir string, argv ...string) error {
	ctx, cancel := context.WithTimeout(ctx, toolLimit)
	defer cancel()
	p, err := start(ctx, dir, nil, argv...)
	if err != nil {
		return err
	}
	state := p.State()
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", p, ctx.Err())
	case !state.Success():
		return fmt.Errorf("%s: %v: %s", p, state, p.stderr.Tail(3))
	}
	return nil
}
