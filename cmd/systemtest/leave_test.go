package systemtest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// A party is the readers of one generation, each on a connection of its own: reader
// 0 leads.
type party struct {
	conns   []*grpc.ClientConn
	clients []sauronv1.GenerationServiceClient
	streams crowd
	x       *exchange
}

// gather starts a generation of content with n readers, who have its first delta,
// "one".
func gather(t *testing.T, s *sauron, up *upstream, n int, content string) *party {
	t.Helper()
	p := &party{}
	for i, req := range equals(n, content) {
		p.conns = append(p.conns, s.dial(t))
		p.clients = append(p.clients, sauronv1.NewGenerationServiceClient(p.conns[i]))
		p.streams = append(p.streams, begin(t, p.clients[i], req))
	}
	p.x = up.next(t)
	p.x.headers()
	p.x.text("one")
	for _, s := range p.streams {
		s.untilText(t, "one")
	}
	return p
}

// Whoever leaves, in whatever way: those who stay get the whole answer, and the
// upstream sees nothing of it. The leader is one like the others.
func TestLeavingHarmsNobodyWhoStays(t *testing.T) {
	t.Parallel()
	up := steered(t)
	s := serve(t, up)
	for _, tt := range []struct {
		name  string
		who   int
		leave func(t *testing.T, p *party, who int)
	}{
		{"leader_cancels", 0, cancels},
		{"follower_cancels", 1, cancels},
		{"leader_disconnects", 0, disconnects},
		{"follower_disconnects", 2, disconnects},
		{"leader_resets_its_stream", 0, resets},
	} {
		t.Run(tt.name, func(t *testing.T) {
			requests := up.count()
			p := gather(t, s, up, 3, tt.name)
			tt.leave(t, p, tt.who)
			s.counts(t, count{"sauron_subscriptions", 2}) // the service knows
			p.x.text(" two")
			p.x.finish()
			for i, s := range p.streams {
				if i != tt.who {
					s.wantCompleted(t, "one two")
				}
			}
			if got := up.count() - requests; got != 1 {
				t.Errorf("%d upstream requests, want 1", got)
			}
			// Cancelled: remembered as such. Lost: its lease is ended for the next test.
			cancel(t, p.clients[(tt.who+1)%3], p.streams[tt.who].started().GetRequestId(), stateCancelled)
			s.counts(t, count{"sauron_subscriptions", 0}, stage("streaming", 0))
		})
	}
}

// cancels cancels, from another connection, and sees the stream end as cancelled.
func cancels(t *testing.T, p *party, who int) {
	t.Helper()
	s := p.streams[who]
	cancel(t, p.clients[(who+1)%len(p.clients)], s.started().GetRequestId(), stateCancelled)
	s.wantCancelled(t, "one")
}

// disconnects closes the connection.
func disconnects(t *testing.T, p *party, who int) {
	t.Helper()
	if err := p.conns[who].Close(); err != nil {
		t.Error(err)
	}
}

// resets gives up the stream and keeps the connection.
func resets(t *testing.T, p *party, who int) {
	t.Helper()
	s := p.streams[who]
	s.cancel()
	if s.all(); status.Code(s.err) != codes.Canceled {
		t.Errorf("ended with %v, want CANCELED", s.err)
	}
}

// notice is how soon the upstream must see that nobody is left.
const notice = 100 * time.Millisecond

// When all have cancelled, the upstream's request ends at once, however silent the
// upstream is.
func TestLastCancelEndsTheUpstreamsRequest(t *testing.T) {
	t.Parallel()
	up := steered(t)
	s := serve(t, up)
	for _, tt := range []struct {
		name   string
		say    func(x *exchange)
		before string // the text that came
	}{
		{"before_its_headers", func(*exchange) {}, ""},
		{"after_its_headers", func(x *exchange) { x.headers() }, ""},
		{"after_a_delta", func(x *exchange) { x.headers(); x.text("one") }, "one"},
		{"inside_an_event", func(x *exchange) { x.headers(); x.text("one"); x.raw(`data: {"choices":[`) }, "one"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// The machine may have much else to do: the best of three tries counts.
			best := time.Hour
			for try := range 3 {
				requests := equals(3, fmt.Sprintf("%s-%d", tt.name, try))
				c := join(t, s.clients(t, 3), requests)
				x := up.next(t)
				tt.say(x)
				for _, s := range c {
					s.untilText(t, tt.before)
				}
				client := s.client(t)
				cancel(t, client, requests[0].GetRequestId(), stateCancelled)
				cancel(t, client, requests[2].GetRequestId(), stateCancelled)
				c[0].wantCancelled(t, tt.before)
				c[2].wantCancelled(t, tt.before)
				select {
				case <-x.gone:
					t.Fatal("the upstream's request ended while one reader was left")
				default:
				}
				answered := cancel(t, client, requests[1].GetRequestId(), stateCancelled)
				receive(t, x.gone, "end of the upstream's request")
				best = min(best, x.goneAt.Sub(answered))
				x.end()
				c[1].wantCancelled(t, tt.before)
				if best <= notice {
					break
				}
			}
			t.Logf("the upstream's request ended %v after the answer to Cancel", best)
			if best > notice {
				t.Errorf("the upstream's request ended %v after the answer to Cancel, want at most %v", best, notice)
			}
		})
	}
}

// A generation that waits in a stage before is ended as well, and costs no request.
func TestCancelBeforeTheUpstreamIsAsked(t *testing.T) {
	t.Parallel()
	left := make(chan error, 1) // at most one call of the hook
	h := newHook(t, func(call hookCall) (*sauronv1.GenerateRequest, error) {
		if call.req.GetRequest().GetMessages()[0].GetContent() == "prepares" {
			<-call.ctx.Done()
			left <- call.ctx.Err()
		}
		return call.req.GetRequest(), nil
	})
	up := steered(t)
	s := settings{
		file:  hooked(up, h.address),
		flags: []string{"--max-concurrent-llm-streams=1", "--max-concurrent-requests=1"},
	}.serve(t)
	client := s.client(t)
	holder := begin(t, client, ask("streams", "streams"))
	x := up.next(t)
	waiter := begin(t, client, ask("waits", "waits"))
	s.counts(t, stage("streaming", 1), stage("waiting", 1))
	preparer := begin(t, client, ask("prepares", "prepares"))
	s.counts(t, stage("preparing", 1))
	queuer := begin(t, client, ask("queues", "queues"))
	s.counts(t, stage("queued", 1), stage("preparing", 1), stage("waiting", 1), stage("streaming", 1))

	for id, s := range map[string]*stream{"queues": queuer, "prepares": preparer, "waits": waiter} {
		cancel(t, client, id, stateCancelled)
		s.wantCancelled(t, "")
	}
	if err := receive(t, left, "end of the hook's call"); !errors.Is(err, context.Canceled) {
		t.Errorf("the hook's call ended with %v", err)
	}
	s.counts(t, stage("queued", 0), stage("preparing", 0), stage("waiting", 0), stage("streaming", 1))
	x.answer("done")
	holder.wantCompleted(t, "done")
	if got := up.count(); got != 1 {
		t.Errorf("%d upstream requests, want 1", got)
	}
}
