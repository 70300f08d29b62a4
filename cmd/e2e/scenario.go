package main

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

const (
	identicalCallers = 20
	connections      = 4
)

// A scenario lets identical callers and a few different ones ask at once, and
// cancels the leader of the identical ones in mid-stream, when all of them are
// attached.
type scenario struct {
	conns []*grpc.ClientConn // shared out among the callers
	model string
	load  workload
}

// A story is what happened in a scenario.
type story struct {
	identical []*record
	different []*record // in the order of the workload's others

	cancelledAt int // pieces of text that the leader had read; 0: nobody was cancelled
	cancelState sauronv1.CancelState
	cancelErr   error
}

// run plays the scenario until every stream has ended.
func (s scenario) run(ctx context.Context) story {
	var told story
	var callers, attached sync.WaitGroup
	var cancelOnce sync.Once

	attached.Add(identicalCallers)
	for i := range identicalCallers {
		conn, r := s.conns[i%len(s.conns)], newRecord(s.load.shared)
		told.identical = append(told.identical, r)
		arrive := sync.OnceFunc(attached.Done)
		callers.Go(func() {
			defer arrive() // a stream that was refused holds up nobody
			r.err = s.call(ctx, conn, r, func() {
				arrive()
				if r.leads() && r.pieces >= s.load.cancelAfter {
					cancelOnce.Do(func() {
						attached.Wait()
						told.cancelledAt = r.pieces
						told.cancelState, told.cancelErr = cancel(ctx, conn, r.requestID)
					})
				}
			})
			r.whole = time.Since(r.begun)
		})
	}
	for i, question := range s.load.others {
		conn, r := s.conns[i%len(s.conns)], newRecord(question)
		told.different = append(told.different, r)
		callers.Go(func() {
			r.err = s.call(ctx, conn, r, func() {})
			r.whole = time.Since(r.begun)
		})
	}
	callers.Wait()
	return told
}

// call asks r's question and notes the stream's events in r. It calls after
// following each message and returns the stream's status.
func (s scenario) call(ctx context.Context, conn *grpc.ClientConn, r *record, after func()) error {
	stream, err := sauronv1.NewGenerationServiceClient(conn).Generate(ctx, &sauronv1.GenerateRequest{
		RequestId: r.requestID,
		Model:     s.model,
		Messages:  []*sauronv1.Message{{Role: sauronv1.Role_ROLE_USER, Content: r.question}},
		Sampling:  &sauronv1.Sampling{Temperature: new(0.0), MaxTokens: new(s.load.maxTokens)},
	})
	if err != nil {
		return err
	}
	for {
		msg, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, e := range msg.GetEvents() {
			r.take(e)
		}
		after()
	}
}

func cancel(ctx context.Context, conn *grpc.ClientConn, requestID string) (sauronv1.CancelState, error) {
	resp, err := sauronv1.NewGenerationServiceClient(conn).Cancel(ctx, &sauronv1.CancelRequest{RequestId: requestID})
	return resp.GetState(), err
}

func newRecord(question string) *record {
	return &record{requestID: "e2e-" + rand.Text(), question: question, begun: time.Now()}
}
