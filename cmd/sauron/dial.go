package main

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/sauron-stream/sauron/client"
)

// dial returns a connection to the service at address, a gRPC target. It connects
// on first use. The caller must close it.
func dial(address string) (*grpc.ClientConn, error) {
	return grpc.NewClient(address, append(client.DialOptions(),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithUserAgent("sauron-cli/"+buildVersion()),
	)...)
}

// greetTimeout bounds the question whether anybody is there.
const greetTimeout = 5 * time.Second

// greet fails at once if nobody can be reached through conn. The calls that follow would
// try for a while: they are made for a server that comes back. Whatever else is
// answered, UNIMPLEMENTED too, somebody is there.
func greet(ctx context.Context, conn *grpc.ClientConn) error {
	ctx, cancel := context.WithTimeout(ctx, greetTimeout)
	defer cancel()
	// The retry policy does not name this service.
	_, err := healthv1.NewHealthClient(conn).Check(ctx, &healthv1.HealthCheckRequest{})
	if status.Code(err) != codes.Unavailable {
		return nil
	}
	return errors.New(explain(err))
}
