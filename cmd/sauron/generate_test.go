package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

func TestGeneratePrintsTheText(t *testing.T) {
	fake, address := serveFake(t, answer(text(1, "Hello, "), text(2, "world"), completed(3)))
	s := newSession()
	s.check(t, s.do(t, "generate", "--address", address, "say hello"), exitOK, "Hello, world\n", "")

	requests, cancels := fake.seen()
	want := &sauronv1.GenerateRequest{
		RequestId: requests[0].GetRequestId(),
		Model:     "default",
		Messages:  []*sauronv1.Message{{Role: sauronv1.Role_ROLE_USER, Content: "say hello"}},
	}
	if diff := cmp.Diff(want, requests[0], protocmp.Transform()); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	if len(want.GetRequestId()) < 20 {
		t.Errorf("request id %q can be guessed", want.GetRequestId())
	}
	if len(requests) != 1 || len(cancels) != 0 {
		t.Errorf("%d requests and %d cancels, want 1 and 0", len(requests), len(cancels))
	}
}

func TestGenerateFlags(t *testing.T) {
	fake, address := serveFake(t, answer(completed(1)))
	s := newSession()
	s.stdin = strings.NewReader("from a\npipe")
	s.check(t, s.do(t, "generate", "-", "--model=m", "--address="+address, "--request-id", "r-1", "--coalescing", "replay"), exitOK, "", "")
	requests, _ := fake.seen()
	if r := requests[0]; r.GetModel() != "m" || r.GetRequestId() != "r-1" || r.GetMessages()[0].GetContent() != "from a\npipe" ||
		r.GetCoalescing() != sauronv1.Coalescing_COALESCING_REPLAY {
		t.Errorf("request %v", r)
	}
}

func TestGenerateKeepsOutputClean(t *testing.T) {
	reasoning := func(s string) *sauronv1.Event {
		return &sauronv1.Event{Sequence: 1, Kind: &sauronv1.Event_ReasoningDelta{ReasoningDelta: s}}
	}
	refusal := &sauronv1.Event{Kind: &sauronv1.Event_RefusalDelta{RefusalDelta: "I won't.\n"}}
	call := func(index int32, id, name, arguments string) *sauronv1.Event {
		return &sauronv1.Event{Kind: &sauronv1.Event_ToolCallDelta{ToolCallDelta: &sauronv1.ToolCallDelta{
			Index: index, Id: id, Name: name, ArgumentsDelta: arguments,
		}}}
	}
	other := &sauronv1.Event{Kind: &sauronv1.Event_UpstreamExtensionJson{UpstreamExtensionJson: `{"a":1}`}}
	tests := []struct {
		name     string
		events   []*sauronv1.Event
		out, err string
	}{
		{"nothing", []*sauronv1.Event{completed(1)}, "", ""},
		{"newline", []*sauronv1.Event{text(1, "a\n"), completed(1)}, "a\n", ""},
		{"refusal", []*sauronv1.Event{refusal, completed(1)}, "I won't.\n", ""},
		{"extension", []*sauronv1.Event{other, text(1, "a"), completed(1)}, "a\n", ""},
		{"reasoning", []*sauronv1.Event{reasoning("hm, "), reasoning("so"), text(1, "a"), completed(1)}, "a\n", "hm, so\n"},
		{"reasoning_alone", []*sauronv1.Event{reasoning("hm"), completed(1)}, "", "hm\n"},
		{
			"tool_calls",
			[]*sauronv1.Event{
				text(1, "wait"), call(1, "c2", "now", ""), call(0, "c1", "sum", `{"a":`), call(0, "", "", `1}`),
				call(4, "c5", "e", ""), call(3, "c4", "d", ""), call(2, "c3", "c", ""), completed(1),
			},
			"wait\ntool call c1: sum({\"a\":1})\ntool call c2: now()\n" +
				"tool call c3: c()\ntool call c4: d()\ntool call c5: e()\n", "",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for i, e := range tt.events {
				e.Sequence = int64(i + 1)
			}
			_, address := serveFake(t, answer(tt.events...))
			s := newSession()
			s.check(t, s.do(t, "generate", "--address", address, "x"), exitOK, tt.out, tt.err)
		})
	}
}

// On a terminal both outputs are one: the answer begins below the reasoning.
func TestGenerateOnATerminal(t *testing.T) {
	reasoning := &sauronv1.Event{Sequence: 1, Kind: &sauronv1.Event_ReasoningDelta{ReasoningDelta: "hm"}}
	_, address := serveFake(t, answer(reasoning, text(2, "a"), completed(3)))
	s := newSession()
	s.stderr = s.out
	s.check(t, s.do(t, "generate", "--address", address, "x"), exitOK, "hm\na\n", "")
}

func TestGenerateJSON(t *testing.T) {
	usage := &sauronv1.Event{Sequence: 2, Kind: &sauronv1.Event_Usage{Usage: &sauronv1.Usage{PromptTokens: 3, CompletionTokens: 1}}}
	_, address := serveFake(t, answer(text(1, "a\n"), usage, completed(3)))
	s := newSession()
	want := `{"started":{"requestId":"r","generationId":"g1","participation":"PARTICIPATION_LEADER"}}
{"sequence":"1","textDelta":"a\n"}
{"sequence":"2","usage":{"promptTokens":"3","completionTokens":"1"}}
{"sequence":"3","finished":{"outcome":"OUTCOME_COMPLETED"}}
`
	s.check(t, s.do(t, "generate", "--json", "--request-id=r", "--address", address, "x"), exitOK, want, "")
}

func TestGenerateFails(t *testing.T) {
	failure := func(code codes.Code, message string, details ...protoadapt.MessageV1) error {
		s, err := status.New(code, message).WithDetails(details...)
		if err != nil {
			t.Fatal(err)
		}
		return s.Err()
	}
	tests := []struct {
		name     string
		events   []*sauronv1.Event
		err      error
		out, msg string
	}{
		{"status", nil, failure(codes.NotFound, "no route"), "", "NOT_FOUND: no route"},
		{
			"reason", nil, failure(codes.NotFound, "no route", &errdetails.ErrorInfo{Reason: "MODEL_NOT_FOUND", Domain: "sauron"}),
			"", "NOT_FOUND MODEL_NOT_FOUND: no route",
		},
		{
			"retry",
			[]*sauronv1.Event{},
			failure(codes.ResourceExhausted, "slow down",
				&errdetails.RetryInfo{RetryDelay: durationpb.New(1500 * time.Millisecond)},
				&errdetails.ErrorInfo{Reason: "UPSTREAM_RATE_LIMITED", Domain: "sauron"}),
			"", "RESOURCE_EXHAUSTED UPSTREAM_RATE_LIMITED: slow down (try again after 1.5s)",
		},
		{
			"violations", nil, failure(codes.InvalidArgument, "invalid", &errdetails.BadRequest{
				FieldViolations: []*errdetails.BadRequest_FieldViolation{
					{Field: "model", Description: "is required"}, {Field: "request_id", Description: "must match"},
				},
			}),
			"", "INVALID_ARGUMENT: model: is required; request_id: must match",
		},
		{"broken", []*sauronv1.Event{text(1, "so far")}, failure(codes.Unavailable, "broke\noff"), "so far\n", "UNAVAILABLE: broke off"},
		{"no_finish", []*sauronv1.Event{text(1, "so far")}, nil, "so far\n", "client: the stream ended before the answer did"},
		{"outcome", []*sauronv1.Event{finished(1, 77)}, nil, "", "the server answered 77"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, address := serveFake(t, func(s *fakeStream) error {
				if tt.events == nil {
					return tt.err
				}
				if err := errors.Join(s.start(), s.send(tt.events...)); err != nil {
					return err
				}
				return tt.err
			})
			s := newSession()
			s.check(t, s.do(t, "generate", "--address", address, "x"), exitFailed, tt.out, "sauron generate: "+tt.msg+"\n")
		})
	}
}

// Where nobody is there the command says so at once, and once, however long it would go
// on trying to get a lost answer back.
func TestGenerateWithoutServer(t *testing.T) {
	for _, args := range [][]string{nil, {"--count=9"}} {
		s := newSession()
		s.budget = time.Hour
		exit := s.do(t, append([]string{"generate", "--address", "127.0.0.1:1", "x"}, args...)...)
		got := s.err.String()
		if exit != exitFailed || !strings.HasPrefix(got, "sauron generate: UNAVAILABLE: ") ||
			!strings.HasSuffix(got, "connection refused\"\n") || strings.Count(got, "\n") != 1 {
			t.Errorf("%v: exit status %d, standard error:\n%s", args, exit, got)
		}
		if out := s.out.String(); out != "" {
			t.Errorf("%v: standard output:\n%s", args, out)
		}
	}
}

// What is retried, and from where, is said on standard error.
func TestGenerateSaysThatItRetries(t *testing.T) {
	_, address := serveFake(t, func(s *fakeStream) error {
		switch s.index {
		case 0:
			return status.Error(codes.Internal, "lost")
		case 1:
			if err := answer(text(1, "a"))(s); err != nil {
				return err
			}
			return status.Error(codes.Unavailable, "lost")
		}
		return answer(text(2, "b"), completed(3))(s)
	})
	s := newSession()
	s.budget = longTime
	s.check(t, s.do(t, "generate", "--address", address, "x"), exitOK, "ab\n",
		"sauron generate: INTERNAL: lost; trying again\n"+
			"\nsauron generate: UNAVAILABLE: lost; going on after event 1\n")
}

func TestGenerateUsage(t *testing.T) {
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"no_text", nil, "one text is needed; quote it"},
		{"two_texts", []string{"a", "b"}, "one text is needed; quote it"},
		{"dashes", []string{"--", "a", "--json"}, "one text is needed; quote it"},
		{"empty_text", []string{" "}, "the text is empty"},
		{"empty_stdin", []string{"-"}, "the text is empty"},
		{"not_utf8", []string{"\xff"}, "the text is not UTF-8"},
		{"flag", []string{"--colour", "a"}, "flag provided but not defined: -colour"},
		{"flag_after_text", []string{"a", "--colour"}, "flag provided but not defined: -colour"},
		{"coalescing", []string{"--coalescing=unspecified", "a"}, `invalid value "unspecified" for flag -coalescing: must be off, live or replay`},
		{"count_zero", []string{"--count=0", "a"}, `invalid value "0" for flag -count: must be from 1 to 10000`},
		{"count_text", []string{"--count=x", "a"}, `invalid value "x" for flag -count: must be from 1 to 10000`},
		{"count_json", []string{"--count=2", "--json", "a"}, "--json and --count: only one of them"},
		{"request_id", []string{"--request-id=", "a"}, "--request-id: must not be empty"},
		{"address", []string{"--address=", "a"}, "--address: must not be empty"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSession()
			status := s.do(t, append([]string{"generate"}, tt.args...)...)
			s.check(t, status, exitUsage, "", "sauron generate: "+tt.want+"; see `sauron generate --help`\n")
		})
	}
}

// A text that looks like a flag comes after two dashes.
func TestGenerateDashes(t *testing.T) {
	fake, address := serveFake(t, answer(completed(1)))
	s := newSession()
	s.check(t, s.do(t, "generate", "--address", address, "--", "--json"), exitOK, "", "")
	if requests, _ := fake.seen(); requests[0].GetMessages()[0].GetContent() != "--json" {
		t.Errorf("request %v", requests[0])
	}
}
