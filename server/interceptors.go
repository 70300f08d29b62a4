package server

import (
	"context"
	"log/slog"
	"runtime/debug"

	middleware "github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/logging"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/selector"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
	"github.com/sauron-stream/sauron/manager"
)

// interceptors returns what every call passes, outermost first: counting, one log
// line at its end, recovery of panics at the edge, validation.
func interceptors(log *slog.Logger, m *metrics) []grpc.ServerOption {
	lines := []logging.Option{
		logging.WithLogOnEvents(logging.FinishCall),
		logging.WithLevels(levelOf),
		logging.WithDisableLoggingFields("protocol", "grpc.component", "grpc.method_type"),
	}
	// Probes and reflection would drown the requests.
	ours := selector.MatchFunc(func(_ context.Context, c middleware.CallMeta) bool {
		return c.Service == sauronv1.GenerationService_ServiceDesc.ServiceName
	})
	recovered := recovery.WithRecoveryHandlerContext(func(ctx context.Context, thrown any) error {
		// What was thrown may hold anything, so the log gets where, not what.
		stack := debug.Stack()
		if p, ok := thrown.(*pumpPanic); ok {
			stack = p.stack
		}
		log.LogAttrs(ctx, slog.LevelError, "panic in a handler", slog.String("stack", string(stack)))
		return status.Error(codes.Internal, "internal error")
	})
	v := validator{m}
	return []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(
			m.grpc.UnaryServerInterceptor(),
			selector.UnaryServerInterceptor(logging.UnaryServerInterceptor(lineLogger(log), lines...), ours),
			recovery.UnaryServerInterceptor(recovered),
			v.unary,
		),
		grpc.ChainStreamInterceptor(
			keepBare,
			m.grpc.StreamServerInterceptor(),
			selector.StreamServerInterceptor(logging.StreamServerInterceptor(lineLogger(log), lines...), ours),
			recovery.StreamServerInterceptor(recovered),
			v.stream,
		),
	}
}

// bareKey is the context key of the stream as gRPC made it.
type bareKey struct{}

// keepBare keeps the stream within reach as gRPC made it, under what the other
// interceptors wrap around it.
func keepBare(srv any, s grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	return next(srv, &streamWithContext{s, context.WithValue(s.Context(), bareKey{}, s)})
}

// bare returns the stream under all wrappers. Events go out by it: what the wrappers do
// for each message, to count and to time it, costs as much as all the rest of handing it
// over. The price is that grpc_server_msg_sent_total does not know of events;
// sauron_events_delivered_total does.
func bare(s grpc.ServerStream) grpc.ServerStream {
	if under, ok := s.Context().Value(bareKey{}).(grpc.ServerStream); ok {
		return under
	}
	return s
}

type streamWithContext struct {
	grpc.ServerStream
	ctx context.Context
}

// Context implements grpc.ServerStream.
func (s *streamWithContext) Context() context.Context { return s.ctx }

// lineLogger writes the middleware's lines by log.
func lineLogger(log *slog.Logger) logging.Logger {
	return logging.LoggerFunc(func(ctx context.Context, level logging.Level, msg string, fields ...any) {
		attrs := make([]slog.Attr, 0, len(fields)/2)
		for i := 0; i+1 < len(fields); i += 2 {
			if key, ok := fields[i].(string); ok {
				attrs = append(attrs, slog.Any(key, fields[i+1]))
			}
		}
		log.LogAttrs(ctx, slog.Level(level), msg, attrs...) //nolint:sloglint // the middleware's own two messages
	})
}

// logRequest adds to the line that is written when the call of ctx ends.
func logRequest(ctx context.Context, attrs ...slog.Attr) {
	fields := make(logging.Fields, 0, 2*len(attrs))
	for _, a := range attrs {
		fields = append(fields, a.Key, a.Value.Any())
	}
	logging.AddFields(ctx, fields)
}

// logRefusal says in the line of ctx's call that req was refused. An id is only logged
// if it is one: anything else may hold anything.
func logRefusal(ctx context.Context, req *sauronv1.GenerateRequest, route string) {
	if requestIDPattern.MatchString(req.GetRequestId()) {
		logRequest(ctx, slog.String("request_id", req.GetRequestId()))
	}
	logRequest(ctx, slog.String("participation", noParticipation),
		slog.String("route", route), slog.String("outcome", string(manager.Refused)))
}

// levelOf returns the level of a call's line. What a caller did wrong is no trouble of
// the service's: these two are resumes that came too late or ask for too much. (An
// upstream that refuses the service's own key has the warning of its generation's line.)
func levelOf(code codes.Code) logging.Level {
	if code == codes.FailedPrecondition || code == codes.OutOfRange {
		return logging.LevelInfo
	}
	return logging.DefaultServerCodeToLevel(code)
}

// validator refuses requests that break the contract before a handler sees them. It
// takes the middleware's shape and not its validator interceptor: that one calls
// methods of the messages, which generated ones don't have, and protovalidate would
// put its annotations into the contract that every client generates from.
type validator struct{ metrics *metrics }

func (v validator) unary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if cancel, ok := req.(*sauronv1.CancelRequest); ok {
		if err := validateCancel(cancel); err != nil {
			return nil, err
		}
	}
	return next(ctx, req)
}

func (v validator) stream(srv any, s grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	return next(srv, &validatedStream{ServerStream: s, metrics: v.metrics})
}

type validatedStream struct {
	grpc.ServerStream
	metrics *metrics
}

// RecvMsg implements grpc.ServerStream.
func (s *validatedStream) RecvMsg(m any) error {
	err := s.ServerStream.RecvMsg(m)
	req, ok := m.(*sauronv1.GenerateRequest)
	if !ok {
		return err
	}
	if err == nil {
		err = Validate(req)
	}
	// gRPC itself refuses a message over the limit.
	if code := status.Code(err); code == codes.InvalidArgument || code == codes.ResourceExhausted {
		s.metrics.request(unknownRoute, noParticipation, manager.Refused)
		logRefusal(s.Context(), req, unknownRoute)
	}
	return err
}
