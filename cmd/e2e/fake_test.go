package main

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// A flaw is a promise that the fake service breaks.
type flaw int

const (
	noFlaw          flaw = iota
	noSharing            // every caller gets a generation of its own
	leaderHasPower       // when the leader is cancelled, everybody is
	cancelIgnored        // a cancelled stream goes on
	cancelSilent         // a cancelled stream ends without Finished
	oneTextDiffers       // one follower reads something else
	oneEventMissing      // one follower misses an event
	oneBroken            // one follower's stream fails
	noUsage              // nobody is told the tokens
	afterFinished        // an event follows Finished
	wrongRequest         // one follower is told another request id
)

const (
	fakePieces = 20
	fakePace   = 10 * time.Millisecond
)

// fakeService shares generations as the real one does, without an upstream: the
// answer to a question is the question, again and again.
type fakeService struct {
	sauronv1.UnimplementedGenerationServiceServer

	flaw flaw

	mu          sync.Mutex // guards the fields below and what they hold
	generations map[string]*fakeGeneration
	cancelled   map[string]chan struct{} // by request id; closed when it is cancelled
}

// A fakeGeneration says its next piece at a fixed time after it began, so all
// its callers read the same.
type fakeGeneration struct {
	id     string
	begun  time.Time
	leader chan struct{} // closed when the leader is cancelled
	joined int
}

// join returns the generation that answers req, the caller's place in it, from
// 0, and what is closed when the caller is cancelled.
func (f *fakeService) join(req *sauronv1.GenerateRequest) (*fakeGeneration, int, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	cancelled := make(chan struct{})
	f.cancelled[req.GetRequestId()] = cancelled
	id := req.GetMessages()[0].GetContent()
	if f.flaw == noSharing {
		id = req.GetRequestId()
	}
	g := f.generations[id]
	if g == nil {
		g = &fakeGeneration{id: id, begun: time.Now(), leader: cancelled}
		f.generations[id] = g
	}
	g.joined++
	if f.flaw == leaderHasPower {
		cancelled = g.leader
	}
	return g, g.joined - 1, cancelled
}

func (f *fakeService) Generate(req *sauronv1.GenerateRequest, stream grpc.ServerStreamingServer[sauronv1.GenerateResponse]) error {
	g, place, cancelled := f.join(req)
	send := func(sequence int64, e *sauronv1.Event) {
		e.Sequence = sequence
		_ = stream.Send(&sauronv1.GenerateResponse{Events: []*sauronv1.Event{e}})
	}
	odd := func(flaw flaw) bool { return f.flaw == flaw && place == 3 }

	started := &sauronv1.Started{
		RequestId:     req.GetRequestId(),
		GenerationId:  g.id,
		Participation: sauronv1.Participation_PARTICIPATION_FOLLOWER,
	}
	if place == 0 {
		started.Participation = sauronv1.Participation_PARTICIPATION_LEADER
	}
	if odd(wrongRequest) {
		started.RequestId = "another"
	}
	send(0, &sauronv1.Event{Kind: &sauronv1.Event_Started{Started: started}})

	for i := int64(1); i <= fakePieces; i++ {
		next := time.NewTimer(time.Until(g.begun.Add(time.Duration(i) * fakePace)))
		if f.flaw == cancelIgnored {
			cancelled = nil
		}
		select {
		case <-cancelled:
			if f.flaw != cancelSilent {
				send(0, finished(sauronv1.Outcome_OUTCOME_CANCELLED))
			}
			return nil
		case <-next.C:
		}
		text := req.GetMessages()[0].GetContent()
		switch {
		case i != 7: // the flaws below are of one piece
		case odd(oneEventMissing):
			continue
		case odd(oneBroken):
			return status.Error(codes.Unavailable, "broken")
		case odd(oneTextDiffers):
			text = "?"
		}
		send(i, &sauronv1.Event{Kind: &sauronv1.Event_TextDelta{TextDelta: text}})
	}
	last := int64(fakePieces)
	if f.flaw != noUsage {
		last++
		send(last, &sauronv1.Event{Kind: &sauronv1.Event_Usage{Usage: &sauronv1.Usage{CompletionTokens: fakePieces}}})
	}
	send(last+1, finished(sauronv1.Outcome_OUTCOME_COMPLETED))
	if odd(afterFinished) {
		send(last+2, &sauronv1.Event{Kind: &sauronv1.Event_TextDelta{TextDelta: "more"}})
	}
	return nil
}

func (f *fakeService) Cancel(_ context.Context, req *sauronv1.CancelRequest) (*sauronv1.CancelResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.cancelled[req.GetRequestId()])
	return &sauronv1.CancelResponse{State: sauronv1.CancelState_CANCEL_STATE_CANCELLED}, nil
}

func finished(outcome sauronv1.Outcome) *sauronv1.Event {
	return &sauronv1.Event{Kind: &sauronv1.Event_Finished{Finished: &sauronv1.Finished{Outcome: outcome}}}
}

// playFake plays the scenario against a fake service, in a bubble's time.
func playFake(t *testing.T, broken flaw, load workload) story {
	t.Helper()
	service := &fakeService{
		flaw:        broken,
		generations: map[string]*fakeGeneration{},
		cancelled:   map[string]chan struct{}{},
	}
	listener := bufconn.Listen(1 << 16)
	server := grpc.NewServer()
	sauronv1.RegisterGenerationServiceServer(server, service)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(serving.Wait)
	t.Cleanup(server.Stop)

	conn, err := grpc.NewClient("passthrough:///fake",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return scenario{conns: []*grpc.ClientConn{conn}, model: "fake", load: load}.run(t.Context())
}
