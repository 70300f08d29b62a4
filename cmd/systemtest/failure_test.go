package systemtest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"

	"github.com/sauron-stream/sauron/manager/fault"
)

// A failure is what a caller must be told.
type failure struct {
	code     codes.Code
	reason   fault.Reason      // empty: no ErrorInfo
	metadata map[string]string // of the ErrorInfo, all of it
	retry    time.Duration     // of the RetryInfo; 0: there is none
}

// with returns f with one more metadatum.
func (f failure) with(key, value string) failure {
	f.metadata = maps.Clone(f.metadata)
	if f.metadata == nil {
		f.metadata = make(map[string]string, 1)
	}
	f.metadata[key] = value
	return f
}

// wantStatus fails unless err is what want says, and nothing more.
func wantStatus(t *testing.T, err error, want failure) {
	t.Helper()
	s := status.Convert(err)
	if s.Code() != want.code {
		t.Fatalf("got %v, want %v %v", err, want.code, want.reason)
	}
	var infos, retries int
	for _, d := range s.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			infos++
			if d.GetReason() != string(want.reason) || d.GetDomain() != "sauron" || !maps.Equal(d.GetMetadata(), want.metadata) {
				t.Errorf("ErrorInfo %v, want %v in sauron with %v", d, want.reason, want.metadata)
			}
		case *errdetails.RetryInfo:
			retries++
			got := d.GetRetryDelay().AsDuration()
			if about := want.retry == hint && got >= hint/2 && got < hint*3/2; got != want.retry && !about {
				t.Errorf("RetryInfo %v, want %v", got, want.retry)
			}
		default:
			t.Errorf("detail %v", d)
		}
	}
	if (infos == 1) != (want.reason != "") || infos > 1 {
		t.Errorf("%d ErrorInfos, reason %q", infos, want.reason)
	}
	if (retries == 1) != (want.retry != 0) || retries > 1 {
		t.Errorf("%d RetryInfos, want one: %v", retries, want.retry != 0)
	}
	wantNoSecrets(t, "the status", prototext.Format(s.Proto()))
}

// wantPushback fails unless gRPC is told what the status of the same refusal says.
func wantPushback(t *testing.T, refused *stream) {
	t.Helper()
	var want []string
	for _, d := range status.Convert(refused.err).Details() {
		if info, ok := d.(*errdetails.RetryInfo); ok {
			want = append(want, fmt.Sprint(info.GetRetryDelay().AsDuration().Milliseconds()))
		}
	}
	if got := refused.call.Trailer()["grpc-retry-pushback-ms"]; !slices.Equal(got, want) {
		t.Errorf("pushback %v, want %v", got, want)
	}
}

// What no caller's status and no log may hold, wherever it comes from. Every
// prompt, key and word of an upstream or a hook in the tests of failures has one.
const (
	promptSecret = "prompt-3f9c"
	keySecret    = "key-81d0"
	wordSecret   = "word-57ab" // what an upstream or a hook says about a failure
)

// wantNoSecrets fails if text holds a secret.
func wantNoSecrets(t *testing.T, what, text string) {
	t.Helper()
	for _, secret := range []string{promptSecret, keySecret, wordSecret} {
		if strings.Contains(text, secret) {
			t.Errorf("%s holds %q:\n%s", what, secret, text)
		}
	}
}
