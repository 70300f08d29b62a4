// Package bare is no design but a floor: what grpc-go itself needs for a stream that is
// open. Handlers do nothing but wait for the whole answer, which goes out at once.
package bare

import (
	"context"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sauron-stream/sauron/cmd/bench/design/llm"
	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// A Service implements GenerationService. Use New.
type Service struct {
	sauronv1.UnimplementedGenerationServiceServer

	// Set by New, then read-only.
	ctx    context.Context // of the answers: no caller's
	client *llm.Client

	mu   sync.Mutex // guards live
	live map[string]*answer
}

// An answer is what equal requests wait for.
type answer struct {
	whole chan struct{} // closed when the fields below are set
	all   *sauronv1.GenerateResponse
	err   error
}

// New returns a Service whose answers end with ctx.
func New(ctx context.Context, client *llm.Client) *Service {
	return &Service{ctx: ctx, client: client, live: make(map[string]*answer)}
}

// Generate implements GenerationServiceServer.
func (s *Service) Generate(req *sauronv1.GenerateRequest, stream grpc.ServerStreamingServer[sauronv1.GenerateResponse]) error {
	a := s.join(req)
	if err := stream.SendHeader(nil); err != nil {
		return err
	}
	<-a.whole
	if a.err != nil {
		return a.err
	}
	return stream.Send(a.all)
}

// join returns the answer to equal requests.
func (s *Service) join(req *sauronv1.GenerateRequest) *answer {
	key := llm.Key(req)
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.live[key]; a != nil {
		return a
	}
	a := &answer{whole: make(chan struct{}), all: new(sauronv1.GenerateResponse)}
	s.live[key] = a
	go func() {
		defer close(a.whole)
		for e, err := range s.client.Prepare(req).Stream(s.ctx) {
			if err != nil {
				a.err = status.Error(codes.Unavailable, err.Error())
				break
			}
			a.all.Events = append(a.all.Events, e)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.live, key)
	}()
	return a
}
