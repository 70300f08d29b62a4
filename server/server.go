// Package server is Sauron's gRPC face: the service, its codec, validation, errors,
// interceptors, health, reflection and drain, and the admin HTTP listener.
//
// # Concurrency
//
// A Generate stream is begun and ended by its handler's goroutine. In between one of a
// few pumps hands it the events: a goroutine about a core, each for many streams, for
// waking a goroutine costs more than what it then does. A delivery's credit keeps
// SendMsg from blocking; a stream without credit is parked, and nobody looks at it until
// the transport has written something. Before the handler returns it takes its stream
// back, by the delivery's mutex: no pump touches it from then on.
//
// Log entries are encoded once, by the generation's goroutine, and given to gRPC as
// they are: they are immutable from then on.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
	"github.com/sauron-stream/sauron/manager"
)

const (
	maxStreamsPerConnection = 16 << 10 // a mesh's sidecar puts thousands on one
	// How long a new connection may say nothing. While one does, grpc-go tells no client to
	// leave, and does not stop.
	connectionTimeout   = 3 * time.Second
	gracefulStopTimeout = 5 * time.Second
)

// A Server serves gRPC and the admin HTTP listener. Use New, then Run once.
type Server struct {
	cfg     Config
	door    *door
	admin   net.Listener // nil: none
	manager *manager.Manager
	service *service
	grpc    *grpc.Server
	late    *grpc.Server // takes over when a drain begins: see stop
	http    *http.Server
	health  *health.Server
	ready   atomic.Bool
}

// New listens on both addresses and serves nothing yet.
func New(cfg Config) (*Server, error) {
	var lc net.ListenConfig
	ctx := context.Background() //nolint:forbidigo // listening on a TCP address does not block
	listener, err := lc.Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("gRPC listener: %w", err)
	}
	var admin net.Listener
	if cfg.AdminListen != "" {
		if admin, err = lc.Listen(ctx, "tcp", cfg.AdminListen); err != nil {
			return nil, errors.Join(fmt.Errorf("admin listener: %w", err), listener.Close())
		}
	}
	return newServer(cfg, listener, admin), nil
}

// newServer builds a Server on listeners.
func newServer(cfg Config, listener, admin net.Listener) *Server {
	s := &Server{cfg: cfg, door: newDoor(listener), admin: admin, health: health.NewServer()}
	m := newMetrics(cfg.Version, func() manager.Stats { return s.manager.Stats() })

	managed := cfg.Manager
	managed.Encode = encode
	managed.OnGeneration = func(r manager.Report) {
		m.generation(r)
		logGeneration(cfg.Log, r)
	}
	managed.OnAttempt = func(upstream string, outcome manager.Outcome) {
		m.upstreams.WithLabelValues(upstream, string(outcome)).Inc()
	}
	s.manager = manager.New(managed)

	s.service = &service{
		manager:     s.manager,
		routes:      cfg.Routes,
		metrics:     m,
		orphanGrace: cfg.Manager.OrphanGrace,
		slow:        cfg.SlowConsumerTimeout,
	}
	s.health.SetServingStatus(sauronv1.GenerationService_ServiceDesc.ServiceName, healthv1.HealthCheckResponse_SERVING)
	s.grpc, s.late = s.newGRPC(m), s.newGRPC(m)
	m.grpc.InitializeMetrics(s.grpc)
	s.http = newAdmin(m.registry, &s.ready, cfg.AdminPprof)
	return s
}

// newGRPC returns a gRPC server with all services.
func (s *Server) newGRPC(m *metrics) *grpc.Server {
	cfg := s.cfg
	g := grpc.NewServer(append(interceptors(cfg.Log, m),
		grpc.ForceServerCodecV2(newCodec()),
		grpc.WaitForHandlers(true),
		grpc.MaxRecvMsgSize(cfg.MaxRequestBytes),
		grpc.MaxConcurrentStreams(maxStreamsPerConnection),
		grpc.ConnectionTimeout(connectionTimeout),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			Time: cfg.KeepaliveTime, Timeout: cfg.KeepaliveTimeout, MaxConnectionAge: cfg.MaxConnectionAge,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{
			MinTime: cfg.KeepaliveMinInterval, PermitWithoutStream: true,
		}),
	)...)
	sauronv1.RegisterGenerationServiceServer(g, s.service)
	healthv1.RegisterHealthServer(g, s.health)
	reflection.Register(g)
	return g
}

// Addr returns the gRPC listener's address.
func (s *Server) Addr() net.Addr { return s.door.Addr() }

// AdminAddr returns the admin listener's address, or nil if there is none.
func (s *Server) AdminAddr() net.Addr {
	if s.admin == nil {
		return nil
	}
	return s.admin.Addr()
}

// Run serves until ctx ends, then drains and returns nil. Closing now at any time
// ends everything at once instead. An error says that serving failed. It returns
// after every goroutine that it started.
func (s *Server) Run(ctx context.Context, now <-chan struct{}) error {
	s.service.pumps = newPumps(s.cfg.CoalesceInterval)
	defer s.service.pumps.close() // no handler is left
	serving, ctx := errgroup.WithContext(ctx)
	serving.Go(func() error {
		s.door.run()
		return nil
	})
	serving.Go(func() error { return s.serve(s.grpc) })
	if s.admin != nil {
		serving.Go(func() error {
			if err := s.http.Serve(s.admin); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		})
	}
	s.ready.Store(true)
	select {
	case <-ctx.Done():
	case <-now:
	}
	s.stop(serving, now)
	return serving.Wait()
}

// serve has g take what arrives, until it is stopped, which it may be before.
func (s *Server) serve(g *grpc.Server) error {
	if err := g.Serve(s.door.turn()); !errors.Is(err, grpc.ErrServerStopped) {
		return err
	}
	return nil
}

// stop ends the service in order:
//
//  1. health says NOT_SERVING and /readyz 503, so that balancers look elsewhere;
//  2. after DrainDelay clients are told to leave their connections: streams go on, the
//     next call comes by a new connection, which a balancer gives to another server;
//  3. new generations are refused here and orphans stopped, while Cancel and attaching
//     to running ones still work for who comes here;
//  4. when nothing is left, or at DrainTimeout, what still runs ends as DRAINING;
//  5. nobody is let in any more, and connections are closed gracefully, or after 5 s hard;
//  6. the manager's goroutines are waited for, then the admin listener closes.
//
// Closing now cuts every wait short.
func (s *Server) stop(serving *errgroup.Group, now <-chan struct{}) {
	s.ready.Store(false)
	s.health.Shutdown()
	s.cfg.Log.Info("draining", slog.Duration("delay", s.cfg.DrainDelay), slog.Duration("timeout", s.cfg.DrainTimeout))
	wait(s.cfg.DrainDelay, now)

	var leaving sync.WaitGroup
	leaving.Go(s.grpc.GracefulStop)
	serving.Go(func() error { return s.serve(s.late) })
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.DrainTimeout) //nolint:forbidigo // Run's context has ended
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		s.manager.Drain(ctx)
	}()
	select {
	case <-drained:
	case <-now:
	}
	cancel()
	<-drained

	s.door.close() // who comes now is refused by the kernel
	leaving.Go(s.late.GracefulStop)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		leaving.Wait()
	}()
	timer := time.NewTimer(gracefulStopTimeout)
	defer timer.Stop()
	select {
	case <-stopped:
	case <-timer.C:
	case <-now:
	}
	s.grpc.Stop()
	s.late.Stop()
	<-stopped
	s.manager.Close()
	_ = s.http.Close() // scrapes may be cut: nothing is left to say
	s.cfg.Log.Info("stopped")
}

func wait(d time.Duration, now <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-now:
	}
}
