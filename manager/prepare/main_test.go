package prepare_test

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
	"github.com/sauron-stream/sauron/manager"
	"github.com/sauron-stream/sauron/manager/prepare"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A fakeUpstream remembers what it was asked.
type fakeUpstream struct {
	requests []*sauronv1.GenerateRequest
	models   []string
}

// fakeStreamer is what a fakeUpstream answers with.
type fakeStreamer struct{ manager.Streamer }

func (u *fakeUpstream) Streamer(req *sauronv1.GenerateRequest, model string) manager.Streamer {
	u.requests = append(u.requests, req)
	u.models = append(u.models, model)
	return fakeStreamer{}
}

// A fakeHook counts its calls and answers each as its answer function says.
type fakeHook struct {
	sauronv1.UnimplementedPrepareServiceServer
	answer func(ctx context.Context, call int, req *sauronv1.PrepareRequest) (*sauronv1.PrepareResponse, error)

	mu       sync.Mutex // guards the fields below
	requests []*sauronv1.PrepareRequest
	metadata []metadata.MD
}

func (h *fakeHook) Prepare(ctx context.Context, req *sauronv1.PrepareRequest) (*sauronv1.PrepareResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	h.mu.Lock()
	h.requests = append(h.requests, proto.CloneOf(req))
	h.metadata = append(h.metadata, md)
	call := len(h.requests)
	h.mu.Unlock()
	return h.answer(ctx, call, req)
}

// calls returns the calls so far.
func (h *fakeHook) calls() []*sauronv1.PrepareRequest {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.requests
}

// echo answers with what was asked.
func echo(_ context.Context, _ int, req *sauronv1.PrepareRequest) (*sauronv1.PrepareResponse, error) {
	return &sauronv1.PrepareResponse{Request: req.GetRequest()}, nil
}

// failing answers every call with err.
func failing(err error) func(context.Context, int, *sauronv1.PrepareRequest) (*sauronv1.PrepareResponse, error) {
	return func(context.Context, int, *sauronv1.PrepareRequest) (*sauronv1.PrepareResponse, error) {
		return nil, err
	}
}

// A network serves one hook in memory under any address.
type network struct {
	listener *bufconn.Listener
	dials    atomic.Int64
	refuse   atomic.Int64 // dials that fail, from the first on
}

// serve serves h until the test ends.
func serve(t *testing.T, h *fakeHook) *network {
	t.Helper()
	n := &network{listener: bufconn.Listen(1 << 20)}
	s := grpc.NewServer(grpc.MaxRecvMsgSize(64<<20), grpc.WaitForHandlers(true))
	sauronv1.RegisterPrepareServiceServer(s, h)
	var running sync.WaitGroup
	running.Go(func() { _ = s.Serve(n.listener) })
	t.Cleanup(func() {
		s.Stop()
		running.Wait()
	})
	return n
}

// dialer is the option that leads every connection to n.
func (n *network) dialer() grpc.DialOption {
	return grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
		if n.dials.Add(1) <= n.refuse.Load() {
			return nil, net.ErrClosed
		}
		return n.listener.DialContext(ctx)
	})
}

// hookAddress is an address that needs no resolver.
const hookAddress = "passthrough:///hook"

// hooked returns a route for the model "m" with a hook.
func hooked(up prepare.Upstream) prepare.RouteConfig {
	return prepare.RouteConfig{
		Model: "m", Upstream: up, UpstreamName: "up", Hook: &prepare.HookConfig{Address: hookAddress},
	}
}

// newRoutes returns routes that are closed when the test ends.
func newRoutes(t *testing.T, cfgs []prepare.RouteConfig, dial ...grpc.DialOption) *prepare.Routes {
	t.Helper()
	routes, err := prepare.NewDialed(cfgs, nil, nil, dial...)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	t.Cleanup(func() {
		if err := routes.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return routes
}

func resolve(t *testing.T, routes *prepare.Routes, model string) *prepare.Route {
	t.Helper()
	r, ok := routes.Resolve(model)
	if !ok {
		t.Fatalf("no route for %q", model)
	}
	return r
}

func request(model string) *sauronv1.GenerateRequest {
	return &sauronv1.GenerateRequest{
		Model:    model,
		Messages: []*sauronv1.Message{{Role: sauronv1.Role_ROLE_USER, Content: "secret prompt"}},
	}
}
