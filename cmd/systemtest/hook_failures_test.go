package systemtest

import (
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
	"github.com/sauron-stream/sauron/manager/fault"
)

// prepareFailed is what callers see of a hook that failed.
func prepareFailed(code codes.Code) failure {
	return failure{code: code, reason: fault.PrepareFailed}.with("last_sequence", "2") // queued, preparing
}

// A hookRow is one way in which a hook fails, and what callers see of it.
type hookRow struct {
	name   string
	behave func(call hookCall) (*sauronv1.GenerateRequest, error)
	want   codes.Code
	calls  int
}

// hookRows are all codes, and answers that break the contract.
func hookRows() []hookRow {
	passedOn := map[codes.Code]bool{
		codes.InvalidArgument: true, codes.PermissionDenied: true, codes.NotFound: true, codes.ResourceExhausted: true,
	}
	var rows []hookRow
	for code := codes.Canceled; code <= codes.Unauthenticated; code++ {
		row := hookRow{name: code.String(), behave: fails(code), want: codes.Unavailable, calls: 1}
		if passedOn[code] {
			row.want = code
		}
		if code == codes.Unavailable {
			row.calls = 2
		}
		rows = append(rows, row)
	}
	answers := func(name string, req *sauronv1.GenerateRequest) hookRow {
		behave := func(hookCall) (*sauronv1.GenerateRequest, error) { return req, nil }
		return hookRow{name, behave, codes.Unavailable, 1}
	}
	return append(rows,
		answers("no_request", nil),
		answers("no_messages", &sauronv1.GenerateRequest{Model: wordSecret}),
		hookRow{"silence", func(call hookCall) (*sauronv1.GenerateRequest, error) {
			return nil, call.wait(nil)
		}, codes.Unavailable, 1},
	)
}

// fails fails with code, in the hook's own words.
func fails(code codes.Code) func(hookCall) (*sauronv1.GenerateRequest, error) {
	return func(call hookCall) (*sauronv1.GenerateRequest, error) {
		s := status.New(code, wordSecret+": "+call.req.GetRequest().GetMessages()[0].GetContent())
		s, err := s.WithDetails(&errdetails.ErrorInfo{Reason: wordSecret, Domain: wordSecret})
		if err != nil {
			return nil, err
		}
		return nil, s.Err()
	}
}

// Every way in which a hook fails reaches the caller as the contract says: four
// codes as they are, all others as UNAVAILABLE, and no word of the hook. The
// upstream is never asked.
func TestHookFailures(t *testing.T) {
	t.Parallel()
	rows := hookRows()
	behave := make(map[string]hookRow, len(rows))
	for _, r := range rows {
		behave[r.name] = r
	}
	h := newHook(t, func(call hookCall) (*sauronv1.GenerateRequest, error) {
		return behave[call.req.GetRequest().GetModel()].behave(call)
	})
	up := steered(t)
	s := settings{file: `
upstreams:
- {name: fake, type: openai, base_url: "` + up.base() + `"}
routes:
- {model: "*", upstream: fake, prepare: {address: "` + h.address + `"}}
- {model: silence, upstream: fake, prepare: {address: "` + h.address + `", timeout: 500ms}}
- {model: down, upstream: fake, prepare: {address: "` + deadAddress(t) + `"}}
`}.serve(t)
	client := s.client(t)
	fail := func(t *testing.T, model string, want codes.Code) {
		t.Helper()
		req := ask("", promptSecret)
		req.Model = model
		got := open(patient(t), client, req).all()
		wantStatus(t, got.err, prepareFailed(want))
		if err := got.ordered(); err != nil || got.last() != 2 {
			t.Errorf("order: %v; last sequence %d", err, got.last())
		}
	}
	for _, tt := range rows {
		t.Run(tt.name, func(t *testing.T) {
			before, _ := h.numbers()
			fail(t, tt.name, tt.want)
			if after, _ := h.numbers(); after-before != tt.calls {
				t.Errorf("%d calls of the hook, want %d", after-before, tt.calls)
			}
		})
	}
	t.Run("down", func(t *testing.T) { fail(t, "down", codes.Unavailable) })
	if got := up.count(); got != 0 {
		t.Errorf("%d upstream requests, want none", got)
	}
}
