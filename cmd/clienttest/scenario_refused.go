package main

import (
	"context"
	"errors"
	"strings"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// oneRoute is a configuration that knows one model.
const oneRoute = `
upstreams: [{name: simulator, type: sim}]
routes: [{model: default, upstream: simulator}]
`

// unknownModel: the client says what was refused, and why.
func unknownModel(ctx context.Context, t *trial) error {
	config, err := t.work.writeConfig(oneRoute)
	if err != nil {
		return err
	}
	return t.wantRefused(ctx, []string{"--config", config}, []string{"--model", "other"}, "NOT_FOUND", "MODEL_NOT_FOUND")
}

// invalidRequestID: the client says which field is invalid.
func invalidRequestID(ctx context.Context, t *trial) error {
	return t.wantRefused(ctx, nil, []string{"--request-id", "not an id"}, "INVALID_ARGUMENT", "request_id")
}

// wantRefused is nil if a client with flags fails at a server with settings, prints
// nothing, and has the words on standard error.
func (t *trial) wantRefused(ctx context.Context, settings, flags []string, words ...string) error {
	s, err := t.serve(ctx, settings...)
	if err != nil {
		return err
	}
	e, err := t.run(ctx, s.address, flags...)
	if err != nil {
		return err
	}
	if err := e.want(exitFailed, ""); err != nil {
		return err
	}
	return e.wantWords(words...)
}

// refusals is how often the client is refused before there is room.
const refusals = 2

// fullQueue: the server has no room, until the client was refused some times. The retry
// policy in its service config gets it there: all that it sends again carries gRPC's
// own mark.
func fullQueue(ctx context.Context, t *trial) error {
	s, err := t.serve(ctx, append([]string{
		"--queue-capacity", "0", "--prepared-backlog", "0",
		"--max-concurrent-requests", "1", "--max-concurrent-llm-streams", "1",
	}, paced...)...)
	if err != nil {
		return err
	}
	c, err := t.caller(s)
	if err != nil {
		return err
	}
	// One has the stream slot; the other can't go on to it, and keeps the permit.
	err = errors.Join(
		c.occupy(ctx, "slot", sauronv1.Stage_STAGE_STREAMING),
		c.occupy(ctx, "permit", sauronv1.Stage_STAGE_PREPARING),
	)
	if err != nil {
		return err
	}
	p, err := t.proxy(ctx, leg{s.address, uncut})
	if err != nil {
		return err
	}
	running, err := t.begin(ctx, p.address)
	if err != nil {
		return err
	}
	if err := s.await(ctx, refused, refusals); err != nil {
		return running.abandon(err)
	}
	if err := errors.Join(c.cancel(ctx, "permit"), c.cancel(ctx, "slot")); err != nil {
		return running.abandon(err)
	}
	e := running.ending()
	if got := int(p.retries.Load()); got != refusals {
		return e.wrong("exit %d, %d retries by gRPC itself, want %d", e.code, got, refusals)
	}
	text, err := t.answer(ctx, s)
	if err != nil {
		return err
	}
	return e.want(exitOK, text)
}

// fullQueueLargeRequest: the same with a request of 300 KiB, of which C-core, unless told
// otherwise, keeps nothing to send again.
func fullQueueLargeRequest(ctx context.Context, t *trial) error {
	t.more = strings.Repeat(" "+strings.Repeat("x", 1023), 300)
	return fullQueue(ctx, t)
}
