// Package fault holds the reasons for which a request or a generation fails, as
// the contract names them, without gRPC. Every layer below the server makes
// these errors; the server alone turns them into statuses.
package fault

import (
	"fmt"
	"time"
)

// A Reason is the reason of google.rpc.ErrorInfo in the domain `sauron`.
type Reason string

// The reasons. Each has one Kind; PrepareFailed takes over the hook's.
const (
	ModelNotFound         Reason = "MODEL_NOT_FOUND"
	RequestIDInUse        Reason = "REQUEST_ID_IN_USE"
	QueueFull             Reason = "QUEUE_FULL"
	QueueTimeout          Reason = "QUEUE_TIMEOUT"
	ServerBusy            Reason = "SERVER_BUSY"
	Draining              Reason = "DRAINING"
	PrepareFailed         Reason = "PREPARE_FAILED"
	UpstreamUnavailable   Reason = "UPSTREAM_UNAVAILABLE"
	UpstreamRateLimited   Reason = "UPSTREAM_RATE_LIMITED"
	UpstreamQuota         Reason = "UPSTREAM_QUOTA"
	ContextLengthExceeded Reason = "CONTEXT_LENGTH_EXCEEDED"
	ContentRejected       Reason = "CONTENT_REJECTED"
	UpstreamRejected      Reason = "UPSTREAM_REJECTED"
	UpstreamUnauthorized  Reason = "UPSTREAM_UNAUTHORIZED"
	UpstreamModelNotFound Reason = "UPSTREAM_MODEL_NOT_FOUND"
	UpstreamBroken        Reason = "UPSTREAM_BROKEN"
	UpstreamStalled       Reason = "UPSTREAM_STALLED"
	GenerationTimeout     Reason = "GENERATION_TIMEOUT"
	GenerationTooLarge    Reason = "GENERATION_TOO_LARGE"
	SlowConsumer          Reason = "SLOW_CONSUMER"
	GenerationGone        Reason = "GENERATION_GONE"
	ResumeMismatch        Reason = "RESUME_MISMATCH"
	ResumeOutOfRange      Reason = "RESUME_OUT_OF_RANGE"
)

// Kind is the class of an error, one to one with a gRPC code.
type Kind uint8

// The kinds. The zero Kind is for what may work later.
const (
	Unavailable Kind = iota
	Invalid
	NotFound
	Denied
	Exhausted
	Precondition
	Deadline
	Exists
	Aborted
	OutOfRange
)

var kinds = map[Reason]Kind{
	ModelNotFound:         NotFound,
	RequestIDInUse:        Exists,
	QueueFull:             Exhausted,
	QueueTimeout:          Exhausted,
	ServerBusy:            Exhausted,
	UpstreamRateLimited:   Exhausted,
	UpstreamQuota:         Exhausted,
	ContextLengthExceeded: Invalid,
	ContentRejected:       Invalid,
	UpstreamRejected:      Invalid,
	UpstreamUnauthorized:  Precondition,
	UpstreamModelNotFound: Precondition,
	GenerationTimeout:     Deadline,
	GenerationTooLarge:    Exhausted,
	SlowConsumer:          Aborted,
	GenerationGone:        Precondition,
	ResumeMismatch:        Precondition,
	ResumeOutOfRange:      OutOfRange,
}

// An Error is a failure that callers are told of. It is immutable once returned:
// every reader of a generation gets the same value.
type Error struct {
	Kind       Kind
	Reason     Reason
	RetryAfter time.Duration     // when a retry makes sense; 0: not said
	Metadata   map[string]string // for callers: checked against closed forms, never free text
	Err        error             // for the log alone; may be nil
}

// New returns an Error of reason's own kind. err is for the log alone and may be
// nil.
func New(reason Reason, err error) *Error {
	return &Error{Kind: kinds[reason], Reason: reason, Err: err}
}

// Error returns the text for the log. It may hold internal text: no caller sees
// it.
func (e *Error) Error() string {
	if e.Err == nil {
		return string(e.Reason)
	}
	return fmt.Sprintf("%s: %v", e.Reason, e.Err)
}

// Unwrap returns the cause, or nil.
func (e *Error) Unwrap() error { return e.Err }

// A Retry is what a streamer fails with when the upstream stream may be tried
// again: nothing was generated yet. The stream slot is given back meanwhile.
type Retry struct {
	After time.Duration // how long to wait before the next attempt
	Err   error         // why this attempt failed
}

// Error returns the text for the log.
func (r *Retry) Error() string { return fmt.Sprintf("retry after %v: %v", r.After, r.Err) }

// Unwrap returns why the attempt failed.
func (r *Retry) Unwrap() error { return r.Err }
