package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/sauron-stream/sauron/cmd/internal/child"
)

const (
	commandLimit = 20 * time.Minute // for a command that runs to its end; one compiles a server
	stopGrace    = 10 * time.Second // from asking a process to end to killing it
	readyLimit   = 30 * time.Second // for a server to become ready
	readyPoll    = 50 * time.Millisecond
)

// A command is a program to be run. Its output goes to a log file.
type command struct {
	name string // names the log file, and the program in errors
	argv []string
	dir  string   // empty: the current one
	env  []string // nil: inherited
}

// A process is a running command.
type process struct {
	*child.Process

	name string
	log  string
}

// start starts c. When ctx ends, or on Stop, its process group ends.
func (w *workspace) start(ctx context.Context, c command) (*process, error) {
	output, err := os.Create(w.path("logs", c.name+".log"))
	if err != nil {
		return nil, err
	}
	running, err := child.Start(ctx, child.Command{
		Argv: c.argv, Dir: c.dir, Env: c.env, Stdout: output, Stderr: output, Grace: stopGrace,
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.name, err)
	}
	return &process{Process: running, name: c.name, log: output.Name()}, nil
}

// run runs c to its end.
func (w *workspace) run(ctx context.Context, c command) error {
	ctx, cancel := context.WithTimeout(ctx, commandLimit)
	defer cancel()
	p, err := w.start(ctx, c)
	if err != nil {
		return err
	}
	state := p.State()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	if !state.Success() {
		return p.failed()
	}
	return nil
}

// await returns once ready has said nil. The process must not end before.
func (p *process) await(ctx context.Context, ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	poll := time.NewTicker(readyPoll)
	defer poll.Stop()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.Ended():
			return p.failed()
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w", p.name, err)
		case <-poll.C:
		}
	}
}

// failed describes a process that has ended as it should not.
func (p *process) failed() error {
	return fmt.Errorf("%s: %v\n%s", p.name, p.State(), tail(p.log, 8))
}

// tail returns the last lines of a file, indented.
func tail(file string, lines int) string {
	data, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(data)), "\n")
	return "\t" + strings.Join(all[max(0, len(all)-lines):], "\n\t")
}

// freeAddress returns a loopback address that nobody listens on.
func freeAddress(ctx context.Context) (string, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// serverEnv is the environment of a server that is to see nothing of the
// user's: its home is a folder of the workspace.
func (w *workspace) serverEnv(more ...string) ([]string, error) {
	home := w.path("home")
	if err := os.MkdirAll(home, 0o755); err != nil {
		return nil, err
	}
	path := os.Getenv("PATH")
	if path == "" {
		return nil, errors.New("PATH is not set")
	}
	return append([]string{"PATH=" + path, "HOME=" + home}, more...), nil
}
