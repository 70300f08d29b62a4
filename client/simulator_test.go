package client_test

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/sauron-stream/sauron/client"
	"github.com/sauron-stream/sauron/manager"
	"github.com/sauron-stream/sauron/manager/prepare"
	"github.com/sauron-stream/sauron/manager/upstream/sim"
	"github.com/sauron-stream/sauron/server"
)

// serveSimulator serves the simulator on loopback, as `sauron serve` does, until stop is
// called.
func serveSimulator() (address string, stop func()) {
	upstream, err := sim.New(sim.Config{Name: "simulator", FirstToken: time.Millisecond, InterToken: 10 * time.Millisecond, Tokens: 12})
	if err != nil {
		panic(err)
	}
	log := slog.New(slog.DiscardHandler)
	routes, err := prepare.New([]prepare.RouteConfig{{Model: "*", Upstream: upstream, UpstreamName: "simulator", Coalesce: true}}, server.Validate, log)
	if err != nil {
		panic(err)
	}
	s, err := server.New(server.Config{
		Listen: "127.0.0.1:0", Routes: routes, Log: log,
		Manager: manager.Config{
			MaxConcurrentRequests: 10, MaxConcurrentLLMStreams: 5, QueueCapacity: 10, PreparedBacklog: 10,
			MaxQueueWait: time.Minute, OrphanGrace: 10 * time.Second, IDMemory: time.Minute,
			GenerationTimeout: time.Minute, UpstreamIdleTimeout: time.Minute,
			MaxGenerationBytes: 1 << 20, MaxLogBytes: 1 << 30,
		},
		SlowConsumerTimeout: time.Minute, MaxRequestBytes: 1 << 20, DrainTimeout: time.Second,
		KeepaliveTime: time.Minute, KeepaliveTimeout: time.Minute, KeepaliveMinInterval: 10 * time.Second,
	})
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = s.Run(ctx, nil) })
	return s.Addr().String(), func() {
		cancel()
		running.Wait()
		_ = routes.Close()
	}
}

// dialSimulator serves the simulator and connects to it.
func dialSimulator() (conn *grpc.ClientConn, stop func()) {
	address, stopServing := serveSimulator()
	conn, err := grpc.NewClient(address, append(client.DialOptions(),
		grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		panic(err)
	}
	return conn, func() {
		_ = conn.Close()
		stopServing()
	}
}
