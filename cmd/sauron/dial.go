package main

import (
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

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
