package systemtest

import (
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// lose starts a generation of id, whose only reader has its first delta, "one", and
// then loses its connection. It returns when the service has noticed, with the time
// just before. A service can do so once.
func lose(t *testing.T, s *sauron, up *upstream, id string) (lost *stream, x *exchange, before time.Time) {
	t.Helper()
	conn := s.dial(t)
	lost = begin(t, sauronv1.NewGenerationServiceClient(conn), ask(id, "A"))
	x = up.next(t)
	x.headers()
	x.text("one")
	lost.untilText(t, "one")
	before = time.Now()
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	s.counts(t, count{`sauron_requests_total{outcome="disconnected",participation="leader",route="*"}`, 1})
	return lost, x, before
}

// When the last reader's connection is lost, the upstream goes on for the grace and
// then ends. After that the same request is asked anew.
func TestLastDisconnectLeavesTheGrace(t *testing.T) {
	t.Parallel()
	const grace = time.Second
	up := steered(t)
	s := serve(t, up, "--orphan-grace=1s")
	lost, x, before := lose(t, s, up, "id")
	x.text(" two") // it is still wanted
	receive(t, x.gone, "end of the upstream's request")
	if after := x.goneAt.Sub(before); after < grace {
		t.Errorf("the upstream's request ended %v after the connection was closed, want at least %v", after, grace)
	}
	x.end()
	s.counts(t, orphans(0))

	again := begin(t, s.client(t), ask("id", "A"))
	up.next(t).answer("other")
	again.wantCompleted(t, "other")
	if again.started().GetGenerationId() == lost.started().GetGenerationId() || up.count() != 2 {
		t.Errorf("generation %v again, %d upstream requests; want another, and 2", again.started(), up.count())
	}
}

// A grace of 0 in the request: nobody waits for who is lost.
func TestNoGrace(t *testing.T) {
	t.Parallel()
	up := steered(t)
	s := serve(t, up, "--orphan-grace=1h")
	conn := s.dial(t)
	req := ask("id", "A")
	req.OrphanGrace = durationpb.New(0)
	begin(t, sauronv1.NewGenerationServiceClient(conn), req)
	x := up.next(t)
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	receive(t, x.gone, "end of the upstream's request")
	x.end()
}

// A retry after a lost connection attaches to what already runs, or has just ended:
// the same generation from its first event, and no second upstream request. It may
// come under its own id or another one.
func TestRetryWithinTheGrace(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, id  string
		completed bool // before the retry
		want      sauronv1.Participation
	}{
		{"same_id_while_it_runs", "first", false, leader},
		{"other_id_while_it_runs", "second", false, follower},
		{"same_id_after_its_end", "first", true, replay},
		{"other_id_after_its_end", "second", true, replay},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			up := steered(t)
			s := serve(t, up, "--orphan-grace=20s")
			lost, x, before := lose(t, s, up, "first")
			x.text(" two")
			if tt.completed {
				x.finish()
				s.counts(t, stage("streaming", 0), orphans(0))
			}
			pass(t, time.Until(before.Add(2*time.Second))) // as late as clients retry
			again := begin(t, s.client(t), ask(tt.id, "A"))
			if !tt.completed {
				x.finish()
			}
			again.wantCompleted(t, "one two")
			started := again.started()
			if started.GetGenerationId() != lost.started().GetGenerationId() || started.GetParticipation() != tt.want {
				t.Errorf("started %v, want %v of the generation that was lost, %v", started, tt.want, lost.started())
			}
			if got := up.count(); got != 1 {
				t.Errorf("%d upstream requests, want 1", got)
			}
		})
	}
}

// Cancel of an id in each of its states.
func TestCancelStates(t *testing.T) {
	t.Parallel()
	up := steered(t)
	s := serve(t, up, "--orphan-grace=1h")
	client := s.client(t)

	t.Run("before_generate", func(t *testing.T) {
		_, err := client.Cancel(patient(t), &sauronv1.CancelRequest{RequestId: "unknown"})
		wantStatus(t, err, failure{code: codes.NotFound})
	})
	t.Run("twice_and_late", func(t *testing.T) {
		running := begin(t, client, ask("twice", "twice"))
		x := up.next(t)
		cancel(t, client, "twice", stateCancelled)
		cancel(t, client, "twice", stateCancelled)
		receive(t, x.gone, "end of the upstream's request")
		x.end()
		running.wantCancelled(t, "")
		// A retry that was under way does not bring it back to life.
		requests := up.count()
		begin(t, client, ask("twice", "twice")).wantCancelled(t, "")
		cancel(t, client, "twice", stateCancelled)
		if got := up.count() - requests; got != 0 {
			t.Errorf("%d more upstream requests, want none", got)
		}
	})
	t.Run("after_the_end", func(t *testing.T) {
		ends := begin(t, client, ask("ended", "ended"))
		up.next(t).answer("x")
		ends.wantCompleted(t, "x")
		cancel(t, client, "ended", stateFinished)
	})
	t.Run("only_a_lease", func(t *testing.T) {
		_, x, _ := lose(t, s, up, "lost")
		s.counts(t, orphans(1), count{"sauron_subscriptions", 0})
		cancel(t, client, "lost", stateCancelled)
		receive(t, x.gone, "end of the upstream's request")
		x.end()
		s.counts(t, orphans(0))
	})
	t.Run("a_caller_that_does_not_read", func(t *testing.T) {
		deaf := begin(t, s.client(t, fixedWindow), ask("deaf", "deaf"))
		x := up.next(t)
		x.headers()
		x.text(flood...)
		answered := cancel(t, client, "deaf", stateCancelled)
		receive(t, x.gone, "end of the upstream's request")
		t.Logf("the upstream's request ended %v after the answer to Cancel", x.goneAt.Sub(answered))
		x.end()
		s.counts(t, count{"sauron_subscriptions", 0})
		// It finds its end after what was under way, and not the whole.
		deaf.all()
		deaf.wantCancelled(t, deaf.text())
		if got, all := len(deaf.text()), len(flood)*len(flood[0]); got == 0 || got >= all {
			t.Errorf("%d bytes before the end, want some of the %d", got, all)
		}
	})
}

// fixedWindow keeps a client from taking in more than 64 KiB that nobody reads.
var fixedWindow = grpc.WithInitialWindowSize(65535)

// flood is an answer that is far more than a connection holds, and less than a
// generation may be.
var flood = func() []string {
	delta := make([]byte, 8<<10)
	for i := range delta {
		delta[i] = 'x'
	}
	all := make([]string, 256)
	for i := range all {
		all[i] = string(delta)
	}
	return all
}()
