package server

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
	"github.com/sauron-stream/sauron/manager"
	"github.com/sauron-stream/sauron/manager/fault"
	"github.com/sauron-stream/sauron/manager/prepare"
)

// Response headers of Generate. They go out before anything is generated, so that a
// caller can cancel from then on.
const (
	requestIDHeader    = "sauron-request-id"
	generationIDHeader = "sauron-generation-id"
)

// defaultTenant is everybody's, until there is authentication.
const defaultTenant = "default"

// unknownRoute is the metric label of a request that found none.
const unknownRoute = "none"

// service implements GenerationService. Requests were validated before.
type service struct {
	sauronv1.UnsafeGenerationServiceServer // a new RPC is a compile error

	manager     *manager.Manager
	routes      *prepare.Routes
	metrics     *metrics
	pumps       *pumps        // set by Server.Run
	orphanGrace time.Duration // where the request says nothing
	slow        time.Duration
}

// Generate implements GenerationServiceServer.
func (s *service) Generate(req *sauronv1.GenerateRequest, stream grpc.ServerStreamingServer[sauronv1.GenerateResponse]) error {
	joined := time.Now()
	sub, route, err := s.join(stream.Context(), req)
	if err != nil {
		s.metrics.request(route, noParticipation, manager.Refused)
		logRefusal(stream.Context(), req, route)
		var trailer metadata.MD
		if _, isStatus := status.FromError(err); !isStatus {
			trailer, err = refusal(err)
		}
		stream.SetTrailer(trailer)
		return err
	}

	outcome := manager.Disconnected // if delivering panics
	defer func() { sub.Leave(outcome) }()
	d := &delivery{
		sub: sub, stream: bare(stream), credit: new(credit), metrics: s.metrics, pump: s.pumps.of(sub),
		joined: joined, slow: s.slow, done: make(chan struct{}),
	}
	outcome, err = d.run()
	s.metrics.request(route, string(sub.Participation()), outcome)
	if shared := sub.SharedTokens(); shared > 0 {
		s.metrics.shared.WithLabelValues(route).Add(float64(shared))
	}
	logRequest(stream.Context(), append(d.attributes(), slog.String("route", route), slog.String("outcome", string(outcome)))...)
	return err
}

// join attaches req to its generation. The error is a status or a *fault.Error; the
// route is for metrics.
func (s *service) join(ctx context.Context, req *sauronv1.GenerateRequest) (*manager.Subscription, string, error) {
	route, ok := s.routes.Resolve(req.GetModel())
	if !ok {
		return nil, unknownRoute, fault.New(fault.ModelNotFound, nil)
	}
	id := req.GetRequestId()
	if id == "" {
		id = rand.Text()
	}
	grace := s.orphanGrace
	if req.OrphanGrace != nil {
		grace = req.GetOrphanGrace().AsDuration()
	}
	coalesce := route.Coalesce()
	if req.GetCoalescing() != sauronv1.Coalescing_COALESCING_UNSPECIFIED {
		coalesce = req.GetCoalescing() != sauronv1.Coalescing_COALESCING_OFF
	}
	var resume *manager.ResumePoint
	if at := req.GetResume(); at != nil {
		resume = &manager.ResumePoint{GenerationID: at.GetGenerationId(), After: at.GetAfterSequence()}
	}
	deadline, _ := ctx.Deadline()
	sub, err := s.manager.Join(manager.Request{
		Tenant:       defaultTenant,
		ID:           id,
		Key:          keyOf(defaultTenant, route.Revision(), req),
		Route:        route.Name(),
		Coalesce:     coalesce,
		Replay:       req.GetCoalescing() == sauronv1.Coalescing_COALESCING_REPLAY,
		ReplayWindow: route.ReplayWindow(),
		Resume:       resume,
		OrphanGrace:  grace,
		Deadline:     deadline,
		Preparer:     route.Preparer(defaultTenant, req),
	})
	return sub, route.Name(), err
}

// Cancel implements GenerationServiceServer.
func (s *service) Cancel(ctx context.Context, req *sauronv1.CancelRequest) (*sauronv1.CancelResponse, error) {
	state, err := s.manager.Cancel(defaultTenant, req.GetRequestId())
	logRequest(ctx, slog.String("request_id", req.GetRequestId()))
	if errors.Is(err, manager.ErrUnknownRequest) {
		return nil, status.Error(codes.NotFound, "no request of this id")
	}
	answer := sauronv1.CancelState_CANCEL_STATE_CANCELLED
	if state == manager.StateAlreadyFinished {
		answer = sauronv1.CancelState_CANCEL_STATE_ALREADY_FINISHED
	}
	return &sauronv1.CancelResponse{State: answer}, nil
}
