package server

import (
	"context"
	"errors"
	"fmt"
	"go/constant"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sauron-stream/sauron/manager/fault"
)

const faultDir = "../manager/fault"

// reasonCodes is the contract's table of ends.
var reasonCodes = map[fault.Reason]codes.Code{
	"MODEL_NOT_FOUND":          codes.NotFound,
	"REQUEST_ID_IN_USE":        codes.AlreadyExists,
	"QUEUE_FULL":               codes.ResourceExhausted,
	"QUEUE_TIMEOUT":            codes.ResourceExhausted,
	"SERVER_BUSY":              codes.ResourceExhausted,
	"DRAINING":                 codes.Unavailable,
	"PREPARE_FAILED":           codes.Unavailable,
	"UPSTREAM_UNAVAILABLE":     codes.Unavailable,
	"UPSTREAM_RATE_LIMITED":    codes.ResourceExhausted,
	"UPSTREAM_QUOTA":           codes.ResourceExhausted,
	"CONTEXT_LENGTH_EXCEEDED":  codes.InvalidArgument,
	"CONTENT_REJECTED":         codes.InvalidArgument,
	"UPSTREAM_REJECTED":        codes.InvalidArgument,
	"UPSTREAM_UNAUTHORIZED":    codes.FailedPrecondition,
	"UPSTREAM_MODEL_NOT_FOUND": codes.FailedPrecondition,
	"UPSTREAM_BROKEN":          codes.Unavailable,
	"UPSTREAM_STALLED":         codes.Unavailable,
	"GENERATION_TIMEOUT":       codes.DeadlineExceeded,
	"GENERATION_TOO_LARGE":     codes.ResourceExhausted,
	"SLOW_CONSUMER":            codes.Aborted,
	"GENERATION_GONE":          codes.FailedPrecondition,
	"RESUME_MISMATCH":          codes.FailedPrecondition,
	"RESUME_OUT_OF_RANGE":      codes.OutOfRange,
}

// allReasons returns the reasons that package fault declares.
func allReasons(t *testing.T) []fault.Reason {
	t.Helper()
	var all []fault.Reason
	for _, v := range constants(t, faultDir, "Reason") {
		all = append(all, fault.Reason(constant.StringVal(v)))
	}
	slices.Sort(all)
	return all
}

// Every reason has the contract's code and a text of its own that says nothing of
// the inside.
func TestReasons(t *testing.T) {
	reasons := allReasons(t)
	if listed := slices.Sorted(maps.Keys(reasonCodes)); !slices.Equal(listed, reasons) {
		t.Errorf("package fault has the reasons\n%q\nreasonCodes, the contract's table, has\n%q", reasons, listed)
	}
	neutral := regexp.MustCompile(`^[a-z][a-zA-Z_'; -]{10,80}$`) // a phrase: no format, no number, no address
	seen := make(map[string]fault.Reason)
	for _, reason := range reasons {
		s := status.Convert(statusOf(fault.New(reason, errors.New(secret)), -1))
		if s.Code() != reasonCodes[reason] {
			t.Errorf("%s has code %s, want %s", reason, s.Code(), reasonCodes[reason])
		}
		if !neutral.MatchString(s.Message()) {
			t.Errorf("%s has the text %q: give it a neutral one in texts", reason, s.Message())
		}
		if other, ok := seen[s.Message()]; ok {
			t.Errorf("%s and %s have the same text", reason, other)
		}
		seen[s.Message()] = reason
		if got := errorInfo(s); got.GetReason() != string(reason) || got.GetDomain() != "sauron" || len(got.GetMetadata()) != 0 {
			t.Errorf("%s has the ErrorInfo %v", reason, got)
		}
		if len(s.Details()) != 1 {
			t.Errorf("%s has %d details, want ErrorInfo alone", reason, len(s.Details()))
		}
	}
	for reason := range texts {
		if !slices.Contains(reasons, reason) {
			t.Errorf("texts has %q, package fault has not", reason)
		}
	}
}

// Every kind has a code of its own, and none is OK: a status of it would be no error.
func TestKinds(t *testing.T) {
	seen := make(map[codes.Code]string)
	for name, kind := range numbers[fault.Kind](t, faultDir, "Kind") {
		code := kindCodes[kind]
		if other, ok := seen[code]; ok {
			t.Errorf("%s and %s are both %s", name, other, code)
		}
		seen[code] = name
		if code == codes.OK {
			t.Errorf("%s has no code", name)
		}
	}
}

// A hook's own refusals keep their code, under the one reason and the one text.
func TestPrepareFailedKeepsItsKind(t *testing.T) {
	for kind, code := range map[fault.Kind]codes.Code{
		fault.Unavailable: codes.Unavailable, fault.Invalid: codes.InvalidArgument, fault.Denied: codes.PermissionDenied,
		fault.NotFound: codes.NotFound, fault.Exhausted: codes.ResourceExhausted,
	} {
		f := fault.New(fault.PrepareFailed, errors.New(secret))
		f.Kind = kind
		s := wantStatus(t, statusOf(f, -1), code, "PREPARE_FAILED")
		if want := "preparing the generation failed"; s.Message() != want {
			t.Errorf("%s: text %q, want %q", code, s.Message(), want)
		}
	}
}

func TestStatusDetails(t *testing.T) {
	for _, tt := range []struct {
		name     string
		retry    time.Duration
		metadata map[string]string
		last     int64
		want     map[string]string
	}{
		{"nothing", 0, nil, -1, nil},
		{"retry", 1500 * time.Millisecond, nil, -1, nil},
		{"last_sequence_0", 0, nil, 0, map[string]string{"last_sequence": "0"}},
		{"last_sequence", 0, nil, 12345678901, map[string]string{"last_sequence": "12345678901"}},
		{"metadata", 0, map[string]string{"upstream_status": "503"}, -1, map[string]string{"upstream_status": "503"}},
		{
			"all", time.Nanosecond,
			map[string]string{"code": "a.b", "param": "c"},
			7,
			map[string]string{"code": "a.b", "param": "c", "last_sequence": "7"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := fault.New(fault.UpstreamBroken, nil)
			f.RetryAfter, f.Metadata = tt.retry, tt.metadata
			s := wantStatus(t, statusOf(f, tt.last), codes.Unavailable, "UPSTREAM_BROKEN")
			if got := errorInfo(s).GetMetadata(); !maps.Equal(got, tt.want) {
				t.Errorf("metadata %v, want %v", got, tt.want)
			}
			details := 1
			if tt.retry > 0 {
				details = 2
			}
			retry := detail[*errdetails.RetryInfo](s)
			if len(s.Details()) != details || (retry != nil) != (tt.retry > 0) || retry.GetRetryDelay().AsDuration() != tt.retry {
				t.Errorf("%d details, RetryInfo %v, want %d, %v", len(s.Details()), retry, details, tt.retry)
			}
		})
	}
}

// What a join refuses is Trailers-Only; a retry policy is told when to come back if
// that makes sense, and otherwise nothing.
func TestRefusal(t *testing.T) {
	for _, tt := range []struct {
		retry time.Duration
		want  []string
	}{
		{0, nil},
		{time.Millisecond, []string{"1"}},
		{1500 * time.Millisecond, []string{"1500"}},
		{2 * time.Hour, []string{"7200000"}},
	} {
		t.Run(tt.retry.String(), func(t *testing.T) {
			f := fault.New(fault.QueueFull, errors.New(secret))
			f.RetryAfter = tt.retry
			for _, err := range []error{f, fmt.Errorf("joining: %w", f)} {
				trailer, got := refusal(err)
				s := wantStatus(t, got, codes.ResourceExhausted, "QUEUE_FULL")
				if retry := detail[*errdetails.RetryInfo](s); retry.GetRetryDelay().AsDuration() != tt.retry {
					t.Errorf("RetryInfo %v, want %v", retry, tt.retry)
				}
				if _, ok := errorInfo(s).GetMetadata()["last_sequence"]; ok {
					t.Error("a last sequence, of no stream")
				}
				if got := trailer.Get("grpc-retry-pushback-ms"); !slices.Equal(got, tt.want) || len(trailer) != len(tt.want) {
					t.Errorf("trailer %v, want a pushback of %q alone", trailer, tt.want)
				}
			}
		})
	}
}

// What is no fault is the server's own trouble: the caller learns nothing of it.
func TestRefusalOfOtherErrors(t *testing.T) {
	trailer, err := refusal(errors.New(secret))
	s := wantStatus(t, err, codes.Internal, "")
	if s.Message() != "internal error" || len(s.Details()) != 0 || trailer != nil {
		t.Errorf("got %v, %v", s, trailer)
	}
}

// The cause is for the log alone, whatever it wraps.
func TestCauseStaysInside(t *testing.T) {
	causes := []error{
		errors.New(secret),
		fmt.Errorf("%s: %w", secret, context.DeadlineExceeded),
		status.Error(codes.DataLoss, secret),
		fault.New(fault.UpstreamQuota, errors.New(secret)),
	}
	for _, reason := range allReasons(t) {
		for _, cause := range causes {
			f := fault.New(reason, cause)
			f.RetryAfter, f.Metadata = time.Second, map[string]string{"code": "x"}
			trailer, refused := refusal(f)
			for _, err := range []error{statusOf(f, 3), statusOf(f, -1), refused} {
				s := wantStatus(t, err, reasonCodes[reason], string(reason))
				if said := fmt.Sprint(err, s.Proto(), trailer); strings.Contains(said, secret) {
					t.Errorf("%s tells its cause: %s", reason, said)
				}
				if errors.Is(err, cause) {
					t.Errorf("%s wraps its cause", reason)
				}
			}
		}
	}
}

// Every reader of a generation gets the same fault, at its own last sequence: nobody
// changes it.
func TestSharedFault(t *testing.T) {
	f := fault.New(fault.UpstreamBroken, nil)
	f.Metadata = map[string]string{"upstream_status": "200"}
	var readers sync.WaitGroup
	for i := range 50 {
		readers.Go(func() {
			s := status.Convert(statusOf(f, int64(i)))
			want := map[string]string{"upstream_status": "200", "last_sequence": fmt.Sprint(i)}
			if got := errorInfo(s).GetMetadata(); !maps.Equal(got, want) {
				t.Errorf("metadata %v, want %v", got, want)
			}
		})
	}
	readers.Wait()
	if want := map[string]string{"upstream_status": "200"}; !maps.Equal(f.Metadata, want) {
		t.Errorf("the fault's metadata is now %v", f.Metadata)
	}
}

// A stream whose context ended within a second of its deadline ended by it.
func TestOwnDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if ownDeadline(t.Context()) {
			t.Error("a context without a deadline ended by it")
		}
		for _, tt := range []struct {
			left time.Duration
			want bool
		}{
			{time.Minute, false},
			{time.Second, false},
			{time.Second - 1, true},
			{0, true},
			{-time.Minute, true},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), tt.left)
			if got := ownDeadline(ctx); got != tt.want {
				t.Errorf("%v before its deadline: %v, want %v", tt.left, got, tt.want)
			}
			cancel()
		}
	})
}
