package openai

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"time"

	"github.com/sauron-stream/sauron/manager"
	"github.com/sauron-stream/sauron/manager/event"
	"github.com/sauron-stream/sauron/manager/fault"
)

// tailWait bounds what follows the essential: the rest of a stream after a finish
// reason, the body of an error answer.
const tailWait = 2 * time.Second

// maxErrorBody is how much of an error answer's body is read, in bytes.
const maxErrorBody = 64 << 10

var errNotStream = errors.New("openai: a body that is no event stream")

// A streamer runs the upstream stream of one generation. It is used by one
// goroutine; an attempt begins when its events are ranged over.
type streamer struct {
	// Set when made, then read-only.
	upstream   *Upstream
	body       []byte
	bodyErr    error // why there is no body
	extensions bool

	retries retries // of the goroutine that streams
}

// Upstream says where the stream runs.
func (s *streamer) Upstream() manager.Upstream { return s.upstream.name }

// Stream makes one attempt; manager.Streamer says what it yields. The upstream's
// request has ended when it returns.
func (s *streamer) Stream(ctx context.Context) iter.Seq2[event.Event, error] {
	return func(yield func(event.Event, error) bool) {
		s.retries.begin()
		f := s.attempt(ctx, func(e event.Event) bool { return yield(e, nil) })
		switch {
		case f == nil:
		case ctx.Err() != nil:
			yield(event.Event{}, context.Cause(ctx))
		default:
			err := s.retries.judge(f)
			if retry, ok := errors.AsType[*fault.Retry](err); ok {
				s.upstream.log.InfoContext(ctx, "upstream attempt failed; another follows",
					slog.Any("error", retry.Err), slog.Duration("after", retry.After))
			}
			yield(event.Event{}, err)
		}
	}
}

// attempt returns nil if the answer is whole or emit said that nobody reads on.
func (s *streamer) attempt(ctx context.Context, emit func(event.Event) bool) *failure {
	if s.bodyErr != nil {
		return &failure{fault: fault.New(fault.UpstreamRejected, s.bodyErr)}
	}
	// Ending this context ends whatever the transport is doing.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.upstream.endpoint.String(), bytes.NewReader(s.body))
	if err != nil {
		return unreachable(err)
	}
	req.Header = s.upstream.header.Clone()
	req.Host = s.upstream.host
	resp, err := s.upstream.client.Do(req)
	if err != nil {
		return unreachable(err)
	}
	defer func() { _ = resp.Body.Close() }()

	if resp.StatusCode/100 != 2 {
		defer time.AfterFunc(tailWait, cancel).Stop()
		body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody)) // what there is will do
		return refused(resp.StatusCode, resp.Header, body)
	}
	if !isStream(resp.Header.Get("Content-Type")) {
		return broken(errNotStream)
	}
	if !emit(event.Event{Kind: event.KindAlive}) {
		return nil
	}
	return newStream(resp.Body, s.upstream.log, s.extensions).read(ctx, cancel, emit)
}
