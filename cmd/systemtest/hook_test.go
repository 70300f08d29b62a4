package systemtest

import (
	"context"
	"net"
	"sync"
	"testing"

	"google.golang.org/grpc"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// A hook is a PrepareService that behaves as a test wants.
type hook struct {
	sauronv1.UnimplementedPrepareServiceServer

	// Set at construction, then read-only.
	address string
	behave  func(call hookCall) (*sauronv1.GenerateRequest, error)

	mu      sync.Mutex // guards the fields below
	calls   int        // that came
	open    int        // that have not returned
	peak    int        // the most that were open at a time
	changed chan struct{}
}

// A hookCall is one call of a hook.
type hookCall struct {
	hook *hook
	ctx  context.Context
	n    int // from 1
	req  *sauronv1.PrepareRequest
}

// newHook returns a hook that answers each call by behave.
func newHook(t *testing.T, behave func(call hookCall) (*sauronv1.GenerateRequest, error)) *hook {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &hook{address: listener.Addr().String(), behave: behave, changed: make(chan struct{})}
	server := grpc.NewServer(grpc.WaitForHandlers(true))
	sauronv1.RegisterPrepareServiceServer(server, h)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() {
		server.Stop()
		<-served
	})
	return h
}

// Prepare implements PrepareServiceServer.
func (h *hook) Prepare(ctx context.Context, req *sauronv1.PrepareRequest) (*sauronv1.PrepareResponse, error) {
	n := h.count(1, 1)
	defer h.count(0, -1)
	out, err := h.behave(hookCall{hook: h, ctx: ctx, n: n, req: req})
	if err != nil {
		return nil, err
	}
	return &sauronv1.PrepareResponse{Request: out}, nil
}

// count counts, and returns how many calls have come.
func (h *hook) count(calls, open int) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls += calls
	h.open += open
	h.peak = max(h.peak, h.open)
	close(h.changed)
	h.changed = make(chan struct{})
	return h.calls
}

// numbers returns the calls that came, and the most that were open at a time.
func (h *hook) numbers() (calls, peak int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.calls, h.peak
}

// others waits until at least n calls came, or the caller has gone.
func (c hookCall) others(n int) error {
	for {
		c.hook.mu.Lock()
		enough, changed := c.hook.calls >= n, c.hook.changed
		c.hook.mu.Unlock()
		if enough {
			return nil
		}
		if err := c.wait(changed); err != nil {
			return err
		}
	}
}

// wait waits for ch, or until the caller has gone.
func (c hookCall) wait(ch <-chan struct{}) error {
	select {
	case <-ch:
		return nil
	case <-c.ctx.Done():
		return c.ctx.Err()
	}
}

// hooked is the configuration of one upstream for every model, with a hook.
func hooked(up *upstream, address string) string {
	return `
upstreams:
- {name: fake, type: openai, base_url: "` + up.base() + `"}
routes:
- {model: "*", upstream: fake, prepare: {address: "` + address + `"}}
`
}
