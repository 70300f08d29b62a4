// Package channel is the design that Sauron's words come from: one broadcaster for
// equal requests, and for each subscriber a bounded channel that drops what does not
// fit. Each Send encodes its message.
package channel

import (
	"context"
	"sync"

	"google.golang.org/grpc"

	"github.com/sauron-stream/sauron/cmd/bench/design/broadcast"
	"github.com/sauron-stream/sauron/cmd/bench/design/llm"
	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// A Service implements GenerationService. Use New.
type Service struct {
	sauronv1.UnimplementedGenerationServiceServer

	// Set by New, then read-only.
	ctx    context.Context // of the broadcasts: no caller's
	client *llm.Client

	mu   sync.Mutex // guards the fields below
	live map[string]*broadcast.Broadcaster
}

// New returns a Service whose broadcasts end with ctx.
func New(ctx context.Context, client *llm.Client) *Service {
	return &Service{ctx: ctx, client: client, live: make(map[string]*broadcast.Broadcaster)}
}

// Generate implements GenerationServiceServer.
func (s *Service) Generate(req *sauronv1.GenerateRequest, stream grpc.ServerStreamingServer[sauronv1.GenerateResponse]) error {
	return s.join(req).Serve(stream, func() error { return stream.SendHeader(nil) })
}

// join returns the broadcaster of equal requests.
func (s *Service) join(req *sauronv1.GenerateRequest) *broadcast.Broadcaster {
	key := llm.Key(req)
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.live[key]; b != nil {
		return b
	}
	b := broadcast.New()
	s.live[key] = b
	go func() {
		b.Run(s.client.Prepare(req).Stream(s.ctx))
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.live, key)
	}()
	return b
}
