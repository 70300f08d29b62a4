package openai_test

import (
	"context"
	"net"
	"net/http"
	"testing"

	"google.golang.org/grpc/test/bufconn"

	"github.com/sauron-stream/sauron/manager/upstream/openai"
)

// inBubble returns an upstream whose server runs inside the test's bubble, on a network
// of pipes: its time is fake, and its goroutines end with the bubble.
func inBubble(t *testing.T, cfg openai.Config, handler http.HandlerFunc) *openai.Upstream {
	t.Helper()
	listener := bufconn.Listen(64 << 10)
	server := &http.Server{Handler: handler}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener)
	}()
	u, err := openai.NewWithTransport(cfg, &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return listener.DialContext(ctx) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		u.Close()
		_ = server.Close()
		<-served
	})
	return u
}
