package server

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/durationpb"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
	"github.com/sauron-stream/sauron/manager/prepare"
)

// A whole answer on the wire: headers at once, Started, each stage once and in
// order, deltas, usage, Finished, OK.
func TestGenerate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startInBubble(t, nil)
		begin := time.Now()
		g := generate(t.Context(), t, r.client(), ask("my-id", "hello"))
		header, err := g.stream.Header()
		if err != nil {
			t.Fatal(err)
		}
		if got := time.Since(begin); got != 0 {
			t.Errorf("headers after %v, want at once", got)
		}
		// The first message has Started and what the log had when the caller joined.
		if g.next(); len(g.events) < 2 || g.events[1].GetStageChanged().GetStage() != sauronv1.Stage_STAGE_QUEUED {
			t.Errorf("the first message has %v", g.events)
		}
		text := g.completed(t)
		if len(text) == 0 {
			t.Error("no text")
		}
		started := g.started()
		if started.GetRequestId() != "my-id" || started.GetGenerationId() == "" ||
			started.GetParticipation() != sauronv1.Participation_PARTICIPATION_LEADER {
			t.Errorf("started %v", started)
		}
		if !slices.Equal(header.Get("sauron-request-id"), []string{"my-id"}) ||
			!slices.Equal(header.Get("sauron-generation-id"), []string{started.GetGenerationId()}) {
			t.Errorf("headers %v", header)
		}
		var stages []sauronv1.Stage
		for _, e := range g.events {
			if s := e.GetStageChanged(); s != nil {
				stages = append(stages, s.GetStage())
			}
		}
		if want := []sauronv1.Stage{1, 2, 3, 4}; !slices.Equal(stages, want) {
			t.Errorf("stages %v, want %v", stages, want)
		}
		n := len(g.events)
		if usage := g.events[n-2].GetUsage(); usage.GetCompletionTokens() != 20 {
			t.Errorf("the last but one is %v, want usage of 20 tokens", g.events[n-2])
		}
		if f := g.finished(); f.GetFinishReason() != sauronv1.FinishReason_FINISH_REASON_STOP || f.GetUpstreamModel() == "" {
			t.Errorf("finished %v", f)
		}
	})
}

func TestServerMakesAnID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startInBubble(t, nil)
		c := r.client()
		g := generate(t.Context(), t, c, ask("", "hello"))
		if !g.until(isText) {
			t.Fatal(g.err)
		}
		id := g.started().GetRequestId()
		if !requestIDPattern.MatchString(id) {
			t.Errorf("id %q", id)
		}
		cancel(t, c, id, stateCancelled)
		g.cancelled(t)
	})
}

// A cancelled leader and a cancelled follower get the same, byte for byte, but for
// their own ids.
func TestCancelOnTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startInBubble(t, func(o *options) { o.sim.Tokens = 1000 })
		c := r.client()
		leader := generate(t.Context(), t, c, ask("leader", "A"))
		leader.until(isText)
		follower := generate(t.Context(), t, c, ask("follower", "A"))
		other := generate(t.Context(), t, c, ask("other", "A"))
		follower.until(isText)
		cancel(t, c, "leader", stateCancelled)
		cancel(t, c, "follower", stateCancelled)
		leader.cancelled(t)
		follower.cancelled(t)
		if a, b := leader.events[len(leader.events)-1], follower.events[len(follower.events)-1]; a.String() != b.String() {
			t.Errorf("leader got %v, follower %v", a, b)
		}
		if a, b := leader.stream.Trailer(), follower.stream.Trailer(); a.Len() != b.Len() {
			t.Errorf("leader's trailer %v, follower's %v", a, b)
		}
		if text := other.completed(t); len(text) <= len(leader.text()) {
			t.Error("the other's answer was cut")
		}
		// A late retry of both is answered alike too, with the generation's id.
		for id, want := range map[string]*received{"leader": leader, "follower": follower} {
			g := generate(t.Context(), t, c, ask(id, "A"))
			g.cancelled(t)
			if g.started().String() != want.started().String() || len(g.events) != 2 {
				t.Errorf("%s: late retry got %v", id, g.events)
			}
			cancel(t, c, id, stateCancelled)
		}
		cancel(t, c, "other", stateFinished)
		_, err := c.Cancel(t.Context(), &sauronv1.CancelRequest{RequestId: "unknown"})
		wantStatus(t, err, codes.NotFound, "")
		_, err = c.Cancel(t.Context(), &sauronv1.CancelRequest{})
		wantStatus(t, err, codes.InvalidArgument, "")
	})
}

// What can be known at join is refused before headers, with what a retry policy
// needs.
func TestRefusals(t *testing.T) {
	r := start(t, func(o *options) {
		o.sim.Tokens = 100_000
		o.routes = []prepare.RouteConfig{{Model: "m", Upstream: mustSim(t, o.sim), UpstreamName: "s", Coalesce: true}}
		o.Manager.QueueCapacity = 0
		o.Manager.MaxConcurrentRequests = 1
	})
	c := r.client()
	on := func(id, model, content string) *sauronv1.GenerateRequest {
		q := ask(id, content)
		q.Model = model
		return q
	}
	busy := generate(t.Context(), t, c, on("busy", "m", "A"))
	busy.until(isText)
	generation := busy.started().GetGenerationId()
	resume := func(id, content, generation string, after int64) *sauronv1.GenerateRequest {
		q := on(id, "m", content)
		q.Resume = &sauronv1.ResumePoint{GenerationId: generation, AfterSequence: after}
		return q
	}
	bad := on("not ok", "m", "A")
	large := on("large", "m", string(make([]byte, 5<<20)))
	tests := []struct {
		name   string
		req    *sauronv1.GenerateRequest
		code   codes.Code
		reason string
		retry  bool
	}{
		{"unknown_model", on("x", "nope", "A"), codes.NotFound, "MODEL_NOT_FOUND", false},
		{"id_in_use", on("busy", "m", "B"), codes.AlreadyExists, "REQUEST_ID_IN_USE", false},
		{"gone", resume("x", "A", "g", 0), codes.FailedPrecondition, "GENERATION_GONE", false},
		{"mismatch", resume("x", "B", generation, 0), codes.FailedPrecondition, "RESUME_MISMATCH", false},
		{"out_of_range", resume("x", "A", generation, math.MaxInt64), codes.OutOfRange, "RESUME_OUT_OF_RANGE", false},
		{"no_generation", resume("x", "A", "", 0), codes.InvalidArgument, "", false},
		{"bad_id", bad, codes.InvalidArgument, "", false},
		{"too_large", large, codes.ResourceExhausted, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := generate(t.Context(), t, c, tt.req)
			s := g.failed(t, tt.code, tt.reason)
			header, _ := g.stream.Header()
			if len(header.Get("sauron-request-id")) > 0 || len(g.events) > 0 {
				t.Error("headers went out")
			}
			if got := detail[*errdetails.RetryInfo](s) != nil; got != tt.retry {
				t.Errorf("RetryInfo is %v, want %v", got, tt.retry)
			}
		})
	}
	cancel(t, c, "busy", stateCancelled)
	busy.cancelled(t)
	if got := r.metric(t, `sauron_requests_total{outcome="refused",participation="none",route="none"}`); got != 4 {
		t.Errorf("%v requests were refused without a route, want 4", got) // unknown model, no generation, bad id, too large
	}
	if got := r.metric(t, `sauron_requests_total{outcome="refused",participation="none",route="m"}`); got != 4 {
		t.Errorf("%v requests of the route were refused, want 4", got)
	}
}

// A full queue is refused as Trailers-Only with a hint, on which a client's retry
// policy acts by itself.
func TestRetryPolicyHealsAFullQueue(t *testing.T) {
	release := make(chan struct{})
	hook := &blockingUpstream{release: release}
	r := start(t, func(o *options) {
		o.Manager.QueueCapacity, o.Manager.PreparedBacklog = 0, 0
		o.Manager.MaxConcurrentRequests, o.Manager.MaxConcurrentLLMStreams = 1, 1
		o.routes = []prepare.RouteConfig{{Model: "*", Upstream: hook, UpstreamName: "b", Coalesce: true}}
		o.client = []grpc.DialOption{grpc.WithDefaultServiceConfig(`{"methodConfig": [{
			"name": [{"service": "sauron.v1.GenerationService", "method": "Generate"}],
			"retryPolicy": {"maxAttempts": 5, "initialBackoff": "0.01s", "maxBackoff": "0.1s", "backoffMultiplier": 2,
				"retryableStatusCodes": ["RESOURCE_EXHAUSTED", "UNAVAILABLE"]}}]}`)}
	})
	plain := sauronv1.NewGenerationServiceClient(dial(t, r.Addr().String()))
	streams := generate(t.Context(), t, plain, ask("1", "A"))
	streams.until(inStage(sauronv1.Stage_STAGE_STREAMING))
	prepared := generate(t.Context(), t, plain, ask("2", "B"))
	prepared.until(inStage(sauronv1.Stage_STAGE_PREPARING))

	full := generate(t.Context(), t, plain, ask("3", "C"))
	s := full.failed(t, codes.ResourceExhausted, "QUEUE_FULL")
	if detail[*errdetails.RetryInfo](s).GetRetryDelay().AsDuration() <= 0 {
		t.Error("no RetryInfo")
	}
	if got := full.stream.Trailer().Get("grpc-retry-pushback-ms"); len(got) != 1 {
		t.Errorf("pushback %v", got)
	}

	healed := generate(t.Context(), t, r.client(), ask("3", "C"))
	close(release) // the pushback is a second away, and by then there is room
	if text := healed.completed(t); text != "done" {
		t.Errorf("text %q", text)
	}
	streams.completed(t)
	prepared.completed(t)
}

// Ways to leave, seen from the wire, and what each is counted as.
func TestLeavingOnTheWire(t *testing.T) {
	r := start(t, func(o *options) { o.sim.InterToken, o.sim.Tokens = 50*time.Millisecond, 10_000 })
	conn := r.dial()
	c := sauronv1.NewGenerationServiceClient(conn)

	ctx, hangUp := context.WithCancel(t.Context())
	req := ask("disconnects", "A")
	req.OrphanGrace = durationpb.New(0)
	g := generate(ctx, t, c, req)
	g.until(isText)
	hangUp()
	g.failed(t, codes.Canceled, "")
	r.eventually(t, `sauron_requests_total{outcome="disconnected",participation="leader",route="*"}`, 1)
	r.eventually(t, `sauron_generations_total{outcome="stopped",route="*"}`, 1)

	ctx, hangUp = context.WithTimeout(t.Context(), time.Second)
	defer hangUp()
	generate(ctx, t, c, ask("deadline", "B")).failed(t, codes.DeadlineExceeded, "")
	r.eventually(t, `sauron_requests_total{outcome="deadline",participation="leader",route="*"}`, 1)
	r.eventually(t, `sauron_generations_total{outcome="stopped",route="*"}`, 2) // no lease

	// A connection that dies leaves a lease; a retry finds the same generation.
	g = generate(t.Context(), t, c, ask("retry", "C"))
	g.until(isText)
	_ = conn.Close()
	r.eventually(t, `sauron_orphans`, 1)
	c = r.client()
	again := generate(t.Context(), t, c, ask("retry", "C"))
	again.until(isText)
	if again.started().GetGenerationId() != g.started().GetGenerationId() || again.events[1].GetSequence() != 1 {
		t.Errorf("retry got %v", again.events[:2])
	}
	r.eventually(t, `sauron_orphans`, 0)
	cancel(t, c, "retry", stateCancelled)
	again.cancelled(t)
	r.eventually(t, `sauron_subscriptions`, 0)
	r.eventually(t, `sauron_upstream_streams_total{outcome="stopped",upstream="simulator"}`, 3)
}

// The status of a failed generation reaches every reader after all its events, with
// the last sequence.
func TestFailureOnTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startInBubble(t, func(o *options) {
			o.sim.Fault.Kind = "break"
			o.sim.Fault.AfterTokens = 3
		})
		c := r.client()
		a := generate(t.Context(), t, c, ask("a", "A"))
		b := generate(t.Context(), t, c, ask("b", "A"))
		for _, g := range []*received{a, b} {
			s := g.failed(t, codes.Unavailable, "UPSTREAM_BROKEN")
			if got := errorInfo(s).GetMetadata()["last_sequence"]; got != "7" { // 4 stages, 3 tokens
				t.Errorf("last_sequence %q", got)
			}
			if len(g.events) != 8 || errorInfo(s).GetDomain() != "sauron" {
				t.Errorf("%d events, status %v", len(g.events), s)
			}
		}
	})
}

func TestCoalescingModes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startInBubble(t, func(o *options) {
			o.sim.InterToken, o.sim.Tokens = time.Millisecond, 300
			u := mustSim(t, o.sim)
			o.routes = []prepare.RouteConfig{
				{Model: "live", Upstream: u, UpstreamName: "s", Coalesce: true},
				{Model: "off", Upstream: u, UpstreamName: "s", Coalesce: false},
			}
		})
		c := r.client()
		shared := func(model string, mode sauronv1.Coalescing) bool {
			t.Helper()
			var ids [2]string
			var streams [2]*received
			for i := range 2 {
				q := ask(fmt.Sprintf("%s-%s-%d", model, mode, i), mode.String())
				q.Model, q.Coalescing = model, mode
				streams[i] = generate(t.Context(), t, c, q)
				streams[i].until(isText)
				ids[i] = streams[i].started().GetGenerationId()
			}
			for _, g := range streams {
				g.completed(t)
			}
			return ids[0] == ids[1]
		}
		for _, tt := range []struct {
			model string
			mode  sauronv1.Coalescing
			want  bool
		}{
			{"live", sauronv1.Coalescing_COALESCING_UNSPECIFIED, true},
			{"live", sauronv1.Coalescing_COALESCING_OFF, false},
			{"live", sauronv1.Coalescing_COALESCING_REPLAY, true},
			{"off", sauronv1.Coalescing_COALESCING_UNSPECIFIED, false},
			{"off", sauronv1.Coalescing_COALESCING_LIVE, true},
		} {
			if got := shared(tt.model, tt.mode); got != tt.want {
				t.Errorf("route %s, %s: shared is %v", tt.model, tt.mode, got)
			}
		}
	})
}

// No caller's metadata makes a difference, and none of it is in what goes out.
func TestCallersMetadataIsIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startInBubble(t, nil)
		c := r.client()
		ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer secret")
		a, b := generate(ctx, t, c, ask("a", "A")), generate(t.Context(), t, c, ask("b", "A"))
		a.completed(t)
		b.completed(t)
		if a.started().GetGenerationId() != b.started().GetGenerationId() {
			t.Error("metadata is part of the key")
		}
	})
}
