package systemtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// ask returns a request of id for content.
func ask(id, content string) *sauronv1.GenerateRequest {
	return &sauronv1.GenerateRequest{
		RequestId: id,
		Model:     "default",
		Messages:  []*sauronv1.Message{{Role: sauronv1.Role_ROLE_USER, Content: content}},
	}
}

// A stream is one Generate call and what it has brought. One goroutine reads it.
type stream struct {
	call     grpc.ServerStreamingClient[sauronv1.GenerateResponse]
	cancel   context.CancelFunc // resets the stream, as a client does that has lost interest
	events   []*sauronv1.Event
	messages int
	ended    bool
	err      error // how it ended; nil: OK
}

// open makes a Generate call. Failures show when it is read.
func open(ctx context.Context, c sauronv1.GenerationServiceClient, req *sauronv1.GenerateRequest) *stream {
	s := &stream{}
	ctx, s.cancel = context.WithCancel(ctx)
	if s.call, s.err = c.Generate(ctx, req); s.err != nil {
		s.ended = true
	}
	return s
}

// begin opens a stream and waits until it has its Started.
func begin(t *testing.T, c sauronv1.GenerationServiceClient, req *sauronv1.GenerateRequest) *stream {
	t.Helper()
	s := open(patient(t), c, req)
	s.until(t, "Started", func(s *stream) bool { return s.started() != nil })
	return s
}

// next reads one message. It reports whether there was one.
func (s *stream) next() bool {
	if s.ended {
		return false
	}
	m, err := s.call.Recv()
	if err != nil {
		s.ended = true
		s.cancel()
		if !errors.Is(err, io.EOF) {
			s.err = err
		}
		return false
	}
	s.events = append(s.events, m.GetEvents()...)
	s.messages++
	return true
}

// all reads to the end.
func (s *stream) all() *stream {
	for s.next() {
	}
	return s
}

// until reads until done says so. It fails if the stream ends before.
func (s *stream) until(t *testing.T, what string, done func(*stream) bool) {
	t.Helper()
	for !done(s) {
		if !s.next() {
			t.Fatalf("the stream ended before %s: %v, %v", what, s.finished(), s.err)
		}
	}
}

// untilText reads until it has so much of the answer.
func (s *stream) untilText(t *testing.T, text string) {
	t.Helper()
	s.until(t, fmt.Sprintf("text %q", text), func(s *stream) bool { return s.text() == text })
}

// text returns the answer as far as it came.
func (s *stream) text() string {
	var b strings.Builder
	for _, e := range s.events {
		b.WriteString(e.GetTextDelta())
	}
	return b.String()
}

func (s *stream) started() *sauronv1.Started {
	if len(s.events) == 0 {
		return nil
	}
	return s.events[0].GetStarted()
}

func (s *stream) finished() *sauronv1.Finished {
	if len(s.events) == 0 {
		return nil
	}
	return s.events[len(s.events)-1].GetFinished()
}

// last returns the last sequence that came.
func (s *stream) last() int64 {
	var last int64
	for _, e := range s.events {
		last = max(last, e.GetSequence())
	}
	return last
}

// ordered returns what is wrong with the order of what came: Started, then 1, 2, 3,
// ... without a gap or a repeat, then a private Finished if it was cancelled.
func (s *stream) ordered() error {
	if s.started() == nil || s.events[0].GetSequence() != 0 {
		return errors.New("the first event is not Started")
	}
	log := s.events[1:]
	if s.finished().GetOutcome() == sauronv1.Outcome_OUTCOME_CANCELLED {
		if last := log[len(log)-1]; last.GetSequence() != 0 {
			return fmt.Errorf("Finished{CANCELLED} has sequence %d", last.GetSequence())
		}
		log = log[:len(log)-1]
	}
	for i, e := range log {
		if e.GetSequence() != int64(i+1) {
			return fmt.Errorf("event %d has sequence %d", i+1, e.GetSequence())
		}
	}
	return nil
}

// completed reads to the end and returns what keeps it from being a whole answer of
// text.
func (s *stream) completed(text string) error {
	s.all()
	if s.err != nil || s.finished().GetOutcome() != sauronv1.Outcome_OUTCOME_COMPLETED {
		return fmt.Errorf("ended with %v, %v, want completed", s.finished(), status.Convert(s.err))
	}
	if got := s.text(); got != text {
		return fmt.Errorf("text %q, want %q", got, text)
	}
	return s.ordered()
}

// wantCompleted fails unless it is a whole answer of text.
func (s *stream) wantCompleted(t *testing.T, text string) {
	t.Helper()
	if err := s.completed(text); err != nil {
		t.Error(err)
	}
}

// wantCancelled fails unless it ends cancelled, after text.
func (s *stream) wantCancelled(t *testing.T, text string) {
	t.Helper()
	s.all()
	if s.err != nil || s.finished().GetOutcome() != sauronv1.Outcome_OUTCOME_CANCELLED {
		t.Errorf("ended with %v, %v, want cancelled", s.finished(), s.err)
		return
	}
	if got := s.text(); got != text {
		t.Errorf("cancelled after %q, want %q", got, text)
	}
	if err := s.ordered(); err != nil {
		t.Error(err)
	}
}

// sameLog reports whether two streams brought the same events, but for what is
// private to each.
func (s *stream) sameLog(other *stream) bool {
	if len(s.events) != len(other.events) {
		return false
	}
	for i := range s.events {
		if i > 0 && !proto.Equal(s.events[i], other.events[i]) {
			return false
		}
	}
	return true
}

// A crowd is streams that are read at the same time.
type crowd []*stream

// each runs f for every stream at once and waits. f returns what is wrong.
func (c crowd) each(t *testing.T, f func(i int, s *stream) error) {
	t.Helper()
	wrong := make([]error, len(c))
	var group sync.WaitGroup
	for i, s := range c {
		group.Go(func() { wrong[i] = f(i, s) })
	}
	group.Wait()
	failed := 0
	for i, err := range wrong {
		if err == nil {
			continue
		}
		if failed++; failed <= 5 { // one bug shows in all of them
			t.Errorf("stream %d: %v", i, err)
		}
	}
	if failed > 0 {
		t.Fatalf("%d of %d streams failed", failed, len(c))
	}
}

// join opens the streams of requests at once, spread over clients, and waits until
// each has its Started.
func join(t *testing.T, clients []sauronv1.GenerationServiceClient, requests []*sauronv1.GenerateRequest) crowd {
	t.Helper()
	ctx := patient(t)
	c := make(crowd, len(requests))
	c.each(t, func(i int, _ *stream) error {
		c[i] = open(ctx, clients[i%len(clients)], requests[i])
		if !c[i].next() || c[i].started() == nil {
			return fmt.Errorf("not started: %v", status.Convert(c[i].err))
		}
		return nil
	})
	return c
}

// participations returns how many take part in each way.
func (c crowd) participations() map[sauronv1.Participation]int {
	n := make(map[sauronv1.Participation]int)
	for _, s := range c {
		n[s.started().GetParticipation()]++
	}
	return n
}

// The ways to take part.
const (
	leader   = sauronv1.Participation_PARTICIPATION_LEADER
	follower = sauronv1.Participation_PARTICIPATION_FOLLOWER
	replay   = sauronv1.Participation_PARTICIPATION_REPLAY
)
