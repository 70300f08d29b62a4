package systemtest

import (
	"errors"
	"fmt"
	"testing"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// What may prepare and stream at a time: the program's own defaults.
const (
	permits = 10
	slots   = 5
)

// A hundred different requests: never more than ten in the hook, never more than
// five at the upstream, and the hook has all hundred behind it while the first five
// answers still run.
func TestHandOff(t *testing.T) {
	t.Parallel()
	const requests = 100
	everybodyAsked := make(chan struct{})
	h := newHook(t, func(call hookCall) (*sauronv1.GenerateRequest, error) {
		if err := call.wait(everybodyAsked); err != nil {
			return nil, err
		}
		// As slow as can be: nobody goes on before all ten permits are in use again.
		full := (call.n + permits - 1) / permits * permits
		return call.req.GetRequest(), call.others(full)
	})
	hookDone := make(chan struct{})
	up := newUpstream(t, func(x *exchange) {
		if x.wait(hookDone) {
			x.answer(content(x))
		}
	})
	s := settings{file: hooked(up, h.address)}.serve(t)

	different := make([]*sauronv1.GenerateRequest, requests)
	for i := range different {
		different[i] = ask(fmt.Sprint("id-", i), fmt.Sprint("content-", i))
	}
	c := join(t, s.clients(t, connections), different)
	// With the hook standing still the permits are out and all others queue.
	s.counts(t, stage("queued", requests-permits), stage("preparing", permits), stage("waiting", 0), stage("streaming", 0))
	if calls, _ := h.numbers(); calls != permits {
		t.Errorf("%d calls of the hook, want %d", calls, permits)
	}
	close(everybodyAsked)
	// With the upstream standing still everybody gets past the hook.
	s.counts(t, stage("queued", 0), stage("preparing", 0), stage("waiting", requests-slots), stage("streaming", slots))
	eventually(t, func() error { // the last request may be on its way
		if got := up.count(); got != slots {
			return fmt.Errorf("%d upstream requests, want %d", got, slots)
		}
		return nil
	})
	if calls, peak := h.numbers(); calls != requests || peak != permits {
		t.Errorf("%d calls of the hook, at most %d at a time; want %d and %d", calls, peak, requests, permits)
	}
	close(hookDone)

	c.each(t, func(i int, s *stream) error { return s.completed(fmt.Sprint("content-", i)) })
	if got := c.participations()[leader]; got != requests {
		t.Errorf("%d leaders, want %d", got, requests)
	}
	if got, most := up.count(), up.most(); got != requests || most != slots {
		t.Errorf("%d upstream requests, at most %d at a time; want %d and %d", got, most, requests, slots)
	}
}

// content returns what the last message asks.
func content(x *exchange) string {
	messages, _ := x.member("messages").([]any)
	if len(messages) == 0 {
		return ""
	}
	last, _ := messages[len(messages)-1].(map[string]any)
	text, _ := last["content"].(string)
	return text
}

// A hundred identical requests take one permit and one slot: one call of the hook,
// one request at the upstream.
func TestHandOffOfIdenticalRequests(t *testing.T) {
	t.Parallel()
	everybodyAsked := make(chan struct{})
	h := newHook(t, func(call hookCall) (*sauronv1.GenerateRequest, error) {
		return call.req.GetRequest(), call.wait(everybodyAsked)
	})
	up := newUpstream(t, func(x *exchange) { x.answer("one", " answer") })
	s := settings{file: hooked(up, h.address)}.serve(t)

	c := join(t, s.clients(t, connections), equals(100, "A"))
	s.counts(t, stage("queued", 0), stage("preparing", 1), stage("waiting", 0), stage("streaming", 0))
	close(everybodyAsked)
	checkShared(t, c, "one answer")
	if calls, _ := h.numbers(); calls != 1 || up.count() != 1 {
		t.Errorf("%d calls of the hook, %d upstream requests; want 1 and 1", calls, up.count())
	}
}

// An upstream's own limit holds, and what waits for it holds up nobody else.
func TestMaxStreamsOfAnUpstream(t *testing.T) {
	t.Parallel()
	narrow, wide := steered(t), steered(t)
	s := settings{file: `
upstreams:
- {name: narrow, type: openai, base_url: "` + narrow.base() + `", max_streams: 2}
- {name: wide, type: openai, base_url: "` + wide.base() + `"}
routes:
- {model: narrow, upstream: narrow}
- {model: "*", upstream: wide}
`}.serve(t)
	requests := make([]*sauronv1.GenerateRequest, 6, 9)
	for i := range requests {
		requests[i] = ask("", fmt.Sprint("n-", i))
		requests[i].Model = "narrow"
	}
	for i := range 3 {
		requests = append(requests, ask("", fmt.Sprint("w-", i)))
	}
	c := join(t, s.clients(t, 2), requests)
	s.counts(t, stage("waiting", 4), stage("streaming", slots))
	running := []*exchange{wide.next(t), wide.next(t), wide.next(t), narrow.next(t), narrow.next(t)}
	for _, x := range running {
		x.answer(content(x))
	}
	for range 4 {
		x := narrow.next(t)
		x.answer(content(x))
	}
	c.each(t, func(i int, s *stream) error {
		if s.all().text() != requests[i].GetMessages()[0].GetContent() {
			return errors.New("another answer")
		}
		return s.completed(s.text())
	})
	if got, most := narrow.count(), narrow.most(); got != 6 || most != 2 {
		t.Errorf("%d requests, at most %d at a time; want 6 and 2", got, most)
	}
	if got := wide.count(); got != 3 {
		t.Errorf("%d requests, want 3", got)
	}
}
