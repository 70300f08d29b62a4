package systemtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
	"github.com/sauron-stream/sauron/manager/fault"
)

// hint is when the service says to come back, by half more or less.
const hint = time.Second

// A refusalRow is one way in which the service itself turns a request away while
// another one, of id "first" for "A", goes on.
type refusalRow struct {
	name   string
	flags  []string
	hooked bool // the other one is in the hook; otherwise it has its first delta
	req    *sauronv1.GenerateRequest
	want   failure
	inside bool // it was attached before it was turned away
}

// ownRefusals are the service's own limits.
func ownRefusals() []refusalRow {
	exhausted := func(reason fault.Reason) failure {
		return failure{code: codes.ResourceExhausted, reason: reason, retry: hint}
	}
	unknown := ask("", "B")
	unknown.Model = "unknown"
	return []refusalRow{
		{name: "model", req: unknown, want: failure{code: codes.NotFound, reason: fault.ModelNotFound}},
		{name: "id_in_use", req: ask("first", "B"), want: failure{code: codes.AlreadyExists, reason: fault.RequestIDInUse}},
		{
			name: "queue_full", flags: []string{"--max-concurrent-requests=1", "--queue-capacity=0"},
			hooked: true, req: ask("", "B"), want: exhausted(fault.QueueFull),
		},
		{
			name: "queue_timeout", flags: []string{"--max-concurrent-llm-streams=1", "--max-queue-wait=300ms"},
			req: ask("", "B"), want: exhausted(fault.QueueTimeout).with("last_sequence", "3"), inside: true,
		},
		{name: "busy", flags: []string{"--max-log-bytes=100"}, req: ask("", "B"), want: exhausted(fault.ServerBusy)},
	}
}

// What the service turns away before a generation starts has no headers, its reason,
// and a hint when to come back where that makes sense. Nothing reaches the upstream.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, tt := range ownRefusals() {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			up := steered(t)
			release := make(chan struct{})
			h := newHook(t, func(call hookCall) (*sauronv1.GenerateRequest, error) {
				return call.req.GetRequest(), call.wait(release)
			})
			prepare := ""
			if tt.hooked {
				prepare = `, prepare: {address: "` + h.address + `"}`
			}
			s := settings{flags: tt.flags, file: `
upstreams:
- {name: fake, type: openai, base_url: "` + up.base() + `"}
routes:
- {model: default, upstream: fake` + prepare + `}
`}.serve(t)
			client := s.client(t)
			first := begin(t, client, ask("first", "A"))
			long := strings.Repeat("x", 200)
			if !tt.hooked {
				x := up.next(t)
				x.headers()
				x.text(long)
				first.untilText(t, long)
				defer func() {
					x.finish()
					first.wantCompleted(t, long)
				}()
			} else {
				s.counts(t, stage("preparing", 1))
				defer func() {
					close(release)
					up.next(t).answer("late")
					first.wantCompleted(t, "late")
				}()
			}

			got := open(patient(t), client, tt.req).all()
			wantStatus(t, got.err, tt.want)
			if header, _ := got.call.Header(); (len(header["sauron-generation-id"]) == 1) != tt.inside {
				t.Errorf("headers %v", header)
			}
			if tt.inside {
				if pushback := got.call.Trailer()["grpc-retry-pushback-ms"]; pushback != nil {
					t.Errorf("pushback %v after headers", pushback)
				}
			} else {
				wantPushback(t, got)
			}
			if asked := up.count(); asked > 1 {
				t.Errorf("%d upstream requests", asked)
			}
		})
	}
}

// A request that breaks the contract is told each field that does.
func TestInvalidRequest(t *testing.T) {
	t.Parallel()
	up := steered(t)
	s := serve(t, up, "--max-request-bytes=64KiB")
	req := &sauronv1.GenerateRequest{RequestId: "no id", Messages: []*sauronv1.Message{{Content: promptSecret}}}
	got := open(patient(t), s.client(t), req).all()
	st := status.Convert(got.err)
	var fields []string
	for _, d := range st.Details() {
		if bad, ok := d.(*errdetails.BadRequest); ok {
			for _, v := range bad.GetFieldViolations() {
				fields = append(fields, v.GetField())
			}
		}
	}
	slices.Sort(fields)
	if want := []string{"messages[0].role", "model", "request_id"}; st.Code() != codes.InvalidArgument || !slices.Equal(fields, want) {
		t.Errorf("%v with violations of %q, want %q", got.err, fields, want)
	}
	wantNoSecrets(t, "the status", st.String())

	got = open(patient(t), s.client(t), ask("", strings.Repeat("x", 64<<10))).all()
	wantStatus(t, got.err, failure{code: codes.ResourceExhausted})
	if asked := up.count(); asked != 0 {
		t.Errorf("%d upstream requests, want none", asked)
	}
}

// A caller that takes nothing is let go, and told what it was handed. Its generation
// goes on for the grace, so it can come back.
func TestSlowConsumer(t *testing.T) {
	t.Parallel()
	up := steered(t)
	s := serve(t, up, "--slow-consumer-timeout=3s")
	slow := begin(t, s.client(t, fixedWindow), ask("slow", "A"))
	x := up.next(t)
	x.headers()
	x.text(flood...)
	s.counts(t, count{`sauron_requests_total{outcome="slow",participation="leader",route="*"}`, 1})
	slow.all()
	want := failure{code: codes.Aborted, reason: fault.SlowConsumer}
	wantStatus(t, slow.err, want.with("last_sequence", strconv.FormatInt(slow.last(), 10)))
	if err := slow.ordered(); err != nil {
		t.Error(err)
	}
	again := begin(t, s.client(t), ask("slow", "A"))
	x.finish()
	again.wantCompleted(t, strings.Join(flood, ""))
	if asked := up.count(); asked != 1 {
		t.Errorf("%d upstream requests, want 1", asked)
	}
}

// Every reason that the contract has is seen by a caller in one of these tests.
func TestReasonsAreComplete(t *testing.T) {
	t.Parallel()
	seen := map[fault.Reason]string{
		fault.PrepareFailed:     "TestHookFailures",
		fault.UpstreamStalled:   "TestSilentUpstream",
		fault.GenerationTimeout: "TestGenerationTimeout",
		fault.SlowConsumer:      "TestSlowConsumer",
		fault.Draining:          "TestDrain",
	}
	for _, r := range slices.Concat(refusalRows(), brokenRows()) {
		seen[r.want.reason] = "TestUpstreamFailures"
	}
	for _, r := range ownRefusals() {
		seen[r.want.reason] = "TestRefusals"
	}
	for _, want := range resumeRefusals("g") {
		if want.reason != "" {
			seen[want.reason] = "TestResumeRefused"
		}
	}
	all := reasons(t)
	if len(all) == 0 {
		t.Fatal("no reasons found")
	}
	for _, r := range all {
		if seen[r] == "" {
			t.Errorf("no test sees %s", r)
		}
		delete(seen, r)
	}
	if len(seen) > 0 {
		t.Errorf("no reasons: %v", slices.Sorted(maps.Keys(seen)))
	}
}

// reasons returns the constants of type Reason in package fault.
func reasons(t *testing.T) []fault.Reason {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../../manager/fault/fault.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var all []fault.Reason
	for node := range ast.Preorder(file) {
		spec, ok := node.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			continue
		}
		kind, isNamed := spec.Type.(*ast.Ident)
		value, isLiteral := spec.Values[0].(*ast.BasicLit)
		if !isNamed || !isLiteral || kind.Name != "Reason" {
			continue
		}
		text, err := strconv.Unquote(value.Value)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, fault.Reason(text))
	}
	return all
}
