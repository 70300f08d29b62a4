package main

import (
	"context"
	"os"
)

// cancelFromAnotherTask: the client cancels by id what it reads.
func cancelFromAnotherTask(ctx context.Context, t *trial) error {
	s, err := t.serve(ctx, endless...)
	if err != nil {
		return err
	}
	e, err := t.run(ctx, s.address, "--cancel-after", "1")
	if err != nil {
		return err
	}
	if err := wantCancelled(ctx, s, e); err != nil {
		return err
	}
	got, err := s.value(ctx, cancelled)
	if err != nil {
		return err
	}
	if got != 1 {
		return e.wrong("%d streams ended as cancelled, want 1", got)
	}
	return nil
}

// cancelByInterrupt: the client is interrupted. It may leave its stream before it
// cancels, but cancel it must.
func cancelByInterrupt(ctx context.Context, t *trial) error {
	s, err := t.serve(ctx, endless...)
	if err != nil {
		return err
	}
	p, err := t.begin(ctx, s.address)
	if err != nil {
		return err
	}
	if _, err := p.stdout.Match(ctx, somethingSaid); err != nil {
		return p.ending().wrong("%v", err)
	}
	if err := p.Signal(os.Interrupt); err != nil {
		return err
	}
	return wantCancelled(ctx, s, p.ending())
}

// wantCancelled is nil if a client ended as cancelled, in its answer, and the server has
// stopped the generation, which it would have kept for one that was only lost.
func wantCancelled(ctx context.Context, s *sauron, e ending) error {
	switch {
	case e.code != exitCancelled:
		return e.wrong("exit %d, want %d", e.code, exitCancelled)
	case e.stdout == "":
		return e.wrong("no text")
	}
	return s.await(ctx, live, 0)
}
