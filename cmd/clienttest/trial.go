package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// A trial is one client in one scenario, with the servers and proxies that it takes.
type trial struct {
	// Set at construction, then read-only.
	work     *workspace
	sauron   string // the binary
	client   client
	scenario scenario

	more     string         // of the question, set before it is asked
	cleanups []func() error // run at the end, the last first
}

// try runs a trial within its time. The error says what was not as it should be.
func try(ctx context.Context, t trial) error {
	ctx, cancel := context.WithTimeout(ctx, trialLimit)
	defer cancel()
	err := t.scenario.run(ctx, &t)
	for i := len(t.cleanups) - 1; i >= 0; i-- {
		err = errors.Join(err, t.cleanups[i]())
	}
	return err
}

// question is what this trial asks, and no other: generations are not shared.
func (t *trial) question() string { return t.client.name + ", " + t.scenario.name + t.more }

// serve starts a server. At the end it is asked to end, and must do so with status 0.
func (t *trial) serve(ctx context.Context, flags ...string) (*sauron, error) {
	s, err := startSauron(ctx, t.work, t.sauron, flags...)
	if err != nil {
		return nil, err
	}
	t.cleanups = append(t.cleanups, func() error {
		if code := s.Stop(); code != 0 {
			return fmt.Errorf("sauron: exit %d\n%s", code, s.stderr.Tail(5))
		}
		return nil
	})
	return s, nil
}

// proxy starts a proxy.
func (t *trial) proxy(ctx context.Context, legs ...leg) (*proxy, error) {
	p, err := startProxy(ctx, legs...)
	if err != nil {
		return nil, err
	}
	t.cleanups = append(t.cleanups, func() error {
		p.close()
		return nil
	})
	return p, nil
}

// caller returns a plain client of a server.
func (t *trial) caller(s *sauron) (*caller, error) {
	c, err := s.dial()
	if err != nil {
		return nil, err
	}
	t.cleanups = append(t.cleanups, c.close)
	return c, nil
}

// begin starts the trial's client, with the trial's question in words: one argument
// could not hold a large one.
func (t *trial) begin(ctx context.Context, address string, flags ...string) (*process, error) {
	args := append([]string{"--address", address}, flags...)
	return t.client.start(ctx, append(args, strings.Split(t.question(), " ")...)...)
}

// run runs the trial's client to its end.
func (t *trial) run(ctx context.Context, address string, flags ...string) (ending, error) {
	p, err := t.begin(ctx, address, flags...)
	if err != nil {
		return ending{}, err
	}
	return p.ending(), nil
}
