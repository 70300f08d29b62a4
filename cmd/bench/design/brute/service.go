// Package brute is the brute-force broadcast: every request builds a broadcaster of
// its own, and has its own upstream stream.
package brute

import (
	"google.golang.org/grpc"

	"github.com/sauron-stream/sauron/cmd/bench/design/broadcast"
	"github.com/sauron-stream/sauron/cmd/bench/design/llm"
	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// A Service implements GenerationService. Use New.
type Service struct {
	sauronv1.UnimplementedGenerationServiceServer

	client *llm.Client
}

// New returns a Service.
func New(client *llm.Client) *Service { return &Service{client: client} }

// Generate implements GenerationServiceServer.
func (s *Service) Generate(req *sauronv1.GenerateRequest, stream grpc.ServerStreamingServer[sauronv1.GenerateResponse]) error {
	b := broadcast.New()
	return b.Serve(stream, func() error {
		go b.Run(s.client.Prepare(req).Stream(stream.Context()))
		return stream.SendHeader(nil)
	})
}
