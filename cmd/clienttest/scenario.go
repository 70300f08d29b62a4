package main

import (
	"context"
	"regexp"
	"slices"
)

// A scenario is something that every client must come through.
type scenario struct {
	name string
	run  func(context.Context, *trial) error
}

// paced is for answers that take two seconds: whoever is cut off in the beginning is
// back before the end. After the end what is left comes in one message.
var paced = []string{"--sim-first-token", "20ms", "--sim-inter-token", "5ms", "--sim-tokens", "400"}

// kept is for a client whose connection dies without a word. It finds out by keepalive,
// in at most 12 + 5 s; who takes much longer comes too late for the answer.
var kept = slices.Concat(paced, []string{"--orphan-grace", "25s"})

// slow is the same, of a model that thinks until such a client is back.
var slow = slices.Concat(kept, []string{"--sim-first-token", "20s"})

// endless is for an answer that does not end by itself, nor by losing its reader.
var endless = []string{
	"--sim-first-token", "20ms", "--sim-inter-token", "20ms", "--sim-tokens", "100000", "--orphan-grace", "1h",
}

var scenarios = []scenario{
	{"whole answer", wholeAnswer(paced)},
	{"cut three times in the answer", wholeAnswer(paced, afterBytes(600), afterBytes(900), afterBytes(1200))},
	{"cut between messages", wholeAnswer(paced, afterMessages(1), afterMessages(1), afterMessages(10))},
	{"cut before the answer", wholeAnswer(paced, afterBytes(0), afterBytes(5), afterBytes(70), afterBytes(250))},
	{"cut in the very last bytes", wholeAnswer(paced, inLastMessage(50), inLastMessage(1), inTrailers(1))},
	{"silence in the answer", wholeAnswer(kept, silently(afterMessages(20)))},
	{"silence before the answer", wholeAnswer(slow, whenQuiet)},
	{"another server, before text", otherServerBeforeText},
	{"another server, after text", otherServerAfterText},
	{"cancel from another task", cancelFromAnotherTask},
	{"cancel by an interrupt", cancelByInterrupt},
	{"error: unknown model", unknownModel},
	{"error: invalid request id", invalidRequestID},
	{"full queue, healed by gRPC", fullQueue},
	{"full queue, large request", fullQueueLargeRequest},
}

// somethingSaid matches the first of a client's text.
var somethingSaid = regexp.MustCompile(`\S`)

// wholeAnswer: the client's connections to a server with settings are cut, one by one,
// and it prints the whole answer all the same, for one upstream stream.
func wholeAnswer(settings []string, cuts ...cut) func(context.Context, *trial) error {
	return func(ctx context.Context, t *trial) error {
		s, err := t.serve(ctx, settings...)
		if err != nil {
			return err
		}
		legs := make([]leg, 0, len(cuts)+1)
		for _, c := range cuts {
			legs = append(legs, leg{s.address, c})
		}
		p, err := t.proxy(ctx, append(legs, leg{s.address, uncut})...)
		if err != nil {
			return err
		}
		e, err := t.run(ctx, p.address)
		if err != nil {
			return err
		}
		if got := int(p.cuts.Load()); got != len(cuts) {
			return e.wrong("exit %d after %d cuts, want %d cuts", e.code, got, len(cuts))
		}
		return t.wantAnswer(ctx, s, e)
	}
}

// wantAnswer is nil if the client printed the whole answer to the trial's question, for
// which s opened one upstream stream.
func (t *trial) wantAnswer(ctx context.Context, s *sauron, e ending) error {
	if err := wantUpstreams(ctx, s, e, 1); err != nil {
		return err
	}
	text, err := t.answer(ctx, s)
	if err != nil {
		return err
	}
	return e.want(exitOK, text)
}

// wantUpstreams is nil if s has opened so many upstream streams. They are counted at
// their end, so it waits for that.
func wantUpstreams(ctx context.Context, s *sauron, e ending, want int) error {
	if err := s.await(ctx, live, 0); err != nil {
		return err
	}
	got, err := s.value(ctx, upstreams)
	if err != nil {
		return err
	}
	if got != want {
		return e.wrong("%d upstream streams, want %d", got, want)
	}
	return nil
}

// answer returns what a plain client is answered to the trial's question.
func (t *trial) answer(ctx context.Context, s *sauron) (string, error) {
	c, err := t.caller(s)
	if err != nil {
		return "", err
	}
	return c.answer(ctx, t.question())
}
