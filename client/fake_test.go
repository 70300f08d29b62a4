package client_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sauron-stream/sauron/client"
	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A stream is one Generate stream, as a script of the fake service sees it.
type stream struct {
	grpc.ServerStreamingServer[sauronv1.GenerateResponse]
	try       int // of the iteration, from 1
	req       *sauronv1.GenerateRequest
	cancelled <-chan struct{} // closed by the first Cancel that is taken
}

func (s *stream) send(events ...*sauronv1.Event) error {
	return s.Send(&sauronv1.GenerateResponse{Events: events})
}

// A fake is a service that does what a script says, and remembers who called. It has a
// connection of its own, in memory.
type fake struct {
	sauronv1.UnsafeGenerationServiceServer

	script   func(*stream) error
	onCancel func(n int) error // before the n-th Cancel is taken; nil: nothing

	mu        sync.Mutex
	requests  []*sauronv1.GenerateRequest
	times     []time.Time
	cancels   []string
	taken     bool
	cancelled chan struct{}
	down      bool          // nobody listens
	slow      time.Duration // to let somebody in
	conns     []*fakeConn   // the client's

	conn *grpc.ClientConn
}

func serve(t *testing.T, script func(*stream) error, options ...grpc.DialOption) *fake {
	t.Helper()
	f := &fake{script: script, cancelled: make(chan struct{})}
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer(grpc.WaitForHandlers(true))
	sauronv1.RegisterGenerationServiceServer(server, f)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	conn, err := grpc.NewClient("passthrough:///fake", append(options, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return f.dial(ctx, listener) }))...)
	if err != nil {
		t.Fatal(err)
	}
	f.conn = conn
	t.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
		serving.Wait()
	})
	return f
}

func (f *fake) dial(ctx context.Context, listener *bufconn.Listener) (net.Conn, error) {
	f.mu.Lock()
	down, slow := f.down, f.slow
	f.mu.Unlock()
	if down {
		return nil, errors.New("connection refused")
	}
	select {
	case <-time.After(slow):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	conn, err := listener.DialContext(ctx)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.conns = append(f.conns, &fakeConn{Conn: conn})
	return f.conns[len(f.conns)-1], nil
}

// delay cuts the client's connections, and lets it in again after d.
func (f *fake) delay(d time.Duration) {
	f.listen(true)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.slow = d
}

// silence has the client's connections forward nothing any more, without an end.
func (f *fake) silence() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, conn := range f.conns {
		conn.silent.Store(true)
	}
}

// A fakeConn is one of the client's connections.
type fakeConn struct {
	net.Conn

	silent atomic.Bool // what is written is lost, and nothing comes
}

func (c *fakeConn) Write(p []byte) (int, error) {
	if c.silent.Load() {
		return len(p), nil
	}
	return c.Conn.Write(p)
}

func (c *fakeConn) Read(p []byte) (int, error) {
	for {
		n, err := c.Conn.Read(p)
		if err != nil || !c.silent.Load() {
			return n, err
		}
	}
}

// listen has the client's connections refused, and those that it has cut, until it is
// called with true.
func (f *fake) listen(up bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = !up
	for _, conn := range f.conns {
		_ = conn.Close()
	}
	f.conns = nil
}

func (f *fake) Generate(req *sauronv1.GenerateRequest, s grpc.ServerStreamingServer[sauronv1.GenerateResponse]) error {
	f.mu.Lock()
	f.requests = append(f.requests, req)
	f.times = append(f.times, time.Now())
	st := &stream{ServerStreamingServer: s, try: len(f.requests), req: req, cancelled: f.cancelled}
	f.mu.Unlock()
	return f.script(st)
}

func (f *fake) Cancel(_ context.Context, req *sauronv1.CancelRequest) (*sauronv1.CancelResponse, error) {
	f.mu.Lock()
	f.cancels = append(f.cancels, req.GetRequestId())
	n := len(f.cancels)
	f.mu.Unlock()
	if f.onCancel != nil {
		if err := f.onCancel(n); err != nil {
			return nil, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.taken {
		f.taken = true
		close(f.cancelled)
	}
	return &sauronv1.CancelResponse{State: sauronv1.CancelState_CANCEL_STATE_CANCELLED}, nil
}

// seen returns what has come so far.
func (f *fake) seen() (requests []*sauronv1.GenerateRequest, cancels []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.requests, f.cancels
}

// read iterates over the events of the request "id" and returns them with the error.
func (f *fake) read(ctx context.Context, options ...client.Option) ([]*sauronv1.Event, error) {
	var events []*sauronv1.Event
	for e, err := range client.New(f.conn, options...).Events(ctx, request()) {
		if err != nil {
			return events, err
		}
		events = append(events, e)
	}
	return events, nil
}

func request() *sauronv1.GenerateRequest {
	return &sauronv1.GenerateRequest{
		RequestId: "id", Model: "m",
		Messages: []*sauronv1.Message{{Role: sauronv1.Role_ROLE_USER, Content: "c"}},
	}
}

func started(generation string) *sauronv1.Event {
	return &sauronv1.Event{Kind: &sauronv1.Event_Started{Started: &sauronv1.Started{RequestId: "id", GenerationId: generation}}}
}

func stage(sequence int64) *sauronv1.Event {
	return &sauronv1.Event{Sequence: sequence, Kind: &sauronv1.Event_StageChanged{
		StageChanged: &sauronv1.StageChanged{Stage: sauronv1.Stage_STAGE_QUEUED},
	}}
}

func text(sequence int64, text string) *sauronv1.Event {
	return &sauronv1.Event{Sequence: sequence, Kind: &sauronv1.Event_TextDelta{TextDelta: text}}
}

func finished(sequence int64, outcome sauronv1.Outcome) *sauronv1.Event {
	return &sauronv1.Event{Sequence: sequence, Kind: &sauronv1.Event_Finished{Finished: &sauronv1.Finished{Outcome: outcome}}}
}

const (
	completed = sauronv1.Outcome_OUTCOME_COMPLETED
	cancelled = sauronv1.Outcome_OUTCOME_CANCELLED
)

// failure returns a status as the service makes it: with its reason, unless that is
// empty, and with a RetryInfo, unless that is 0.
func failure(code codes.Code, reason string, retry time.Duration) error {
	var details []protoadapt.MessageV1
	if reason != "" {
		details = append(details, &errdetails.ErrorInfo{Domain: "sauron", Reason: reason})
	}
	if retry > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(retry)})
	}
	s, err := status.New(code, "no").WithDetails(details...)
	if err != nil {
		panic(err)
	}
	return s.Err()
}

// foreignFailure returns a status with a reason that is somebody else's.
func foreignFailure(code codes.Code, reason string) error {
	s, err := status.New(code, "no").WithDetails(&errdetails.ErrorInfo{Domain: "proxy", Reason: reason})
	if err != nil {
		panic(err)
	}
	return s.Err()
}
