package main

import (
	"context"
	"net"
	"time"

	"google.golang.org/grpc"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

const (
	// maxRequestBytes is more than the service's own limit for a request, because
	// defaults come on top.
	maxRequestBytes = 16 << 20
	// stopWithin bounds the wait for calls that run when the hook is stopped.
	stopWithin = 5 * time.Second
)

// serve serves s on listener, which it closes, until ctx ends. Then it waits for
// the calls that run, but no longer than stopWithin. It returns nil after a stop.
func serve(ctx context.Context, listener net.Listener, s sauronv1.PrepareServiceServer) error {
	server := grpc.NewServer(grpc.MaxRecvMsgSize(maxRequestBytes))
	sauronv1.RegisterPrepareServiceServer(server, s)

	served := make(chan error, 1) // its own goroutine must not wait for a reader
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}

	hard := time.AfterFunc(stopWithin, server.Stop)
	defer hard.Stop()
	server.GracefulStop() // waits for handlers, also after Stop
	return <-served       // nil: Serve was stopped
}
