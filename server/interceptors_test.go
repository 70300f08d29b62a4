package server

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
	"github.com/sauron-stream/sauron/manager"
)

// A panic in a handler ends that call alone; the caller gets a neutral text, and the
// log where it was but not what was thrown.
func TestPanicIsRecovered(t *testing.T) {
	log := &logBuffer{}
	m := newMetrics("test", func() manager.Stats { return manager.Stats{} })
	conn := serveBare(t, func(grpc.ServerStream) error { panic("my-secret-prompt") },
		interceptors(slog.New(slog.NewTextHandler(log, nil)), m)...)
	c := sauronv1.NewGenerationServiceClient(conn)
	for range 2 {
		g := generate(t.Context(), t, c, ask("a", "A")).all()
		if s, _ := status.FromError(g.err); s.Code() != codes.Internal || s.Message() != "internal error" {
			t.Errorf("got %v", g.err)
		}
	}
	if text := log.String(); !strings.Contains(text, "TestPanicIsRecovered") || strings.Contains(text, "my-secret-prompt") {
		t.Errorf("log: %s", text)
	}
}

// A handler that panics in mid-stream leaves nothing behind.
func TestPanicLeavesNothing(t *testing.T) {
	r := start(t, func(o *options) { o.sim.Tokens = 10_000 })
	var boom grpc.StreamServerInterceptor = func(srv any, s grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
		defer func() {
			if recover() != nil {
				err = status.Error(codes.Internal, "internal error")
			}
		}()
		return next(srv, &panickyStream{ServerStream: s})
	}
	conn := serveService(t, r.service, grpc.StreamInterceptor(boom))
	generate(t.Context(), t, sauronv1.NewGenerationServiceClient(conn), ask("a", "A")).failed(t, codes.Internal, "")
	r.eventuallyDo(t, func() error {
		if s := r.manager.Stats(); s.Subscriptions != 0 {
			return status.Errorf(codes.Internal, "%+v", s)
		}
		return nil
	})
}

// panickyStream panics at its fifth message.
type panickyStream struct {
	grpc.ServerStream
	sent int
}

func (s *panickyStream) SendMsg(m any) error {
	if s.sent++; s.sent == 5 {
		panic("fifth")
	}
	return s.ServerStream.SendMsg(m)
}

// Probes and reflection are not in the log.
func TestProbesAreNotLogged(t *testing.T) {
	r := start(t, nil)
	if _, err := healthv1.NewHealthClient(r.dial()).Check(context.WithoutCancel(t.Context()), &healthv1.HealthCheckRequest{}); err != nil {
		t.Fatal(err)
	}
	generate(t.Context(), t, r.client(), ask("a", "A")).completed(t)
	r.eventuallyDo(t, func() error {
		if !strings.Contains(r.log.String(), "finished call") {
			return status.Error(codes.Internal, "no line yet")
		}
		return nil
	})
	if strings.Contains(r.log.String(), "Health") {
		t.Error("a probe is in the log")
	}
}
