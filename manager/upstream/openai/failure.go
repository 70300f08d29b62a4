package openai

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/sauron-stream/sauron/manager/fault"
)

// A failure is why an attempt failed, and whether another may follow.
type failure struct {
	fault *fault.Error
	again bool          // nothing was generated, and it may go well next time
	after time.Duration // what the upstream asks to wait; 0: not said
}

// broken returns the failure of a stream that can't be used. It is not tried
// again: who knows what the upstream has begun.
func broken(err error) *failure {
	return &failure{fault: fault.New(fault.UpstreamBroken, err)}
}

// unreachable returns the failure of a request that got no answer.
func unreachable(err error) *failure {
	return &failure{fault: fault.New(fault.UpstreamUnavailable, transportError(err)), again: true}
}

// Errors of the transport in the package's own words.
var (
	errTimeout   = errors.New("openai: timeout")
	errTransport = errors.New("openai: the HTTP exchange failed")
)

// transportError returns what the log may know of err. Some of net/http's errors
// quote what the upstream sent (a status line, a header, a GOAWAY's text) or the
// address with its query, so only those that can't are passed on.
func transportError(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return fmt.Errorf("openai: %w", op)
	}
	if cert, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return fmt.Errorf("openai: %w", cert)
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return errTimeout
	}
	for _, end := range []error{io.EOF, io.ErrUnexpectedEOF} {
		if errors.Is(err, end) {
			return fmt.Errorf("openai: the connection ended: %w", end)
		}
	}
	return errTransport
}
