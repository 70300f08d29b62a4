package server

import (
	"context"
	"errors"
	"maps"
	"strconv"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sauron-stream/sauron/manager/fault"
)

// errorDomain is the domain of every google.rpc.ErrorInfo.
const errorDomain = "sauron"

// pushback is the trailer by which a server tells a gRPC client's retry policy when
// to try again (gRFC A6).
const pushback = "grpc-retry-pushback-ms"

var kindCodes = map[fault.Kind]codes.Code{
	fault.Unavailable:  codes.Unavailable,
	fault.Invalid:      codes.InvalidArgument,
	fault.NotFound:     codes.NotFound,
	fault.Denied:       codes.PermissionDenied,
	fault.Exhausted:    codes.ResourceExhausted,
	fault.Precondition: codes.FailedPrecondition,
	fault.Deadline:     codes.DeadlineExceeded,
	fault.Exists:       codes.AlreadyExists,
	fault.Aborted:      codes.Aborted,
	fault.OutOfRange:   codes.OutOfRange,
}

// texts are what callers read. They are neutral: no prompt, no key, no upstream's
// words, no internal error.
var texts = map[fault.Reason]string{
	fault.ModelNotFound:         "no route for this model",
	fault.RequestIDInUse:        "this request_id is in use for another generation",
	fault.QueueFull:             "the admission queue is full",
	fault.QueueTimeout:          "waited too long for a place",
	fault.ServerBusy:            "the server holds as much as it may; nothing new is started for now",
	fault.Draining:              "the server is shutting down",
	fault.PrepareFailed:         "preparing the generation failed",
	fault.UpstreamUnavailable:   "the upstream is not available",
	fault.UpstreamRateLimited:   "the upstream limits the rate of requests",
	fault.UpstreamQuota:         "the service's quota at the upstream is used up",
	fault.ContextLengthExceeded: "the request is longer than the model's context",
	fault.ContentRejected:       "the upstream rejected the content",
	fault.UpstreamRejected:      "the upstream rejected the request",
	fault.UpstreamUnauthorized:  "the upstream does not accept the service's credentials",
	fault.UpstreamModelNotFound: "the upstream does not know the route's model",
	fault.UpstreamBroken:        "the upstream's answer broke off",
	fault.UpstreamStalled:       "the upstream made no progress",
	fault.GenerationTimeout:     "the generation took too long",
	fault.GenerationTooLarge:    "the generation became too large",
	fault.SlowConsumer:          "the stream was not read for too long",
	fault.GenerationGone:        "the generation to resume is gone or never was",
	fault.ResumeMismatch:        "the generation to resume has other content",
	fault.ResumeOutOfRange:      "the generation to resume has not come that far",
}

// statusOf returns f as a caller sees it. last is the last sequence that the stream
// was handed; negative before headers, where there is none.
func statusOf(f *fault.Error, last int64) error {
	info := &errdetails.ErrorInfo{Reason: string(f.Reason), Domain: errorDomain, Metadata: maps.Clone(f.Metadata)}
	if last >= 0 {
		if info.Metadata == nil {
			info.Metadata = make(map[string]string, 1)
		}
		info.Metadata["last_sequence"] = strconv.FormatInt(last, 10)
	}
	details := []protoadapt.MessageV1{info}
	if f.RetryAfter > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(f.RetryAfter)})
	}
	return withDetails(status.New(kindCodes[f.Kind], texts[f.Reason]), details...)
}

// invalid returns an INVALID_ARGUMENT with one violation a field. There are count of
// them in all, violations are the first.
func invalid(violations []*errdetails.BadRequest_FieldViolation, count int) error {
	// The text is logged, and the names of extensions are the caller's words: they are
	// in the details alone.
	field := violations[0].GetField()
	if strings.HasPrefix(field, "extensions.") {
		field = "extensions"
	}
	text := "invalid request: " + field + ": " + violations[0].GetDescription()
	if count > 1 {
		text += " (and " + strconv.Itoa(count-1) + " more)"
	}
	return withDetails(status.New(codes.InvalidArgument, text), &errdetails.BadRequest{FieldViolations: violations})
}

func withDetails(s *status.Status, details ...protoadapt.MessageV1) error {
	with, err := s.WithDetails(details...)
	if err != nil {
		return s.Err() // never: no status here is OK, and every detail encodes
	}
	return with.Err()
}

// refusal returns the trailer that tells a retry policy when to come back, and a
// join's error as a caller sees it.
func refusal(err error) (metadata.MD, error) {
	f, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return nil, status.Error(codes.Internal, "internal error")
	}
	var trailer metadata.MD
	if f.RetryAfter > 0 {
		trailer = metadata.Pairs(pushback, strconv.FormatInt(f.RetryAfter.Milliseconds(), 10))
	}
	return trailer, statusOf(f, -1)
}

// deadlineSlack: a stream whose context ends this close to its own deadline ended by
// it, whatever cause is reported: the client's timer and ours don't agree to the
// millisecond, and clients reset the stream when theirs fires.
const deadlineSlack = time.Second

// ownDeadline reports whether ctx, which has ended, did so by its deadline.
func ownDeadline(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ok && time.Until(deadline) < deadlineSlack
}
