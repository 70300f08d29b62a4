package systemtest

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/sauron-stream/sauron/client"
	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
	"github.com/sauron-stream/sauron/manager/fault"
)

// resume returns a request of id for content that goes on in a generation.
func resume(id, content, generation string, after int64) *sauronv1.GenerateRequest {
	req := ask(id, content)
	req.Resume = &sauronv1.ResumePoint{GenerationId: generation, AfterSequence: after}
	return req
}

// continues returns what keeps s, read to its end, from being the rest of whole after a
// resume point: Started, then what lies beyond it.
func (s *stream) continues(whole *stream, after int64, want sauronv1.Participation) error {
	s.all()
	if got := s.started(); got.GetGenerationId() != whole.started().GetGenerationId() || got.GetParticipation() != want {
		return fmt.Errorf("started %v, want %v of %s", got, want, whole.started().GetGenerationId())
	}
	rest := whole.events[min(int(after)+1, len(whole.events)-1):] // [0] is Started; the end comes again
	if s.err != nil || !slices.EqualFunc(s.events[1:], rest, func(a, b *sauronv1.Event) bool { return proto.Equal(a, b) }) {
		return fmt.Errorf("after %d: %v and %v, want %v", after, s.events[1:], status.Convert(s.err), rest)
	}
	return nil
}

// Resume over the wire, at each point: while the generation runs and when it has ended.
func TestResume(t *testing.T) {
	t.Parallel()
	up := steered(t)
	s := serve(t, up)
	client := s.client(t)
	whole := begin(t, client, ask("first", "A"))
	x := up.next(t)
	x.headers()
	x.text("one ", "two ")
	whole.untilText(t, "one two ")
	var running []*stream
	for after := range whole.last() + 1 {
		running = append(running, begin(t, client, resume(fmt.Sprint("r", after), "A", whole.started().GetGenerationId(), after)))
	}
	x.text("three")
	x.finish()
	whole.wantCompleted(t, "one two three")
	for after, r := range running {
		if err := r.continues(whole, int64(after), follower); err != nil {
			t.Error(err)
		}
	}
	for after := range whole.last() + 1 {
		for _, id := range []string{"first", "other"} {
			r := begin(t, client, resume(id, "A", whole.started().GetGenerationId(), after))
			if err := r.continues(whole, after, replay); err != nil {
				t.Error(err)
			}
		}
	}
	if up.count() != 1 {
		t.Errorf("%d upstream requests, want 1", up.count())
	}
}

// A failed generation is gone on in to its failure.
func TestResumeOfAFailure(t *testing.T) {
	t.Parallel()
	up := steered(t)
	s := serve(t, up)
	client := s.client(t)
	first := begin(t, client, ask("first", "A"))
	x := up.next(t)
	x.headers()
	x.text("one ")
	x.reset()
	x.end()
	first.all()
	broken := failure{code: codes.Unavailable, reason: fault.UpstreamBroken}.with("last_sequence", fmt.Sprint(first.last()))
	wantStatus(t, first.err, broken)
	for after := range first.last() + 1 {
		again := begin(t, client, resume("other", "A", first.started().GetGenerationId(), after)).all()
		wantStatus(t, again.err, broken)
		if got, want := len(again.events)-1, int(first.last()-after); got != want {
			t.Errorf("after %d: %d events, want %d", after, got, want)
		}
	}
}

// resumeRefusals are the answers to a resume that can't be: of the generation of "first"
// for "A", which runs and has at most ten events.
func resumeRefusals(generation string) map[*sauronv1.GenerateRequest]failure {
	return map[*sauronv1.GenerateRequest]failure{
		resume("x", "A", "unknown", 0):       {code: codes.FailedPrecondition, reason: fault.GenerationGone},
		resume("x", "B", generation, 0):      {code: codes.FailedPrecondition, reason: fault.ResumeMismatch},
		resume("x", "A", generation, 11):     {code: codes.OutOfRange, reason: fault.ResumeOutOfRange},
		resume("second", "A", generation, 0): {code: codes.AlreadyExists, reason: fault.RequestIDInUse},
	}
}

// A resume that can't be has its reason, no headers, and starts nothing.
func TestResumeRefused(t *testing.T) {
	t.Parallel()
	up := steered(t)
	s := serve(t, up)
	client := s.client(t)
	first, second := begin(t, client, ask("first", "A")), begin(t, client, ask("second", "C"))
	x, y := up.next(t), up.next(t)
	for req, want := range resumeRefusals(first.started().GetGenerationId()) {
		got := open(patient(t), client, req).all()
		wantStatus(t, got.err, want)
		if header, _ := got.call.Header(); len(header["sauron-generation-id"]) > 0 || len(got.events) > 0 {
			t.Errorf("%v: headers went out", req.GetResume())
		}
	}
	cancel(t, client, "first", stateCancelled)
	cancel(t, client, "second", stateCancelled)
	for _, x := range []*exchange{x, y} {
		receive(t, x.gone, "end of the upstream's request")
		x.end()
	}
	first.all()
	second.all()
	if up.count() != 2 {
		t.Errorf("%d upstream requests, want 2", up.count())
	}
	// Nobody wanted it any more: it is gone.
	gone := open(patient(t), client, resume("x", "A", first.started().GetGenerationId(), 0)).all()
	wantStatus(t, gone.err, failure{code: codes.FailedPrecondition, reason: fault.GenerationGone})
}

// A server that drains lets its callers go on where they were.
func TestResumeWhileDraining(t *testing.T) {
	t.Parallel()
	up := steered(t)
	s := serve(t, up, "--drain-timeout=1m")
	stub := s.client(t)
	whole := begin(t, stub, ask("first", "A"))
	x := up.next(t)
	x.headers()
	x.text("one ")
	whole.untilText(t, "one ")
	s.signal(t, syscall.SIGTERM)
	eventually(t, func() error {
		refused := open(patient(t), stub, ask("", "B"))
		defer refused.cancel() // if it came before the drain
		refused.next()
		if client.Reason(refused.err) != string(fault.Draining) {
			return fmt.Errorf("a new generation was answered %w", refused.err)
		}
		return nil
	})
	r := begin(t, stub, resume("second", "A", whole.started().GetGenerationId(), whole.last()))
	x.text("two")
	x.finish()
	whole.wantCompleted(t, "one two")
	if err := r.continues(whole, 5, follower); err != nil {
		t.Error(err)
	}
	if status := s.exit(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
}

// What completed within the window is replayed to those who ask for it, at once and in
// few messages, and counted.
func TestReplayWindow(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, func(x *exchange) { x.answer(strings.Split(strings.Repeat("word ", 5000), "")...) })
	s := serve(t, up, "--replay-window=1h", "--orphan-grace=0s")
	client := s.client(t)
	asking := func(id string, c sauronv1.Coalescing) *stream {
		req := ask(id, "A")
		req.Coalescing = c
		return begin(t, client, req).all()
	}
	const again, live = sauronv1.Coalescing_COALESCING_REPLAY, sauronv1.Coalescing_COALESCING_LIVE
	first := asking("first", again)
	for i := range 3 {
		r := asking(fmt.Sprint("replay", i), again)
		if err := r.completed(first.text()); err != nil || !r.sameLog(first) || r.started().GetParticipation() != replay {
			t.Errorf("%v, %v; want the same log as a replay", r.started(), err)
		}
		// 25 000 events. The log lies in pieces of up to 32 KiB, a message holds 16 KiB.
		if size := proto.Size(&sauronv1.GenerateResponse{Events: first.events}); r.messages > size/(16<<10)*2+10 {
			t.Errorf("%d bytes came in %d messages", size, r.messages)
		}
	}
	s.counts(t, count{"sauron_replay_hits_total", 3}, count{"sauron_replay_misses_total", 1}, count{"sauron_replay_evictions_total", 0})
	if up.count() != 1 {
		t.Errorf("%d upstream requests, want 1", up.count())
	}
	r := begin(t, client, resume("resumes", "A", first.started().GetGenerationId(), 20_000))
	if err := r.continues(first, 20_000, replay); err != nil {
		t.Errorf("resume within the window: %v", err)
	}
	if second := asking("live", live); second.started().GetParticipation() != leader || up.count() != 2 {
		t.Errorf("LIVE was answered %v, %d upstream requests", second.started(), up.count())
	}
}

// The window stays within its bound, makes room, and never keeps a generation from
// starting. Each route has its own.
func TestReplayBounds(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, func(x *exchange) { x.answer("some ", "text") })
	s := settings{flags: []string{"--max-log-bytes=64KiB", "--orphan-grace=0s"}, file: `
upstreams:
- {name: fake, type: openai, base_url: "` + up.base() + `"}
routes:
- {model: default, upstream: fake, replay_window: 1h}
- {model: without, upstream: fake}
`}.serve(t)
	client := s.client(t)
	const contents = 100
	for i := range contents {
		req := ask("", fmt.Sprint("content ", i))
		req.Coalescing = sauronv1.Coalescing_COALESCING_REPLAY
		begin(t, client, req).wantCompleted(t, "some text")
	}
	eventually(t, func() error {
		page, err := s.metrics(t.Context())
		if err != nil {
			return err
		}
		size, evictions := sample(page, "sauron_replay_bytes"), sample(page, "sauron_replay_evictions_total")
		if size <= 0 || size > 32<<10 || evictions < contents/2 || sample(page, "sauron_log_bytes") > 64<<10 {
			return fmt.Errorf("%v bytes in the window, %v evictions", size, evictions)
		}
		return nil
	})
	for i, want := range map[int]sauronv1.Participation{contents - 1: replay, 0: leader} { // the newest, the oldest
		req := ask("", fmt.Sprint("content ", i))
		req.Coalescing = sauronv1.Coalescing_COALESCING_REPLAY
		if got := begin(t, client, req).all().started().GetParticipation(); got != want {
			t.Errorf("content %d: %v, want %v", i, got, want)
		}
	}
	for range 2 {
		req := ask("", "content")
		req.Model, req.Coalescing = "without", sauronv1.Coalescing_COALESCING_REPLAY
		if got := begin(t, client, req).all().started().GetParticipation(); got != leader {
			t.Errorf("a route without a window replayed: %v", got)
		}
	}
}
