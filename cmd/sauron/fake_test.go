package main

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// A fakeService serves scripts: a request's id is known from its arrival, its
// stream begins with Started, and a cancel makes a script that waits end with
// Finished.
type fakeService struct {
	sauronv1.UnsafeGenerationServiceServer

	// Set at construction, then read-only.
	script   func(*fakeStream) error
	onCancel func(ctx context.Context) error // before a cancel; nil: nothing

	mu        sync.Mutex // guards the fields below
	requests  []*sauronv1.GenerateRequest
	cancels   []string                 // ids, in order, known or not
	cancelled map[string]chan struct{} // by id; closed by a cancel
	finished  map[string]bool
	peers     map[string]bool // the addresses that requests came from
}

// A fakeStream is one Generate stream, as a script sees it.
type fakeStream struct {
	service   *fakeService
	stream    grpc.ServerStreamingServer[sauronv1.GenerateResponse]
	index     int // of the request, from 0
	id        string
	cancelled chan struct{}
}

// serveFake serves script until the test ends and returns the address.
func serveFake(t *testing.T, script func(*fakeStream) error) (*fakeService, string) {
	t.Helper()
	f := &fakeService{script: script, cancelled: map[string]chan struct{}{}, finished: map[string]bool{}, peers: map[string]bool{}}
	return f, f.serve(t)
}

func (f *fakeService) serve(t *testing.T) string {
	t.Helper()
	var lc net.ListenConfig
	listener, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.WaitForHandlers(true))
	sauronv1.RegisterGenerationServiceServer(server, f)
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := server.Serve(listener); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(func() {
		server.Stop()
		serving.Wait()
	})
	return listener.Addr().String()
}

func (f *fakeService) Generate(req *sauronv1.GenerateRequest, stream grpc.ServerStreamingServer[sauronv1.GenerateResponse]) error {
	f.mu.Lock()
	s := &fakeStream{service: f, stream: stream, index: len(f.requests), id: req.GetRequestId(), cancelled: make(chan struct{})}
	f.requests = append(f.requests, req)
	if p, ok := peer.FromContext(stream.Context()); ok {
		f.peers[p.Addr.String()] = true
	}
	f.mu.Unlock()
	return f.script(s)
}

func (f *fakeService) Cancel(ctx context.Context, req *sauronv1.CancelRequest) (*sauronv1.CancelResponse, error) {
	if f.onCancel != nil {
		if err := f.onCancel(ctx); err != nil {
			return nil, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	id := req.GetRequestId()
	f.cancels = append(f.cancels, id)
	if f.finished[id] {
		return &sauronv1.CancelResponse{State: sauronv1.CancelState_CANCEL_STATE_ALREADY_FINISHED}, nil
	}
	c, ok := f.cancelled[id]
	if !ok {
		return nil, status.Error(codes.NotFound, "no request of this id")
	}
	close(c)
	delete(f.cancelled, id)
	return &sauronv1.CancelResponse{State: sauronv1.CancelState_CANCEL_STATE_CANCELLED}, nil
}

func (f *fakeService) seen() ([]*sauronv1.GenerateRequest, []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.requests, f.cancels
}

// start makes the request known and sends Started.
func (s *fakeStream) start() error {
	s.service.mu.Lock()
	s.service.cancelled[s.id] = s.cancelled
	s.service.mu.Unlock()
	participation := sauronv1.Participation_PARTICIPATION_FOLLOWER
	if s.index == 0 {
		participation = sauronv1.Participation_PARTICIPATION_LEADER
	}
	return s.send(&sauronv1.Event{Kind: &sauronv1.Event_Started{Started: &sauronv1.Started{
		RequestId: s.id, GenerationId: "g1", Participation: participation,
	}}})
}

func (s *fakeStream) send(events ...*sauronv1.Event) error {
	return s.stream.Send(&sauronv1.GenerateResponse{Events: events})
}

// waitForCancel ends the stream as a cancel does, or when the client has left.
func (s *fakeStream) waitForCancel() error {
	select {
	case <-s.cancelled:
		return s.send(finished(0, sauronv1.Outcome_OUTCOME_CANCELLED))
	case <-s.stream.Context().Done():
		return s.stream.Context().Err()
	}
}

// answer returns a script that sends events after Started.
func answer(events ...*sauronv1.Event) func(*fakeStream) error {
	return func(s *fakeStream) error { return errors.Join(s.start(), s.send(events...)) }
}

// answerAndWait returns a script that sends events and waits for a cancel.
func answerAndWait(events ...*sauronv1.Event) func(*fakeStream) error {
	return func(s *fakeStream) error { return errors.Join(s.start(), s.send(events...), s.waitForCancel()) }
}

func text(sequence int64, text string) *sauronv1.Event {
	return &sauronv1.Event{Sequence: sequence, Kind: &sauronv1.Event_TextDelta{TextDelta: text}}
}

func finished(sequence int64, outcome sauronv1.Outcome) *sauronv1.Event {
	return &sauronv1.Event{Sequence: sequence, Kind: &sauronv1.Event_Finished{Finished: &sauronv1.Finished{Outcome: outcome}}}
}

func completed(sequence int64) *sauronv1.Event {
	return finished(sequence, sauronv1.Outcome_OUTCOME_COMPLETED)
}
