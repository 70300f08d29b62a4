package client

import (
	"errors"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sauron-stream/sauron/manager/fault"
)

// errorDomain is the domain of the service's own google.rpc.ErrorInfo.
const errorDomain = "sauron"

// errCut is a stream that ended OK without its last event.
var errCut = errors.New("client: the stream ended before the answer did")

// Reason returns the reason of the service's ErrorInfo in err, such as
// "GENERATION_GONE", or "" if it has none.
func Reason(err error) string {
	if s, ok := status.FromError(err); ok {
		for _, d := range s.Details() {
			if info, ok := d.(*errdetails.ErrorInfo); ok && info.GetDomain() == errorDomain {
				return info.GetReason()
			}
		}
	}
	return ""
}

// retryDelay returns the server's RetryInfo in err, or 0.
func retryDelay(err error) time.Duration {
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.RetryInfo); ok {
			return info.GetRetryDelay().AsDuration()
		}
	}
	return 0
}

// A verdict says what follows from the error that ended a stream.
type verdict uint8

const (
	final  verdict = iota // it is the generation's, or the request's: the caller is told
	again                 // the stream was lost: go on in the same generation
	afresh                // there is no such generation: only another can be had
)

// judge returns the verdict on err.
func judge(err error) verdict {
	switch reason := fault.Reason(Reason(err)); {
	case reason == fault.GenerationGone:
		return afresh
	case reason == fault.Draining, reason == fault.SlowConsumer:
		return again
	case reason != "" && retryDelay(err) > 0:
		return afresh // refused, or ended before its first token: nothing is kept of it
	case reason != "":
		return final
	}
	// What has no reason is not the service's word, with a RetryInfo or without: the
	// connection or a proxy says so. errCut is UNKNOWN.
	switch status.Code(err) { //nolint:exhaustive // the others are about the request
	case codes.Unavailable, codes.Internal, codes.Unknown, codes.Canceled, codes.Aborted:
		return again
	}
	return final
}
