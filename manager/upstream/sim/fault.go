package sim

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/sauron-stream/sauron/manager/fault"
)

// FaultKind is a way for an answer to go wrong, as configuration and extension
// spell it.
type FaultKind string

// The faults. Those that come after some tokens come before the end of the
// answer even if it has fewer.
const (
	NoFault        FaultKind = "none"       // as is the empty FaultKind
	FaultError     FaultKind = "error"      // an HTTP error instead of an answer
	FaultBreak     FaultKind = "break"      // the stream ends without a finish reason
	FaultStall     FaultKind = "stall"      // the stream goes silent until it is ended
	FaultRateLimit FaultKind = "rate_limit" // the HTTP status 429 instead of an answer
	FaultGarbage   FaultKind = "garbage"    // the stream goes on with what cannot be parsed
)

// A Fault is how answers go wrong.
type Fault struct {
	Kind        FaultKind
	AfterTokens int           // FaultBreak, FaultStall, FaultGarbage: 0 to 1000000
	Status      int           // FaultError: 400 to 599; 0: 500
	RetryAfter  time.Duration // FaultRateLimit, and FaultError with 429: up to 1h; 0: not said
}

// Texts for the log.
var (
	errBroke   = errors.New("sim: the stream ended without a finish reason, as asked")
	errGarbage = errors.New("sim: the stream carried what cannot be parsed, as asked")
)

// problems returns all that is wrong with f.
func (f Fault) problems() []error {
	var errs []error
	if !f.Kind.known() {
		errs = append(errs, fmt.Errorf("sim: unknown fault %q", f.Kind))
	}
	if f.AfterTokens < 0 || f.AfterTokens > maxTokens {
		errs = append(errs, fmt.Errorf("sim: tokens before the fault are not from 0 to %d", maxTokens))
	}
	if f.Status != 0 && (f.Status < 400 || f.Status > 599) {
		errs = append(errs, errors.New("sim: status of the fault is not from 400 to 599"))
	}
	if f.RetryAfter < 0 || f.RetryAfter > maxPause {
		errs = append(errs, fmt.Errorf("sim: retry after is not from 0 to %v", maxPause))
	}
	return errs
}

func (k FaultKind) known() bool {
	switch k {
	case "", NoFault, FaultError, FaultBreak, FaultStall, FaultRateLimit, FaultGarbage:
		return true
	}
	return false
}

// limit returns how many of an answer's tokens come before the fault, and
// whether there is one.
func (f Fault) limit(tokens int) (n int, ok bool) {
	switch f.Kind {
	case FaultError, FaultRateLimit:
		return 0, true
	case FaultBreak, FaultStall, FaultGarbage:
		return min(f.AfterTokens, tokens), true
	case "", NoFault:
	}
	return tokens, false
}

// failure returns what the stream fails with. FaultStall never fails by itself.
func (f Fault) failure() *fault.Error {
	switch f.Kind {
	case FaultError:
		status := f.Status
		if status == 0 {
			status = http.StatusInternalServerError
		}
		return statusFailure(status, f.RetryAfter)
	case FaultRateLimit:
		return statusFailure(http.StatusTooManyRequests, f.RetryAfter)
	case FaultGarbage:
		return fault.New(fault.UpstreamBroken, errGarbage)
	case "", NoFault, FaultBreak, FaultStall:
	}
	return fault.New(fault.UpstreamBroken, errBroke)
}

// statusFailure returns what an LLM server's error response of this HTTP status
// means by the contract. The simulator does not try again: it would fail again.
func statusFailure(status int, retryAfter time.Duration) *fault.Error {
	err := fmt.Errorf("sim: status %d, as asked", status)
	switch {
	case status == http.StatusPaymentRequired:
		return fault.New(fault.UpstreamQuota, err)
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return fault.New(fault.UpstreamUnauthorized, err)
	case status == http.StatusNotFound:
		return fault.New(fault.UpstreamModelNotFound, err)
	case status == http.StatusTooManyRequests:
		f := fault.New(fault.UpstreamRateLimited, err)
		f.RetryAfter = retryAfter
		return f
	case status == http.StatusRequestTimeout, status >= 500:
		f := fault.New(fault.UpstreamUnavailable, err)
		f.Metadata = map[string]string{"upstream_status": strconv.Itoa(status)}
		return f
	}
	return fault.New(fault.UpstreamRejected, err)
}
