package prepare

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc/resolver"
)

// defaultHookTimeout is the budget of a hook that has none of its own.
const defaultHookTimeout = 10 * time.Second

// HookConfig describes a route's hook.
type HookConfig struct {
	// Address is the gRPC target, such as `dns:///retrieval.svc:50052`,
	// `127.0.0.1:50052` or `unix:/run/hook.sock`. The connection is plain text:
	// inside a mesh, the mesh encrypts.
	Address string
	// Timeout bounds one preparation, retry and pause included. 0: 10 s.
	Timeout time.Duration
}

// problems returns all that is wrong with c.
func (c HookConfig) problems() []error {
	var errs []error
	if c.Address == "" {
		errs = append(errs, errors.New("hook: address is empty"))
	}
	// gRPC takes an unknown scheme for a part of a host name and would fail each
	// call: an `http://...` is better refused here.
	if scheme, _, ok := strings.Cut(c.Address, "://"); ok && resolver.Get(scheme) == nil {
		errs = append(errs, fmt.Errorf("hook: address has the unknown scheme %q", scheme))
	}
	if c.Timeout < 0 {
		errs = append(errs, errors.New("hook: timeout is negative"))
	}
	return errs
}
