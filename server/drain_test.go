package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/structpb"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// A drain under load, on the clock: health at once, refusals after the delay, what
// runs goes on and may be attached to and cancelled, and Run returns when the last
// is done.
func TestDrainUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startInBubble(t, func(o *options) {
			o.DrainDelay, o.DrainTimeout = 5*time.Second, 2*time.Minute
			o.sim.FirstToken, o.sim.InterToken, o.sim.Tokens = time.Second, time.Second, 60
		})
		conn := r.dial()
		c, health := sauronv1.NewGenerationServiceClient(conn), healthv1.NewHealthClient(conn)
		serving := func(want healthv1.HealthCheckResponse_ServingStatus) {
			t.Helper()
			for _, service := range []string{"", "sauron.v1.GenerationService"} {
				answer, err := health.Check(t.Context(), &healthv1.HealthCheckRequest{Service: service})
				if err != nil || answer.GetStatus() != want {
					t.Errorf("health of %q: %v, %v, want %v", service, answer, err, want)
				}
			}
		}
		var load [5]*received
		for i := range load {
			load[i] = generate(t.Context(), t, c, ask(fmt.Sprint("load-", i), fmt.Sprint("L", i)))
			load[i].until(isText)
		}
		orphan, hangUp := context.WithCancel(t.Context())
		lost := generate(orphan, t, c, ask("orphan", "O"))
		lost.until(inStage(sauronv1.Stage_STAGE_WAITING))
		serving(healthv1.HealthCheckResponse_SERVING)
		begin := time.Now()
		r.drain()
		synctest.Wait()
		serving(healthv1.HealthCheckResponse_NOT_SERVING)
		early := generate(t.Context(), t, c, ask("early", "E")) // within the delay
		early.until(inStage(sauronv1.Stage_STAGE_WAITING))
		hangUp()
		time.Sleep(5*time.Second + 1)
		synctest.Wait()
		if s := r.manager.Stats(); s.Orphans != 0 {
			t.Errorf("%+v", s)
		}

		refused := generate(t.Context(), t, c, ask("late", "N"))
		s := refused.failed(t, codes.Unavailable, "DRAINING")
		if detail[*errdetails.RetryInfo](s) == nil || len(refused.stream.Trailer().Get("grpc-retry-pushback-ms")) != 1 {
			t.Error("no hint when to retry")
		}
		attached := generate(t.Context(), t, c, ask("attached", "L0"))
		cancel(t, c, "load-1", stateCancelled)
		load[1].cancelled(t)
		for i, g := range load {
			if i != 1 {
				g.completed(t)
			}
		}
		if attached.completed(t) != load[0].text() {
			t.Error("another text")
		}
		early.completed(t)
		<-r.ended
		// "early" got load-1's slot when that was cancelled, 5 s in.
		if got, want := time.Since(begin), 65*time.Second; got < want || got > want+2*time.Second {
			t.Errorf("drained after %v, want about %v", got, want)
		}
	})
}

// Who shares a connection with a stream of a server that drains is not bound to it: behind
// a balancer the next call goes to another server, while the stream goes on.
func TestDrainMovesClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slowly := func(o *options) {
			o.DrainDelay, o.DrainTimeout = 5*time.Second, 2*time.Minute
			o.sim.InterToken, o.sim.Tokens = time.Second, 60
		}
		first, second := startInBubble(t, slowly), startInBubble(t, slowly)
		var healthy atomic.Pointer[running] // where the balancer sends new connections
		healthy.Store(first)
		c := sauronv1.NewGenerationServiceClient(dial(t, "passthrough:///balancer",
			grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
				return healthy.Load().door.Listener.(*bufconn.Listener).DialContext(ctx)
			})))
		running := generate(t.Context(), t, c, ask("running", "A"))
		running.until(isText)
		first.drain()
		healthy.Store(second)
		time.Sleep(first.cfg.DrainDelay - 1)
		// Who connects and says nothing holds this up, but not for long.
		silent, err := first.door.Listener.(*bufconn.Listener).DialContext(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close()
		time.Sleep(connectionTimeout + 2)
		synctest.Wait()

		generate(t.Context(), t, c, ask("next", "B")).completed(t)
		if !strings.Contains(second.log.String(), "request_id=next") {
			t.Error("the next call did not go to the healthy server")
		}
		running.completed(t)
		<-first.ended
		if strings.Contains(second.log.String(), "request_id=running") {
			t.Error("the stream was moved")
		}
	})
}

// Who is told to end before it serves ends well.
func TestEndsBeforeItServes(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			o := defaultOptions()
			if err := o.build(t, io.Discard, bufconn.Listen(1), nil).Run(ctx, nil); err != nil {
				t.Error(err)
			}
		})
	}
}

// A connection that comes when one server has left and the next does not serve yet waits;
// one that comes when nobody is left is closed.
func TestDoor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener := bufconn.Listen(1)
		d := newDoor(listener)
		var open sync.WaitGroup
		open.Go(d.run)
		dial := func() net.Conn {
			conn, err := listener.DialContext(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return conn
		}
		first := d.turn()
		_ = first.Close()
		_ = first.Close() // as grpc-go may
		if _, err := first.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("after its turn: %v", err)
		}
		waiting := dial()
		synctest.Wait()
		conn, err := d.turn().Accept()
		if err != nil {
			t.Fatal(err)
		}
		late := dial()
		synctest.Wait()
		d.close()
		open.Wait()
		if _, err := late.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("who came too late: %v, want the end", err)
		}
		_, _, _ = waiting.Close(), conn.Close(), late.Close()
	})
}

// At the drain's timeout what is left ends as DRAINING with its last sequence, after
// all its events; a stream that does not read can't hold the server.
func TestDrainTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startInBubble(t, func(o *options) {
			o.DrainTimeout = 10 * time.Second
			o.sim.FirstToken, o.sim.InterToken, o.sim.Tokens = 0, time.Millisecond, 1_000_000
			o.SlowConsumerTimeout = time.Hour
		})
		var reader, stuck *received
		reader = generate(t.Context(), t, r.client(), ask("reader", "A"))
		stuck = generate(t.Context(), t, r.client(), ask("stuck", "A"))
		synctest.Wait() // both have joined
		begin := time.Now()
		r.drain()
		s := reader.failed(t, codes.Unavailable, "DRAINING")
		if err := reader.check(); err != nil {
			t.Error(err)
		}
		last := reader.events[len(reader.events)-1].GetSequence()
		if got := errorInfo(s).GetMetadata()["last_sequence"]; got != fmt.Sprint(last) || last < 10_000 {
			t.Errorf("last_sequence %s, the last event was %d", got, last)
		}
		if got := time.Since(begin); got != 10*time.Second {
			t.Errorf("ended after %v", got)
		}
		<-r.ended
		if got := time.Since(begin); got != 15*time.Second { // GracefulStop's limit
			t.Errorf("the server ended after %v", got)
		}
		if stuck.all(); stuck.err == nil {
			t.Error("the stuck stream ended OK")
		}
	})
}

// A second signal ends everything at once, in each phase of a drain.
func TestSecondSignal(t *testing.T) {
	for _, after := range []time.Duration{0, time.Second, 7 * time.Second, 17 * time.Second} {
		t.Run(after.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := startInBubble(t, func(o *options) {
					flood(o)
					o.sim.InterToken = time.Millisecond
					o.DrainDelay, o.DrainTimeout, o.SlowConsumerTimeout = 5*time.Second, 10*time.Second, time.Hour
				})
				g := generate(t.Context(), t, r.client(), ask("a", "A")) // does not read
				synctest.Wait()
				begin := time.Now()
				r.drain()
				time.Sleep(after)
				r.stopNow()
				<-r.ended
				if got := time.Since(begin); got != after {
					t.Errorf("ended after %v, want %v", got, after)
				}
				if g.all(); g.err == nil {
					t.Error("the stream ended OK")
				}
			})
		})
	}
}

// The admin listener says when the service is ready; reflection and health are there.
func TestAdmin(t *testing.T) {
	r := start(t, func(o *options) { o.DrainDelay = time.Hour; o.AdminPprof = true })
	get := func(path string) (int, string) {
		t.Helper()
		return r.get(t, path)
	}
	for path, want := range map[string]int{
		"/healthz": http.StatusOK, "/readyz": http.StatusOK, "/debug/pprof/cmdline": http.StatusOK, "/nope": http.StatusNotFound,
	} {
		if code, _ := get(path); code != want {
			t.Errorf("%s is %d, want %d", path, code, want)
		}
	}
	r.drain()
	r.eventuallyDo(t, func() error {
		if code, _ := get("/readyz"); code != http.StatusServiceUnavailable {
			return fmt.Errorf("/readyz is %d", code)
		}
		return nil
	})
	if code, _ := get("/healthz"); code != http.StatusOK {
		t.Errorf("/healthz is %d", code)
	}
}

func TestNoPprofUnlessAskedFor(t *testing.T) {
	if code, _ := start(t, nil).get(t, "/debug/pprof/"); code != http.StatusNotFound {
		t.Errorf("pprof is %d", code)
	}
}

// Every metric of the contract is there with its labels, and counts what it says.
func TestMetrics(t *testing.T) {
	r := start(t, func(o *options) { o.sim.Tokens, o.sim.FirstToken = 10, time.Second })
	c := r.client()
	var readers sync.WaitGroup
	for i := range 3 {
		readers.Go(func() {
			generate(t.Context(), t, c, ask(fmt.Sprint("id-", i), "A")).completed(t)
		})
	}
	readers.Wait()
	r.eventually(t, "sauron_subscriptions", 0)
	r.eventually(t, `sauron_generations_total{outcome="completed",route="*"}`, 1) // after the readers' end
	for name, want := range map[string]float64{
		`sauron_requests_total{outcome="completed",participation="leader",route="*"}`:   1,
		`sauron_requests_total{outcome="completed",participation="follower",route="*"}`: 2,
		`sauron_generations_total{outcome="completed",route="*"}`:                       1,
		`sauron_upstream_streams_total{outcome="completed",upstream="simulator"}`:       1,
		`sauron_generations{stage="streaming"}`:                                         0,
		`sauron_orphans`:                                                                0,
		`sauron_events_appended_total`:                                                  16,
		`sauron_events_delivered_total`:                                                 48,
		`sauron_events_orphaned_total`:                                                  0,
		`sauron_tokens_shared_total{route="*"}`:                                         20,
		`sauron_time_to_first_token_seconds_count{participation="leader"}`:              1,
		`sauron_time_to_first_token_seconds_count{participation="follower"}`:            2,
		`sauron_time_to_first_token_seconds_bucket{participation="leader",le="0.005"}`:  0,
		`sauron_stage_seconds_count{stage="queued"}`:                                    1,
		`sauron_stage_seconds_count{stage="streaming"}`:                                 1,
		`sauron_stage_seconds_bucket{stage="queued",le="600"}`:                          1,
		`grpc_server_handled_total{grpc_code="OK",grpc_method="Generate",grpc_service="sauron.v1.GenerationService",grpc_type="server_stream"}`: 3,
		// Events go past the interceptors.
		`grpc_server_msg_sent_total{grpc_method="Generate",grpc_service="sauron.v1.GenerationService",grpc_type="server_stream"}`: 0,
	} {
		if got := r.metric(t, name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if got := r.metric(t, "sauron_log_bytes"); got == 0 {
		t.Error("sauron_log_bytes is 0 while a log is kept")
	}
	_, all := r.get(t, "/metrics")
	if !strings.Contains(all, `sauron_build_info{`) || !strings.Contains(all, `version="test"`) {
		t.Error("no sauron_build_info")
	}
	if strings.Contains(all, "id-1") {
		t.Error("a caller's value is in the metrics")
	}
}

// The line of a refused request says whose it was and that it was refused.
func TestRefusalsAreLogged(t *testing.T) {
	r := start(t, nil)
	c := r.client()
	invalid := ask("invalid-id", "A")
	invalid.Messages = nil
	generate(t.Context(), t, c, invalid).failed(t, codes.InvalidArgument, "")
	resumes := ask("resume-id", "A")
	resumes.Resume = &sauronv1.ResumePoint{GenerationId: "g"}
	generate(t.Context(), t, c, resumes).failed(t, codes.FailedPrecondition, "GENERATION_GONE")
	r.eventuallyDo(t, func() error {
		log := r.log.String()
		for _, id := range []string{"invalid-id", "resume-id"} {
			i := strings.Index(log, "request_id="+id)
			if i < 0 {
				return fmt.Errorf("no line of %s", id)
			}
			line := log[strings.LastIndex(log[:i], "\n")+1:]
			line, _, _ = strings.Cut(line, "\n")
			for _, want := range []string{"level=INFO", "participation=none", "outcome=refused", "route="} {
				if !strings.Contains(line, want) {
					return fmt.Errorf("no %s in %s", want, line)
				}
			}
		}
		return nil
	})
}

// One line a request and one a generation, with what an operator needs and nothing
// that is a caller's secret.
func TestLogs(t *testing.T) {
	r := start(t, nil)
	c := r.client()
	g := generate(t.Context(), t, c, ask("my-id", "my-secret-prompt"))
	text := g.completed(t)
	bad := ask("bad id my-secret-prompt", "my-secret-prompt")
	generate(t.Context(), t, c, bad).failed(t, codes.InvalidArgument, "")
	named := ask("a", "my-secret-prompt")
	named.Extensions = &structpb.Struct{Fields: map[string]*structpb.Value{
		"my-secret-prompt": structpb.NewNumberValue(math.NaN()),
	}}
	generate(t.Context(), t, c, named).failed(t, codes.InvalidArgument, "")
	cancel(t, c, "my-id", stateFinished)
	r.eventuallyDo(t, func() error {
		if n := strings.Count(r.log.String(), "finished call"); n != 4 {
			return fmt.Errorf("%d request lines, want 4", n)
		}
		if !strings.Contains(r.log.String(), "generation ended") { // it comes after the readers' end
			return errors.New("no generation line")
		}
		return nil
	})
	log := r.log.String()
	for _, want := range []string{
		"generation ended", "generation_id=" + g.started().GetGenerationId(), "outcome=completed", "requests=1", "attempts=1",
		"queued=", "preparing=", "waiting=", "streaming=", "completion_tokens=20", "request_id=my-id", "participation=leader",
		"grpc.code=OK", "grpc.code=InvalidArgument", "first_token=", "route=*", "upstream=simulator",
	} {
		if !strings.Contains(log, want) {
			t.Errorf("the log has no %q", want)
		}
	}
	if n := strings.Count(log, "generation ended"); n != 1 {
		t.Errorf("%d generation lines", n)
	}
	for _, secret := range []string{"my-secret-prompt", strings.Fields(text)[5]} {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
}
