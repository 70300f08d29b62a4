package systemtest

import (
	"fmt"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/sauron-stream/sauron/manager/fault"
)

// stalled is what callers see of an upstream that falls silent.
var stalled = failure{code: codes.Unavailable, reason: fault.UpstreamStalled}

// An upstream that falls silent is given up after the idle limit, at whatever point
// of its answer. Bytes are no progress, nor are comments between tokens.
func TestSilentUpstream(t *testing.T) {
	t.Parallel()
	one := func(x *exchange) { x.headers(); x.text("one") }
	rows := []struct {
		name string
		say  func(x *exchange)
		text string
	}{
		{"before_its_headers", func(*exchange) {}, ""},
		{"after_its_headers", (*exchange).headers, ""},
		{"after_a_delta", one, "one"},
		{"inside_an_event", func(x *exchange) { one(x); x.raw(`data: {"choices":[`) }, "one"},
		{"but_for_comments", func(x *exchange) {
			one(x)
			x.every(100*time.Millisecond, func() { x.raw(": alive\n\n") })
		}, "one"},
	}
	say := make(map[string]func(*exchange), len(rows))
	for _, r := range rows {
		say[r.name] = r.say
	}
	up := newUpstream(t, func(x *exchange) {
		say[content(x)](x)
		<-x.ctx.Done()
	})
	s := serve(t, up, "--upstream-idle-timeout=3s")
	client := s.client(t)
	streams := make(crowd, len(rows)) // all at once: each takes the three seconds
	for i, tt := range rows {
		streams[i] = begin(t, client, ask("", tt.name))
	}
	for i, tt := range rows {
		t.Run(tt.name, func(t *testing.T) {
			got := streams[i].all()
			wantStatus(t, got.err, stalled.with("last_sequence", fmt.Sprint(got.last())))
			if got.text() != tt.text {
				t.Errorf("text %q, want %q", got.text(), tt.text)
			}
			if err := got.ordered(); err != nil {
				t.Error(err)
			}
		})
	}
	if asked := up.count(); asked != len(rows) {
		t.Errorf("%d upstream requests, want %d", asked, len(rows))
	}
}

// every does f again and again until the client has gone.
func (x *exchange) every(d time.Duration, f func()) {
	ticker := time.NewTicker(d)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			f()
		case <-x.ctx.Done():
			return
		}
	}
}

// A generation that goes on and on ends at its time.
func TestGenerationTimeout(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, func(x *exchange) {
		x.headers()
		x.every(20*time.Millisecond, func() { x.text("on ") })
	})
	s := serve(t, up, "--generation-timeout=1s")
	got := begin(t, s.client(t), ask("", "A")).all()
	want := failure{code: codes.DeadlineExceeded, reason: fault.GenerationTimeout}
	wantStatus(t, got.err, want.with("last_sequence", fmt.Sprint(got.last())))
	if err := got.ordered(); err != nil {
		t.Error(err)
	}
}

// Nobody listens where the upstream should be.
func TestUnreachableUpstream(t *testing.T) {
	t.Parallel()
	s := settings{
		env:  []string{"UPSTREAM_KEY=" + keySecret},
		file: triedTwice("http://" + deadAddress(t) + "/v1"),
	}.serve(t)
	got := open(patient(t), s.client(t), ask("", promptSecret)).all()
	want := failure{code: codes.Unavailable, reason: fault.UpstreamUnavailable}
	wantStatus(t, got.err, want.with("last_sequence", afterStages))
	s.counts(t, count{`sauron_upstream_streams_total{outcome="failed",upstream="fake"}`, 2})
}

// deadAddress returns an address where nobody listens, and nobody will until the
// test ends: the near end of a connection.
func deadAddress(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn.LocalAddr().String()
}

// A rate limit that asks for no longer than the budget has is waited out, and the
// caller sees nothing of it. The slot is free meanwhile.
func TestRateLimitWithinTheBudget(t *testing.T) {
	t.Parallel()
	up := steered(t)
	s := settings{
		env:   []string{"UPSTREAM_KEY=" + keySecret},
		file:  triedTwice(up.base()),
		flags: []string{"--max-concurrent-llm-streams=1"},
	}.serve(t)
	client := s.client(t)
	limited := begin(t, client, ask("", "limited"))
	x := up.next(t)
	refused := time.Now()
	x.w.Header().Set("Retry-After", "3")
	x.refuse(429, complaint("rate_limit", "", ""))
	x.end()

	other := begin(t, client, ask("", "other"))
	x = up.next(t)
	if got := content(x); got != "other" {
		t.Errorf("the upstream was asked %q, want the other request in the slot", got)
	}
	x.answer("meanwhile")
	other.wantCompleted(t, "meanwhile")

	x = up.next(t)
	if after := time.Since(refused); after < 3*time.Second {
		t.Errorf("tried again after %v, want at least 3 s", after)
	}
	x.answer("at last")
	limited.wantCompleted(t, "at last")
	if got := up.count(); got != 3 {
		t.Errorf("%d upstream requests, want 3", got)
	}
}
