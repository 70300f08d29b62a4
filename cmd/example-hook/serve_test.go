package main

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// A slowService takes its time for each call and heeds nobody.
type slowService struct {
	sauronv1.UnimplementedPrepareServiceServer

	takes time.Duration
}

func (s *slowService) Prepare(_ context.Context, req *sauronv1.PrepareRequest) (*sauronv1.PrepareResponse, error) {
	time.Sleep(s.takes) // in the test's bubble
	return &sauronv1.PrepareResponse{Request: req.GetRequest()}, nil
}

// A stop lets calls end that run, for five seconds; then it is over for them. It
// returns when the handlers have.
func TestServeStops(t *testing.T) {
	for _, tt := range []struct {
		name  string
		takes time.Duration // the call
		code  codes.Code
		stop  time.Duration // from the stop to the end of serve
	}{
		{"call_ends_in_time", 4 * time.Second, codes.OK, 3 * time.Second},
		{"call_takes_too_long", 10 * time.Second, codes.Unavailable, 9 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				listener := bufconn.Listen(1 << 16)
				ctx, cancel := context.WithCancel(t.Context())
				served := make(chan error, 1)
				go func() { served <- serve(ctx, listener, &slowService{takes: tt.takes}) }()

				conn, err := grpc.NewClient("passthrough:///hook", grpc.WithTransportCredentials(insecure.NewCredentials()),
					grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
				if err != nil {
					t.Fatalf("NewClient: %v", err)
				}
				defer conn.Close()
				called := make(chan error, 1)
				go func() {
					_, err := sauronv1.NewPrepareServiceClient(conn).Prepare(t.Context(), request())
					called <- err
				}()

				time.Sleep(time.Second) // in the bubble: the call runs now
				start := time.Now()
				cancel()
				if err := <-called; status.Code(err) != tt.code {
					t.Errorf("call ended with %v, want %v", err, tt.code)
				}
				if err := <-served; err != nil {
					t.Errorf("serve: %v", err)
				}
				if took := time.Since(start); took != tt.stop {
					t.Errorf("stop took %v, want %v", took, tt.stop)
				}
			})
		})
	}
}

// A request over gRPC's own limit of 4 MiB is taken: the service lets callers
// send that much.
func TestServeLargeRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener := bufconn.Listen(1 << 16)
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- serve(ctx, listener, &slowService{}) }()
		conn, err := grpc.NewClient("passthrough:///hook", grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxRequestBytes)),
			grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
		if err != nil {
			t.Fatalf("NewClient: %v", err)
		}
		defer conn.Close()

		large := request()
		large.Request.Messages[0].Content = strings.Repeat("x", 8<<20)
		if _, err := sauronv1.NewPrepareServiceClient(conn).Prepare(t.Context(), large); err != nil {
			t.Errorf("Prepare: %v", err)
		}
		cancel()
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
}

// A listener that fails ends serve with its error.
func TestServeFails(t *testing.T) {
	listener := bufconn.Listen(1)
	listener.Close()
	if err := serve(t.Context(), listener, &slowService{}); err == nil || errors.Is(err, grpc.ErrServerStopped) {
		t.Errorf("serve = %v, want the listener's error", err)
	}
}
