// Package llm reads the upstream for the older designs. It takes Sauron's own
// streamer, so that what is compared is how answers are handed on and not how an
// event stream is parsed.
package llm

import (
	"context"
	"fmt"
	"iter"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
	"github.com/sauron-stream/sauron/manager/event"
	"github.com/sauron-stream/sauron/manager/upstream/openai"
)

// A Client opens streams at one upstream. It is safe for concurrent use. Use New.
type Client struct{ upstream *openai.Upstream }

// New returns a Client of the upstream at a base URL. The caller must Close it.
func New(baseURL string) (*Client, error) {
	u, err := openai.New(openai.Config{Name: "bench", BaseURL: baseURL})
	if err != nil {
		return nil, err
	}
	return &Client{u}, nil
}

// Close closes idle connections.
func (c *Client) Close() { c.upstream.Close() }

// A Prepared is a request that is ready to be sent.
type Prepared struct {
	upstream *openai.Upstream
	request  *sauronv1.GenerateRequest
}

// Prepare makes ready what req asks for. What it returns may be streamed any number of
// times.
func (c *Client) Prepare(req *sauronv1.GenerateRequest) Prepared {
	return Prepared{c.upstream, req}
}

// Stream yields one answer as the events of the contract. An error is always the last
// pair.
func (p Prepared) Stream(ctx context.Context) iter.Seq2[*sauronv1.Event, error] {
	return func(yield func(*sauronv1.Event, error) bool) {
		sequence := int64(0)
		for e, err := range p.upstream.Streamer(p.request, p.request.GetModel()).Stream(ctx) {
			if err != nil {
				yield(nil, fmt.Errorf("upstream: %w", err))
				return
			}
			if e.Kind != event.KindText && e.Kind != event.KindFinished {
				continue // the rest of what the bench's upstream sends is not handed on
			}
			sequence++
			out := &sauronv1.Event{Sequence: sequence, Kind: &sauronv1.Event_TextDelta{TextDelta: e.Text}}
			if e.Kind == event.KindFinished {
				out.Kind = &sauronv1.Event_Finished{Finished: &sauronv1.Finished{
					Outcome: sauronv1.Outcome_OUTCOME_COMPLETED, FinishReason: sauronv1.FinishReason_FINISH_REASON_STOP,
				}}
			}
			if !yield(out, nil) {
				return
			}
		}
	}
}
