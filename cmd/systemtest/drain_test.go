package systemtest

import (
	"fmt"
	"net"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
	"github.com/sauron-stream/sauron/manager/fault"
)

// draining is what callers see of a service that stops.
var draining = failure{code: codes.Unavailable, reason: fault.Draining, retry: hint}

// SIGTERM under load: health says so at once, new generations are refused after the
// delay, what runs goes on, may be attached to and cancelled, and ends well; then the
// process does, with status 0.
func TestDrain(t *testing.T) {
	t.Parallel()
	up := steered(t)
	s := serve(t, up, "--drain-delay=200ms", "--drain-timeout=1m")
	clients := s.clients(t, 3)
	load := make(crowd, slots)
	answers := make([]*exchange, slots)
	for i := range load {
		load[i] = begin(t, clients[i%2], ask(fmt.Sprint("load-", i), fmt.Sprint("load-", i)))
		answers[i] = up.next(t)
		answers[i].headers()
		answers[i].text("one")
	}
	health := healthv1.NewHealthClient(s.dial(t))
	check := func(want healthv1.HealthCheckResponse_ServingStatus) error {
		answer, err := health.Check(patient(t), &healthv1.HealthCheckRequest{})
		if err != nil || answer.GetStatus() != want {
			return fmt.Errorf("health is %v, %v, want %v", answer.GetStatus(), status.Convert(err), want)
		}
		return nil
	}
	if err := check(healthv1.HealthCheckResponse_SERVING); err != nil {
		t.Error(err)
	}

	s.signal(t, syscall.SIGTERM)
	eventually(t, func() error { return check(healthv1.HealthCheckResponse_NOT_SERVING) })
	refused := untilRefused(t, clients[2])
	wantStatus(t, refused.err, draining)
	wantPushback(t, refused)

	joined := begin(t, clients[2], ask("joined", "load-0"))
	cancel(t, clients[2], "load-1", stateCancelled)
	load[1].wantCancelled(t, "one")
	receive(t, answers[1].gone, "end of the upstream's request")
	answers[1].end()
	for i, x := range answers {
		if i != 1 {
			x.text(" two")
			x.finish()
			load[i].wantCompleted(t, "one two")
		}
	}
	joined.wantCompleted(t, "one two")
	if exit := s.exit(t); exit != 0 {
		t.Errorf("exit status %d, want 0", exit)
	}
	if conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", s.address); err == nil {
		conn.Close()
		t.Error("somebody still listens")
	}
}

// untilRefused asks for something new until it is refused: within the delay of a
// drain it may still begin.
func untilRefused(t *testing.T, client sauronv1.GenerationServiceClient) *stream {
	t.Helper()
	var late *stream
	tries := 0
	eventually(t, func() error {
		tries++
		id := fmt.Sprint("late-", tries)
		if late = open(patient(t), client, ask(id, id)); late.next() {
			cancel(t, client, id, stateCancelled)
			late.wantCancelled(t, "")
			return fmt.Errorf("a new generation is not refused: %v", late.started())
		}
		return nil
	})
	return late
}

// At the timeout, what still runs ends as DRAINING after all its events.
func TestDrainTimeout(t *testing.T) {
	t.Parallel()
	up := steered(t)
	s := serve(t, up, "--drain-timeout=300ms")
	running := begin(t, s.client(t), ask("", "A"))
	x := up.next(t)
	x.headers()
	x.text("one", " two")
	running.untilText(t, "one two")
	s.signal(t, syscall.SIGTERM)
	running.all()
	wantStatus(t, running.err, draining.with("last_sequence", afterDeltas))
	receive(t, x.gone, "end of the upstream's request")
	x.end()
	if exit := s.exit(t); exit != 0 {
		t.Errorf("exit status %d, want 0", exit)
	}
}

// A second signal stops the process now, whatever it was to wait for.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		flags []string
		phase string // in the log, or what follows from it
	}{
		{"in_the_delay", []string{"--drain-delay=1h", "--drain-timeout=1h"}, "delay"},
		{"in_the_drain", []string{"--drain-timeout=1h"}, "drain"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			up := steered(t)
			s := serve(t, up, tt.flags...)
			client := s.client(t)
			running := begin(t, client, ask("", "A"))
			x := up.next(t)
			s.signal(t, syscall.SIGINT)
			s.stderr.match(t, "msg=draining")
			if tt.phase == "drain" {
				untilRefused(t, client)
			}
			s.signal(t, syscall.SIGTERM)
			if exit := s.exit(t); exit != 0 {
				t.Errorf("exit status %d, want 0", exit)
			}
			if running.all(); running.err == nil {
				t.Errorf("the stream ended with %v", running.finished())
			}
			receive(t, x.gone, "end of the upstream's request")
			x.end()
		})
	}
}

// A caller that reads nothing can't hold the process: it ends at the drain's timeout
// and five seconds.
func TestDrainWithACallerThatDoesNotRead(t *testing.T) {
	t.Parallel()
	const timeout, graceful, slack = 500 * time.Millisecond, 5 * time.Second, 10 * time.Second
	up := steered(t)
	s := serve(t, up, "--drain-timeout=500ms")
	stuck := begin(t, s.client(t, fixedWindow), ask("", "A"))
	x := up.next(t)
	x.headers()
	x.text(flood...)
	signalled := time.Now()
	s.signal(t, syscall.SIGTERM)
	exit := s.exit(t)
	took := time.Since(signalled)
	t.Logf("ended after %v", took)
	if exit != 0 || took > timeout+graceful+slack {
		t.Errorf("exit status %d after %v, want 0 after at most %v", exit, took, timeout+graceful)
	}
	if took < timeout+graceful {
		t.Errorf("ended after %v: nothing was stuck", took)
	}
	x.end()
	if stuck.all(); stuck.err == nil {
		t.Errorf("the stream ended with %v", stuck.finished())
	}
}
