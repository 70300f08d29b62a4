package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
	"github.com/sauron-stream/sauron/manager"
	"github.com/sauron-stream/sauron/manager/prepare"
	"github.com/sauron-stream/sauron/manager/upstream/sim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// running is a Server that serves, with clients.
type running struct {
	*Server
	t      *testing.T
	log    *logBuffer
	drain  context.CancelFunc // what the first signal does
	now    chan struct{}      // closed by the second
	ended  chan struct{}      // closed when Run has returned
	runErr error              // set when ended is closed
	dial   func() *grpc.ClientConn
	once   sync.Once
}

// logBuffer collects the log. It is safe for concurrent use.
type logBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// options is what a test may change of its server.
type options struct {
	Config
	sim    sim.Config
	routes []prepare.RouteConfig // nil: "*" on the simulator
	client []grpc.DialOption
}

func defaultOptions() options {
	return options{
		Config: Config{
			Listen: "127.0.0.1:0",
			Manager: manager.Config{
				MaxConcurrentRequests: 10, MaxConcurrentLLMStreams: 5, QueueCapacity: 1024, PreparedBacklog: 1024,
				MaxQueueWait: time.Minute, OrphanGrace: 10 * time.Second, IDMemory: time.Minute,
				GenerationTimeout: 10 * time.Minute, UpstreamIdleTimeout: time.Minute,
				MaxGenerationBytes: 16 << 20, MaxLogBytes: 1 << 30,
			},
			SlowConsumerTimeout: 30 * time.Second, MaxRequestBytes: 4 << 20,
			DrainDelay: 0, DrainTimeout: 10 * time.Second,
			KeepaliveTime: 30 * time.Second, KeepaliveTimeout: 10 * time.Second, KeepaliveMinInterval: 10 * time.Second,
			Version: "test",
		},
		sim: sim.Config{Name: "simulator", FirstToken: 20 * time.Millisecond, InterToken: 5 * time.Millisecond, Tokens: 20},
	}
}

// build makes the Server of o on listeners.
func (o *options) build(t *testing.T, log io.Writer, listener, admin net.Listener) *Server {
	t.Helper()
	o.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if o.routes == nil {
		upstream, err := sim.New(o.sim)
		if err != nil {
			t.Fatal(err)
		}
		o.routes = []prepare.RouteConfig{{Model: "*", Upstream: upstream, UpstreamName: "simulator", Coalesce: true}}
	}
	routes, err := prepare.New(o.routes, Validate, o.Log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = routes.Close() })
	o.Routes = routes
	return newServer(o.Config, listener, admin)
}

// start serves on real sockets.
func start(t *testing.T, set func(*options)) *running {
	t.Helper()
	o := defaultOptions()
	if set != nil {
		set(&o)
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(t.Context(), "tcp", o.Listen)
	if err != nil {
		t.Fatal(err)
	}
	admin, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	log := &logBuffer{}
	r := &running{Server: o.build(t, log, listener, admin), log: log}
	r.dial = func() *grpc.ClientConn {
		return dial(t, listener.Addr().String(), o.client...)
	}
	r.run(t)
	return r
}

// startInBubble serves in memory, for a synctest bubble.
func startInBubble(t *testing.T, set func(*options)) *running {
	t.Helper()
	o := defaultOptions()
	if set != nil {
		set(&o)
	}
	listener := bufconn.Listen(1 << 20)
	log := &logBuffer{}
	r := &running{Server: o.build(t, log, listener, nil), log: log}
	r.dial = func() *grpc.ClientConn {
		dialer := grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) })
		// Windows that do not grow with the traffic: a stream that does not read is
		// stuck at the same point every time.
		static := []grpc.DialOption{grpc.WithInitialWindowSize(64 << 10), grpc.WithInitialConnWindowSize(1 << 20)}
		return dial(t, "passthrough:///bufconn", append(append(o.client, static...), dialer)...)
	}
	r.run(t)
	return r
}

func (r *running) run(t *testing.T) {
	r.t, r.now, r.ended = t, make(chan struct{}), make(chan struct{})
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	r.drain = cancel
	go func() {
		defer close(r.ended)
		r.runErr = r.Run(ctx, r.now)
	}()
	t.Cleanup(func() {
		cancel()
		r.stopNow()
		<-r.ended
		if r.runErr != nil {
			t.Errorf("Run: %v", r.runErr)
		}
		if t.Failed() {
			t.Logf("server log:\n%s", r.log)
		}
	})
}

// stopNow is the second signal.
func (r *running) stopNow() { r.once.Do(func() { close(r.now) }) }

func dial(t *testing.T, target string, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(target, append(opts, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// client returns a client on a connection of its own.
func (r *running) client() sauronv1.GenerationServiceClient {
	return sauronv1.NewGenerationServiceClient(r.dial())
}

// ask returns a request of id for content.
func ask(id, content string) *sauronv1.GenerateRequest {
	return &sauronv1.GenerateRequest{
		RequestId: id,
		Model:     "default",
		Messages:  []*sauronv1.Message{{Role: sauronv1.Role_ROLE_USER, Content: content}},
	}
}

// received is what one Generate stream has brought.
type received struct {
	stream grpc.ServerStreamingClient[sauronv1.GenerateResponse]
	events []*sauronv1.Event
	err    error // how it ended; nil: OK
}

// generate opens a stream.
func generate(ctx context.Context, t *testing.T, c sauronv1.GenerationServiceClient, req *sauronv1.GenerateRequest) *received {
	t.Helper()
	stream, err := c.Generate(ctx, req)
	if err != nil {
		t.Fatalf("generate: %v", err)
	}
	return &received{stream: stream}
}

// next reads one message. It reports whether there was one.
func (r *received) next() bool {
	m, err := r.stream.Recv()
	if err != nil {
		if !errors.Is(err, io.EOF) {
			r.err = err
		}
		return false
	}
	r.events = append(r.events, m.GetEvents()...)
	return true
}

// all reads to the end.
func (r *received) all() *received {
	for r.next() {
	}
	return r
}

// until reads until an event satisfies f. It reports whether one did.
func (r *received) until(f func(*sauronv1.Event) bool) bool {
	seen := 0
	for {
		for ; seen < len(r.events); seen++ {
			if f(r.events[seen]) {
				return true
			}
		}
		if !r.next() {
			return false
		}
	}
}

func isText(e *sauronv1.Event) bool { return e.GetTextDelta() != "" }

func inStage(stage sauronv1.Stage) func(*sauronv1.Event) bool {
	return func(e *sauronv1.Event) bool { return e.GetStageChanged().GetStage() == stage }
}

// text returns the answer as far as it came.
func (r *received) text() string {
	var b strings.Builder
	for _, e := range r.events {
		b.WriteString(e.GetTextDelta())
	}
	return b.String()
}

func (r *received) started() *sauronv1.Started {
	if len(r.events) == 0 {
		return nil
	}
	return r.events[0].GetStarted()
}

func (r *received) finished() *sauronv1.Finished {
	if len(r.events) == 0 {
		return nil
	}
	return r.events[len(r.events)-1].GetFinished()
}

// check returns what is wrong with the order of events: Started first, then 1, 2,
// 3, ... without a gap or a repeat, then perhaps a private Finished.
func (r *received) check() error {
	if r.started() == nil || r.events[0].GetSequence() != 0 {
		return errors.New("the first event is not Started")
	}
	want := int64(1)
	for i, e := range r.events[1:] {
		private := i == len(r.events)-2 && e.GetFinished().GetOutcome() == sauronv1.Outcome_OUTCOME_CANCELLED
		switch {
		case private && e.GetSequence() == 0:
		case e.GetSequence() != want:
			return fmt.Errorf("event %d has sequence %d, want %d", i+1, e.GetSequence(), want)
		default:
			want++
		}
	}
	return nil
}

// completed reads to the end and fails unless it is a whole answer.
func (r *received) completed(t *testing.T) string {
	t.Helper()
	r.all()
	if r.err != nil || r.finished().GetOutcome() != sauronv1.Outcome_OUTCOME_COMPLETED {
		t.Errorf("ended with %v, %v, want completed", r.finished(), r.err)
	} else if err := r.check(); err != nil {
		t.Error(err)
	}
	return r.text()
}

// cancelled reads to the end and fails unless it is a cancellation.
func (r *received) cancelled(t *testing.T) {
	t.Helper()
	r.all()
	if r.err != nil || r.finished().GetOutcome() != sauronv1.Outcome_OUTCOME_CANCELLED {
		t.Errorf("ended with %v, %v, want cancelled", r.finished(), r.err)
	} else if err := r.check(); err != nil {
		t.Error(err)
	}
}

// failed reads to the end and fails unless it is code and reason. It returns the
// status.
func (r *received) failed(t *testing.T, code codes.Code, reason string) *status.Status {
	t.Helper()
	r.all()
	return wantStatus(t, r.err, code, reason)
}

// wantStatus fails unless err has code and, if reason is not empty, an ErrorInfo of
// it.
func wantStatus(t *testing.T, err error, code codes.Code, reason string) *status.Status {
	t.Helper()
	s, _ := status.FromError(err)
	if s.Code() != code {
		t.Fatalf("got %v, want %s %s", err, code, reason)
	}
	if got := errorInfo(s).GetReason(); got != reason {
		t.Fatalf("got %v with reason %q, want %q", err, got, reason)
	}
	return s
}

// errorInfo returns the status's ErrorInfo, or nil.
func errorInfo(s *status.Status) *errdetails.ErrorInfo { return detail[*errdetails.ErrorInfo](s) }

func detail[T any](s *status.Status) (none T) {
	for _, d := range s.Details() {
		if t, ok := d.(T); ok {
			return t
		}
	}
	return none
}

// cancel cancels id and fails unless the answer is want.
func cancel(t *testing.T, c sauronv1.GenerationServiceClient, id string, want sauronv1.CancelState) {
	t.Helper()
	answer, err := c.Cancel(t.Context(), &sauronv1.CancelRequest{RequestId: id})
	if err != nil || answer.GetState() != want {
		t.Errorf("cancel %s: %v, %v, want %s", id, answer, err, want)
	}
}

const (
	stateCancelled = sauronv1.CancelState_CANCEL_STATE_CANCELLED
	stateFinished  = sauronv1.CancelState_CANCEL_STATE_ALREADY_FINISHED
)
