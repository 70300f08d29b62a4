package trial

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/sauron-stream/sauron/cmd/bench/load"
	"github.com/sauron-stream/sauron/cmd/bench/proc"
	"github.com/sauron-stream/sauron/cmd/bench/role"
	"github.com/sauron-stream/sauron/cmd/bench/upstream"
)

const (
	settle     = 200 * time.Millisecond // from a change to measuring what it left
	startLimit = 10 * time.Second       // for a process to be ready
)

// A Runner runs trials one after the other.
type Runner struct {
	Self    string // the bench's own executable, for the roles
	Servers []int  // the cores of servers; empty: any
	Clients []int  // the cores of clients and upstreams
}

// A setup is the processes of one trial.
type setup struct {
	upstream, server, client *proc.Process
	admin                    string // the server's; empty without a server
}

// Run runs one trial. If observe is not nil it is called, with the address of the
// server's admin listener, while events flow.
func (r *Runner) Run(ctx context.Context, p Point, v Variant, observe func(ctx context.Context, admin string) error) (Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit+3*p.Limit)
	defer cancel()
	o, err := r.run(ctx, p, v, observe)
	if err != nil {
		return Outcome{}, fmt.Errorf("%s, %s, %s: %w", p.Group, p.Name, v.Name, err)
	}
	return o, nil
}

func (r *Runner) run(ctx context.Context, p Point, v Variant, observe func(context.Context, string) error) (Outcome, error) {
	o := Outcome{Point: p, Variant: v.Name, Sauron: v.IsSauron(), Streams: int64(p.Streams)}
	if v.shares() {
		o.Streams = int64(p.Generations)
	}
	var s setup
	defer s.stop()
	if err := r.start(ctx, &s, p, v, int(o.Streams)); err != nil {
		return o, err
	}
	m := &meter{setup: &s}
	if err := m.base(&o); err != nil {
		return o, err
	}
	if !p.gated() {
		if err := m.begin(ctx); err != nil {
			return o, err
		}
	}
	if err := s.client.Say(role.TellOpen); err != nil {
		return o, err
	}
	if p.gated() {
		if err := s.open(ctx, m, &o); err != nil {
			return o, err
		}
	}
	if observe != nil {
		if err := observe(ctx, s.admin); err != nil {
			return o, err
		}
	}
	if err := s.client.Hear(ctx, role.SaidResult, &o.Result); err != nil {
		return o, err
	}
	return o, m.end(ctx, &o)
}

// open waits until all streams are there, measures them, and lets the answers begin.
func (s *setup) open(ctx context.Context, m *meter, o *Outcome) error {
	var yes bool
	if err := errors.Join(
		s.client.Hear(ctx, role.SaidOpened, &yes),
		s.upstream.Hear(ctx, role.SaidReached, &yes),
	); err != nil {
		return err
	}
	if err := m.idle(ctx, o); err != nil {
		return err
	}
	if err := m.begin(ctx); err != nil {
		return err
	}
	return s.upstream.Say(role.TellGo)
}

// start starts the processes of a trial, warm.
func (r *Runner) start(ctx context.Context, s *setup, p Point, v Variant, expect int) (err error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	var addresses role.Addresses
	if s.upstream, err = r.role(ctx, r.Clients, role.Upstream, upstream.Config{
		Tokens: p.Tokens, Interval: time.Second / time.Duration(p.Rate), Gated: p.gated(), Expect: expect,
	}); err != nil {
		return err
	}
	if err = s.upstream.Hear(ctx, role.SaidAddresses, &addresses); err != nil {
		return err
	}
	base := "http://" + addresses.Service + "/v1"
	switch {
	case v.IsSauron():
		if s.server, addresses, err = startSauron(ctx, v, base, r.Servers); err != nil {
			return err
		}
	case !v.Direct:
		if s.server, err = r.role(ctx, r.Servers, role.Design, role.Older{Design: v.Design, Upstream: base, Streams: p.Streams}); err != nil {
			return err
		}
		if err = s.server.Hear(ctx, role.SaidAddresses, &addresses); err != nil {
			return err
		}
	}
	s.admin = addresses.Admin
	if s.client, err = r.role(ctx, r.Clients, role.Load, role.Client{
		Spec: spec(p, v, addresses.Service), WarmUp: upstream.WarmUp,
	}); err != nil {
		return err
	}
	var yes bool
	return s.client.Hear(ctx, role.SaidWarm, &yes)
}

// role starts a process of the bench's own.
func (r *Runner) role(ctx context.Context, cpus []int, name string, config any) (*proc.Process, error) {
	text, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	// The process ends with Stop, not with the limit on its start.
	return proc.Start(context.WithoutCancel(ctx), proc.Command{
		Name: name, CPUs: cpus, Argv: []string{r.Self, "role", name, string(text)},
	})
}

// spec returns what the client asks for.
func spec(p Point, v Variant, address string) load.Spec {
	s := load.Spec{
		Protocol: load.GRPC, Address: address,
		Streams: p.Streams, Conns: p.Conns, Generations: p.Generations, Tokens: p.Tokens,
		Stuck: p.Stuck, Off: v.Off, Ramp: p.Ramp, Limit: p.Limit,
	}
	switch {
	case v.Direct:
		s.Path = "/v1/chat/completions"
		s.Body = `{"model":"bench","stream":true,"messages":[{"role":"user","content":"%s"}]}`
	case v.speaksHTTP1():
		s.Path, s.Body = "/generate", "%s"
	}
	if v.speaksHTTP1() {
		s.Protocol, s.Conns = load.HTTP1, 0
	} else if p.Stub {
		s.Protocol = load.GRPCStub
	}
	return s
}

func (s *setup) stop() {
	for _, p := range []*proc.Process{s.client, s.server, s.upstream} {
		if p != nil {
			p.Stop()
		}
	}
}
