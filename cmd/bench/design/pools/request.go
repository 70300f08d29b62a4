package pools

import (
	"context"

	"github.com/sauron-stream/sauron/cmd/bench/design/llm"
	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// A request is on its way through the two pools.
type request struct {
	ctx      context.Context // the caller's
	ask      *sauronv1.GenerateRequest
	prepared llm.Prepared
	events   chan *sauronv1.GenerateResponse // closed at the end
	err      error                           // set before events is closed
}

// run streams the request's own answer.
func (r *request) run() {
	defer close(r.events)
	for e, err := range r.prepared.Stream(r.ctx) {
		if err != nil {
			r.err = err
			return
		}
		select {
		case r.events <- &sauronv1.GenerateResponse{Events: []*sauronv1.Event{e}}:
		case <-r.ctx.Done():
			r.err = r.ctx.Err()
			return
		}
	}
}
