// Package broadcast is a broadcaster with a history and a bounded channel for each
// subscriber: the usual way to hand one stream to many.
package broadcast

import (
	"context"
	"iter"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// buffer is how many events a subscriber may be behind before it loses some.
const buffer = 64

// A Broadcaster hands the events of one stream to its subscribers. It is safe for
// concurrent use. Use New.
type Broadcaster struct {
	mu          sync.Mutex // guards the fields below
	history     []*sauronv1.GenerateResponse
	subscribers map[chan *sauronv1.GenerateResponse]struct{}
	ended       bool
	err         error // set with ended
}

// New returns a Broadcaster.
func New() *Broadcaster {
	return &Broadcaster{subscribers: make(map[chan *sauronv1.GenerateResponse]struct{})}
}

// Run publishes a stream to its end.
func (b *Broadcaster) Run(events iter.Seq2[*sauronv1.Event, error]) {
	var failed error
	for e, err := range events {
		if err != nil {
			failed = status.Error(codes.Unavailable, err.Error())
			break
		}
		b.publish(&sauronv1.GenerateResponse{Events: []*sauronv1.Event{e}})
	}
	b.end(failed)
}

// publish never waits: who is too far behind does not get the event.
func (b *Broadcaster) publish(r *sauronv1.GenerateResponse) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.history = append(b.history, r)
	for events := range b.subscribers {
		select {
		case events <- r:
		default:
		}
	}
}

func (b *Broadcaster) end(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended, b.err = true, err
	for events := range b.subscribers {
		close(events)
	}
	clear(b.subscribers)
}

// subscribe returns what was published so far and a channel of what follows, which is
// closed at the end.
func (b *Broadcaster) subscribe() ([]*sauronv1.GenerateResponse, chan *sauronv1.GenerateResponse) {
	b.mu.Lock()
	defer b.mu.Unlock()
	events := make(chan *sauronv1.GenerateResponse, buffer)
	if b.ended {
		close(events)
	} else {
		b.subscribers[events] = struct{}{}
	}
	return b.history[:len(b.history):len(b.history)], events
}

func (b *Broadcaster) unsubscribe(events chan *sauronv1.GenerateResponse) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.subscribers, events)
}

func (b *Broadcaster) result() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// A Stream is what Serve writes to: a gRPC stream.
type Stream interface {
	Context() context.Context
	Send(r *sauronv1.GenerateResponse) error
}

// Serve subscribes and hands everything to one stream, from its handler's goroutine.
// It calls subscribed in between.
func (b *Broadcaster) Serve(stream Stream, subscribed func() error) error {
	history, events := b.subscribe()
	defer b.unsubscribe(events)
	if err := subscribed(); err != nil {
		return err
	}
	for _, r := range history {
		if err := stream.Send(r); err != nil {
			return err
		}
	}
	for {
		select {
		case r, ok := <-events:
			if !ok {
				return b.result()
			}
			if err := stream.Send(r); err != nil {
				return err
			}
		case <-stream.Context().Done():
			return status.FromContextError(stream.Context().Err()).Err()
		}
	}
}
