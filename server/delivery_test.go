package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// flood is a simulator that says far more than a transport holds, without pause.
func flood(o *options) {
	o.sim.FirstToken, o.sim.InterToken, o.sim.Tokens = 0, 0, 100_000
}

// A stream without window holds what it may in the transport, blocks nobody in
// SendMsg, and a Cancel ends it at once: its handler returns, and the caller finds
// CANCELLED after what it had. This relies on three internals of grpc-go: SendMsg
// blocks at 64 KiB unwritten and not below, the buffers of a message are freed when it
// was written, and not before.
func TestCancelOfAStreamThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startInBubble(t, flood)
		c := r.client()
		g := generate(t.Context(), t, c, ask("stuck", "A"))
		synctest.Wait() // nothing moves any more: the stream is parked
		if s := r.manager.Stats(); s.Subscriptions != 1 || s.Generations[4]+s.Generations[3] != 0 {
			t.Fatalf("%+v, want one reader of an ended log", s)
		}
		begin := time.Now()
		cancel(t, c, "stuck", stateCancelled)
		synctest.Wait()
		if s := r.manager.Stats(); s.Subscriptions != 0 {
			t.Errorf("%+v", s)
		}
		if !strings.Contains(r.log.String(), "outcome=cancelled") {
			t.Error("the handler has not returned")
		}
		if got := time.Since(begin); got != 0 {
			t.Errorf("took %v", got)
		}
		g.cancelled(t)
		// It had no more than its own window (64 KiB) and its credit.
		if n := len(g.text()); n == 0 || n > 110<<10 {
			t.Errorf("%d bytes came before CANCELLED", n)
		}
	})
}

// A reader that stops reading for good is ended at the limit, with the last sequence
// that it was handed, and leaves a lease; those beside it on the same connection
// lose nothing and wait for nothing.
func TestSlowConsumer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const events, pause = 300, 400 * time.Millisecond
		paced := &scriptedUpstream{extension: `{"x":"` + strings.Repeat("x", 1<<10) + `"}`, events: events, pause: pause}
		r := startInBubble(t, func(o *options) {
			o.routes = paced.routes()
			o.Manager.OrphanGrace = time.Hour
		})
		begin := time.Now()
		c := r.client()
		stuck := generate(t.Context(), t, c, ask("stuck", "A"))
		var readers sync.WaitGroup
		for i := range 50 {
			readers.Go(func() {
				g := generate(t.Context(), t, c, ask(fmt.Sprint("reader-", i), "A"))
				g.completed(t)
				if got, want := time.Since(begin), events*pause; got != want {
					t.Errorf("reader done after %v, want %v", got, want)
				}
			})
		}
		readers.Wait()
		log := r.log.String()
		if !strings.Contains(log, "outcome=slow") {
			t.Error("the stuck reader was not ended")
		}
		s := stuck.failed(t, codes.Aborted, "SLOW_CONSUMER")
		if err := stuck.check(); err != nil {
			t.Error(err)
		}
		last := stuck.events[len(stuck.events)-1].GetSequence()
		if got := errorInfo(s).GetMetadata()["last_sequence"]; got != fmt.Sprint(last) {
			t.Errorf("last_sequence %s, the last event was %d", got, last)
		}
		// Its log is kept under its id.
		again := generate(t.Context(), t, c, ask("stuck", "A"))
		again.completed(t)
		if again.started().GetGenerationId() != stuck.started().GetGenerationId() {
			t.Error("the log was not kept")
		}
	})
}

// A reader that takes a little now and then is not ended: the limit counts from the
// last time that something was taken.
func TestSlowReaderIsNotStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startInBubble(t, flood)
		g := generate(t.Context(), t, r.client(), ask("slow", "A"))
		for range 10 {
			time.Sleep(29 * time.Second)
			// What it takes must be enough for HTTP/2 to tell the server.
			for taken := 0; taken < 40<<10; {
				seen := len(g.events)
				if !g.next() {
					t.Fatalf("ended: %v", g.err)
				}
				for _, e := range g.events[seen:] {
					taken += len(e.GetTextDelta())
				}
			}
		}
		g.completed(t)
	})
}

// A reader that was parked once, has caught up since and waits for a model that thinks is
// not slow.
func TestReaderThatHasCaughtUpIsNotSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &scriptedUpstream{extension: `{"x":"` + strings.Repeat("x", 40<<10) + `"}`, events: 20, rest: 50 * time.Second}
		r := startInBubble(t, func(o *options) { o.routes = u.routes() })
		g := generate(t.Context(), t, r.client(), ask("a", "A"))
		time.Sleep(10 * time.Second) // the stream is parked
		begin := time.Now()
		g.completed(t)
		if took := time.Since(begin); took != 40*time.Second {
			t.Errorf("it ended after %v, want 40s", took)
		}
	})
}

// A message is one DATA frame: at most 16 KiB with its header. What has piled up comes in
// messages that are full.
func TestMessagesFillAFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startInBubble(t, flood)
		generate(t.Context(), t, r.client(), ask("a", "A")).completed(t)
		g := generate(t.Context(), t, r.client(), ask("a", "A")) // all of it is there
		largest := 0
		for {
			m, err := g.stream.Recv()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			largest = max(largest, proto.Size(m))
		}
		if largest > 16<<10-5 || largest < 15<<10 {
			t.Errorf("the largest message has %d bytes", largest)
		}
	})
}

// The client's own end finds a stream that is parked.
func TestParkedStreamEnds(t *testing.T) {
	t.Run("deadline", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := startInBubble(t, flood)
			ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
			defer stop()
			g := generate(ctx, t, r.client(), ask("a", "A"))
			time.Sleep(5 * time.Second)
			synctest.Wait()
			if s := r.manager.Stats(); s.Subscriptions != 0 || s.LogBytes != 0 {
				t.Errorf("%+v", s)
			}
			g.failed(t, codes.DeadlineExceeded, "")
		})
	})
	t.Run("disconnect", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := startInBubble(t, flood)
			conn := r.dial()
			generate(t.Context(), t, sauronv1.NewGenerationServiceClient(conn), ask("a", "A"))
			synctest.Wait()
			_ = conn.Close()
			synctest.Wait()
			if s := r.manager.Stats(); s.Subscriptions != 0 || s.LogBytes == 0 {
				t.Errorf("%+v", s)
			}
			time.Sleep(10 * time.Second)
			synctest.Wait()
			if s := r.manager.Stats(); s.LogBytes != 0 {
				t.Errorf("%+v", s)
			}
		})
	})
}

// At a caller's own deadline the stream ends with its status and trailers, a moment
// before grpc-go would reset it: a client whose clock is behind must not take its own
// timeout for a cancellation.
func TestStreamEndsAtItsDeadline(t *testing.T) {
	for _, parked := range []bool{false, true} {
		t.Run(fmt.Sprint("parked_", parked), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := startInBubble(t, func(o *options) {
					flood(o)
					if !parked {
						o.sim.FirstToken = time.Hour
					}
				})
				const timeout = 700 * time.Millisecond
				ctx, stop := context.WithTimeout(t.Context(), timeout)
				defer stop()
				begin := time.Now()
				g := generate(ctx, t, r.client(), ask("a", "A"))
				if parked {
					time.Sleep(timeout - time.Nanosecond)
					synctest.Wait()
				} else {
					g.failed(t, codes.DeadlineExceeded, "")
					if got, want := time.Since(begin), timeout-deadlineLead; got != want {
						t.Errorf("the client saw the end after %v, want %v", got, want)
					}
				}
				if s := r.manager.Stats(); s.Subscriptions != 0 || s.LogBytes != 0 {
					t.Errorf("%+v", s)
				}
				if !strings.Contains(r.log.String(), "outcome=deadline grpc.code=DeadlineExceeded") {
					t.Error("not counted as the caller's deadline")
				}
			})
		})
	}
}

// An event that is larger than a message goes out alone, and a Cancel still gets
// through behind it.
func TestLargeEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		large := &scriptedUpstream{extension: `{"x":"` + strings.Repeat("x", 47<<10) + `"}`, events: 50}
		r := startInBubble(t, func(o *options) { o.routes = large.routes() })
		c := r.client()
		read := generate(t.Context(), t, c, ask("read", "A"))
		stuck := generate(t.Context(), t, c, ask("stuck", "A"))
		read.completed(t)
		if n := len(read.events); n != 1+4+50+1 {
			t.Errorf("%d events", n)
		}
		synctest.Wait()
		cancel(t, c, "stuck", stateCancelled)
		synctest.Wait()
		if s := r.manager.Stats(); s.Subscriptions != 0 || strings.Count(r.log.String(), "outcome=cancelled") != 1 {
			t.Errorf("the handler has not returned: %+v", s)
		}
		stuck.cancelled(t)
	})
}

// Credit comes back when the transport has written a message: all of it, and only
// then.
func TestCreditComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const messages, size = 1000, 1 << 10
		back := make(chan struct{}, 1)
		c, wake := new(credit), func() { back <- struct{}{} }
		c.wake.Store(&wake)
		data := appendEvent(nil, &sauronv1.Event{Kind: &sauronv1.Event_TextDelta{TextDelta: strings.Repeat("x", size)}})
		conn := serveBare(t, func(stream grpc.ServerStream) error {
			for range messages {
				for c.used() && c.park() {
					<-back
				}
				if err := stream.SendMsg(c.message(data)); err != nil {
					return err
				}
			}
			<-stream.Context().Done()
			return nil
		})
		ctx, hangUp := context.WithCancel(t.Context())
		g := generate(ctx, t, sauronv1.NewGenerationServiceClient(conn), ask("a", "A"))
		synctest.Wait() // parked: the client has not read
		if held := c.held.Load(); held < creditWindow || held > creditWindow+maxMessage {
			t.Errorf("%d bytes are held", held)
		}
		for len(g.events) < messages {
			if !g.next() {
				t.Fatal(g.err)
			}
		}
		synctest.Wait()
		if held := c.held.Load(); held != 0 {
			t.Errorf("%d bytes are held when all was read", held)
		}
		hangUp()
	})
}

// serveBare serves Generate by handler alone.
func serveBare(t *testing.T, handler func(grpc.ServerStream) error, opts ...grpc.ServerOption) *grpc.ClientConn {
	t.Helper()
	return serveService(t, bareService{handler: handler}, opts...)
}

// serveService serves a service in memory, with the server's codec.
func serveService(t *testing.T, service sauronv1.GenerationServiceServer, opts ...grpc.ServerOption) *grpc.ClientConn {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	s := grpc.NewServer(append(opts, grpc.ForceServerCodecV2(newCodec()), grpc.WaitForHandlers(true))...)
	sauronv1.RegisterGenerationServiceServer(s, service)
	served := make(chan error, 1)
	go func() { served <- s.Serve(listener) }()
	t.Cleanup(func() {
		s.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return dial(t, "passthrough:///bufconn", grpc.WithContextDialer(
		func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
}

type bareService struct {
	sauronv1.UnimplementedGenerationServiceServer
	handler func(grpc.ServerStream) error
}

func (s bareService) Generate(_ *sauronv1.GenerateRequest, stream grpc.ServerStreamingServer[sauronv1.GenerateResponse]) error {
	return s.handler(stream)
}
