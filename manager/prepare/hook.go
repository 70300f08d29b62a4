package prepare

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
	"github.com/sauron-stream/sauron/manager/fault"
)

// retryPause is the least time before the second call; as much again is random,
// so that generations that failed together do not come back together.
const retryPause = 100 * time.Millisecond

// A hook calls one route's PrepareService. It is safe for concurrent use.
type hook struct {
	client  sauronv1.PrepareServiceClient
	timeout time.Duration
	log     *slog.Logger
}

// newHook returns the hook behind conn. A timeout of 0 is the default.
func newHook(conn grpc.ClientConnInterface, timeout time.Duration, log *slog.Logger) *hook {
	if timeout == 0 {
		timeout = defaultHookTimeout
	}
	return &hook{client: sauronv1.NewPrepareServiceClient(conn), timeout: timeout, log: log}
}

// prepare asks the hook what to ask the upstream. The answer may be nil. If ctx
// ends first, the error is its cause; any other is a *fault.Error.
func (h *hook) prepare(ctx context.Context, req *sauronv1.PrepareRequest) (*sauronv1.GenerateRequest, error) {
	// No metadata that somebody put into ctx goes out.
	call, cancel := context.WithTimeout(metadata.NewOutgoingContext(ctx, nil), h.timeout)
	defer cancel()

	resp, err := h.client.Prepare(call, req)
	if status.Code(err) == codes.Unavailable && pause(call) {
		h.log.LogAttrs(ctx, slog.LevelWarn, "prepare hook was unavailable, calling it again",
			slog.String("generation_id", req.GetGenerationId()))
		resp, err = h.client.Prepare(call, req)
	}
	switch {
	case err == nil:
		return resp.GetRequest(), nil
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	}
	return nil, hookFailure(status.Code(err))
}

// pause waits before the second call. It reports whether there is time left.
func pause(ctx context.Context) bool {
	t := time.NewTimer(retryPause + rand.N(retryPause))
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// hookFailure returns what readers are told when the hook failed with code. It
// drops the hook's words: they may quote the prompt.
func hookFailure(code codes.Code) *fault.Error {
	f := fault.New(fault.PrepareFailed, fmt.Errorf("prepare hook: %v", code))
	switch code { //nolint:exhaustive // the contract passes on these four and no others
	case codes.InvalidArgument:
		f.Kind = fault.Invalid
	case codes.PermissionDenied:
		f.Kind = fault.Denied
	case codes.NotFound:
		f.Kind = fault.NotFound
	case codes.ResourceExhausted:
		f.Kind = fault.Exhausted
	}
	return f
}

// brokenAnswer returns what readers are told when the hook's answer breaks the
// contract by err. It keeps err's text alone: whatever status or fault err is, it
// is not the caller's request that is wrong.
func brokenAnswer(err error) *fault.Error {
	return fault.New(fault.PrepareFailed, fmt.Errorf("prepare hook: bad answer: %v", err)) //nolint:errorlint // see above
}
