package openai

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/sauron-stream/sauron/manager/event"
)

// What follows [DONE] is read, within these bounds, so that the connection can be used
// again. A server that leaves the body open delays the end of the answer by as much.
const (
	drainWait = 25 * time.Millisecond
	maxDrain  = 4 << 10 // bytes
)

var errNoFinish = errors.New("openai: the stream ended without a finish reason")

// A stream is the body of one response that may be an answer. It belongs to one
// goroutine.
type stream struct {
	body   io.Reader
	events *eventReader
	answer *answer
	tail   *time.Timer // ends what follows a finish reason; nil before it
}

// newStream returns the stream that body is.
func newStream(body io.Reader, log *slog.Logger, extensions bool) *stream {
	return &stream{body: body, events: newEventReader(body), answer: newAnswer(log, extensions)}
}

// read emits the answer. It returns nil if the answer is whole, or if emit said that
// nobody reads on. stop is called, from another goroutine, when what follows the finish
// reason took too long; it must end reads of the body.
func (s *stream) read(ctx context.Context, stop func(), emit func(event.Event) bool) *failure {
	defer func() {
		if s.tail != nil {
			s.tail.Stop()
		}
	}()
	for {
		f, err := s.events.next()
		switch {
		case err == nil && isDone(f) && s.answer.whole:
			emitAll(s.answer.end(), emit)
			s.tail.Reset(drainWait)
			_, _ = io.Copy(io.Discard, io.LimitReader(s.body, maxDrain))
			return nil
		case err == nil && isDone(f), errors.Is(err, io.EOF) && !s.answer.whole:
			return broken(errNoFinish)
		case errors.Is(err, errTooLarge):
			return broken(err)
		case err != nil && s.answer.whole:
			emitAll(s.answer.end(), emit)
			return nil
		case err != nil:
			return broken(transportError(err))
		}
		out, err := s.take(ctx, f)
		if err != nil {
			return broken(err)
		}
		if !emitAll(out, emit) {
			return nil
		}
		s.bound(out, stop)
	}
}

// take returns the events of a frame.
func (s *stream) take(ctx context.Context, f frame) ([]event.Event, error) {
	switch f.kind {
	case frameError:
		return nil, readComplaint(f.data).err(0)
	case frameComment:
		// Liveness, not progress: later it would keep an answer alive that stands still.
		if s.answer.token {
			return nil, nil
		}
		return []event.Event{{Kind: event.KindAlive}}, nil
	case frameData:
	}
	return s.answer.take(ctx, f.data)
}

// bound makes the stream end soon after the finish reason. A server that goes on with
// the answer all the same is given time for it.
func (s *stream) bound(out []event.Event, stop func()) {
	switch {
	case !s.answer.whole:
	case s.tail == nil:
		s.tail = time.AfterFunc(tailWait, stop)
	case slices.ContainsFunc(out, event.Event.IsToken):
		s.tail.Reset(tailWait)
	}
}

// isDone reports whether f is the [DONE] that ends streams.
func isDone(f frame) bool {
	return f.kind == frameData && string(bytes.TrimSpace(f.data)) == "[DONE]"
}

// emitAll emits events in order. It reports false if nobody reads on.
func emitAll(events []event.Event, emit func(event.Event) bool) bool {
	for _, e := range events {
		if !emit(e) {
			return false
		}
	}
	return true
}
