// Package pools is the design before broadcasts: a queue of requests and workers that
// prepare them, a queue of what is prepared and workers that stream it. Preparing is
// shared among equal requests; streaming is not, so each has its own upstream stream.
package pools

import (
	"context"

	"golang.org/x/sync/singleflight"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sauron-stream/sauron/cmd/bench/design/llm"
	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

const (
	preparers = 10    // as Sauron's default of permits to prepare
	queue     = 16384 // places in each queue; the bench never fills it
	buffer    = 64    // events between a request's two goroutines
)

// A Service implements GenerationService. Use New.
type Service struct {
	sauronv1.UnimplementedGenerationServiceServer

	client    *llm.Client
	requests  chan *request
	prepared  chan *request
	preparing singleflight.Group
}

// New returns a Service that streams at most so many answers at a time. Its workers
// end with ctx.
func New(ctx context.Context, client *llm.Client, streamers int) *Service {
	s := &Service{
		client:   client,
		requests: make(chan *request, queue),
		prepared: make(chan *request, queue),
	}
	for range preparers {
		go s.work(ctx, s.requests, s.prepare)
	}
	for range streamers {
		go s.work(ctx, s.prepared, (*request).run)
	}
	return s
}

func (s *Service) work(ctx context.Context, requests <-chan *request, do func(*request)) {
	for {
		select {
		case r := <-requests:
			do(r)
		case <-ctx.Done():
			return
		}
	}
}

// prepare prepares equal requests once and hands each on.
func (s *Service) prepare(r *request) {
	prepared, _, _ := s.preparing.Do(llm.Key(r.ask), func() (any, error) { // preparing can't fail here
		return s.client.Prepare(r.ask), nil
	})
	r.prepared, _ = prepared.(llm.Prepared)
	select {
	case s.prepared <- r:
	case <-r.ctx.Done():
	}
}

// Generate implements GenerationServiceServer.
func (s *Service) Generate(ask *sauronv1.GenerateRequest, stream grpc.ServerStreamingServer[sauronv1.GenerateResponse]) error {
	r := &request{ctx: stream.Context(), ask: ask, events: make(chan *sauronv1.GenerateResponse, buffer)}
	select {
	case s.requests <- r:
	default:
		return status.Error(codes.ResourceExhausted, "the queue is full")
	}
	if err := stream.SendHeader(nil); err != nil {
		return err
	}
	for {
		select {
		case response, ok := <-r.events:
			if !ok {
				return unavailable(r.err)
			}
			if err := stream.Send(response); err != nil {
				return err
			}
		case <-r.ctx.Done():
			return status.FromContextError(r.ctx.Err()).Err()
		}
	}
}

func unavailable(err error) error {
	if err == nil {
		return nil
	}
	return status.Error(codes.Unavailable, err.Error())
}
