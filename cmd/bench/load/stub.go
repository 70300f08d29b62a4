package load

import (
	"context"
	"errors"
	"io"
	"sync"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/sauron-stream/sauron/cmd/bench/clock"
	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// A stub is the client as users write it: generated code, a goroutine for each stream.
type stub struct {
	spec  Spec
	clock clock.Clock

	mu    sync.Mutex // guards the fields below
	tally *tally
}

func runStub(ctx context.Context, spec Spec, c clock.Clock, opened func() error) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*spec.Limit)
	defer cancel()
	b := &stub{spec: spec, clock: c, tally: newTally(spec)}
	var conns []*grpc.ClientConn
	defer func() {
		for _, conn := range conns {
			_ = conn.Close() // its streams have ended
		}
	}()
	count := spec.Conns
	if count == 0 {
		count = spec.Streams
	}
	for range count {
		conn, err := grpc.NewClient(spec.Address, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return Result{}, err
		}
		conns = append(conns, conn)
	}
	begin := make([]grpc.ServerStreamingClient[sauronv1.GenerateResponse], spec.Streams)
	asking, askCtx := errgroup.WithContext(ctx)
	for i, s := range b.tally.streams {
		client := sauronv1.NewGenerationServiceClient(conns[i%count])
		asking.Go(func() (err error) {
			s.asked = c.Now()
			begin[i], err = ask(ctx, askCtx, client, s)
			return err
		})
	}
	if err := asking.Wait(); err != nil {
		return Result{}, err
	}
	if err := opened(); err != nil {
		return Result{}, err
	}
	var reading sync.WaitGroup
	for i, s := range b.tally.streams {
		reading.Go(func() { b.read(begin[i], s) })
	}
	reading.Wait()
	return b.tally.result(), nil
}

// ask opens a stream, which lives as long as ctx, and waits for its headers.
func ask(ctx, group context.Context, client sauronv1.GenerationServiceClient, s *stream) (grpc.ServerStreamingClient[sauronv1.GenerateResponse], error) {
	stream, err := client.Generate(ctx, &sauronv1.GenerateRequest{
		Model:    "bench",
		Messages: []*sauronv1.Message{{Role: sauronv1.Role_ROLE_USER, Content: s.prompt()}},
	})
	if err != nil {
		return nil, err
	}
	if _, err := stream.Header(); err != nil {
		return nil, err
	}
	return stream, group.Err()
}

// read takes one stream to its end.
func (b *stub) read(responses grpc.ServerStreamingClient[sauronv1.GenerateResponse], s *stream) {
	for {
		response, err := responses.Recv()
		at := b.clock.Now()
		b.mu.Lock()
		for _, e := range response.GetEvents() {
			s.scan([]byte(e.GetTextDelta()), at)
		}
		switch {
		case errors.Is(err, io.EOF):
			s.end("")
		case err != nil:
			s.end(status.Convert(err).Message())
		}
		b.mu.Unlock()
		if err != nil {
			return
		}
	}
}
