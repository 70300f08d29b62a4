package prepare

import (
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

// maxAnswerBytes bounds a hook's answer: what retrieval puts into a prompt is
// often more than gRPC's own 4 MiB with images in it.
const maxAnswerBytes = 16 << 20

// connections holds one connection for each hook address. It is used by New and
// Close alone.
type connections map[string]*grpc.ClientConn

// get returns the connection to address, a new one if there is none. It does not
// connect: that is for the first call.
func (c connections) get(address string, more []grpc.DialOption) (*grpc.ClientConn, error) {
	if conn, ok := c[address]; ok {
		return conn, nil
	}
	conn, err := grpc.NewClient(address, append([]grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		// A service config from DNS could retry or hedge calls: how often the hook
		// is called is decided here alone.
		grpc.WithDisableServiceConfig(),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswerBytes)),
		// gRPC's own first pause of a second would outlast the one retry, so a hook
		// that was just restarted would never be reached by it.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: retryPause / 2, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 5 * time.Second},
			MinConnectTimeout: 5 * time.Second,
		}),
		// For TCP_USER_TIMEOUT, which comes with it: a peer that vanished without a
		// word is noticed after Timeout instead of a quarter of an hour. Pings
		// proper are too rare to annoy a server with the default policy.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 6 * time.Minute, Timeout: 20 * time.Second}),
	}, more...)...)
	if err != nil {
		return nil, err
	}
	c[address] = conn
	return conn, nil
}

// close closes all connections.
func (c connections) close() error {
	var errs []error
	for _, conn := range c {
		errs = append(errs, conn.Close())
	}
	return errors.Join(errs...)
}
