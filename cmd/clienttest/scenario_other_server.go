package main

import (
	"context"
	"strings"
)

// otherServerBeforeText: the connection is cut before any text came, and the next one
// leads to another server, which knows nothing of the generation. The client begins
// again there.
func otherServerBeforeText(ctx context.Context, t *trial) error {
	silent, err := t.serve(ctx, "--sim-first-token", "1h")
	if err != nil {
		return err
	}
	other, e, err := t.moved(ctx, silent, afterMessages(1))
	if err != nil {
		return err
	}
	return t.wantAnswer(ctx, other, e)
}

// otherServerAfterText: the same when text came. That text can't go on, and the client
// must say so and not mix it with another answer.
func otherServerAfterText(ctx context.Context, t *trial) error {
	first, err := t.serve(ctx, paced...)
	if err != nil {
		return err
	}
	other, e, err := t.moved(ctx, first, afterMessages(20))
	if err != nil {
		return err
	}
	text, err := t.answer(ctx, first)
	if err != nil {
		return err
	}
	switch {
	case e.code != exitFailed:
		return e.wrong("exit %d, want %d", e.code, exitFailed)
	case e.stdout == "" || !strings.HasPrefix(text, e.stdout):
		return e.wrong("not the beginning of the answer: %s", difference(e.stdout, text))
	}
	if err := e.wantWords("GENERATION_GONE"); err != nil {
		return err
	}
	return wantUpstreams(ctx, other, e, 0)
}

// moved runs the client on a connection to one server that is cut, and then on another
// server, which it returns.
func (t *trial) moved(ctx context.Context, from *sauron, c cut) (to *sauron, e ending, err error) {
	if to, err = t.serve(ctx, paced...); err != nil {
		return nil, e, err
	}
	p, err := t.proxy(ctx, leg{from.address, c}, leg{to.address, uncut})
	if err != nil {
		return nil, e, err
	}
	e, err = t.run(ctx, p.address)
	return to, e, err
}
