package prepare_test

import (
	"context"
	"net"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
	"github.com/sauron-stream/sauron/manager/prepare"
)

// serveOn serves h on a real listener until the test ends.
func serveOn(t *testing.T, l net.Listener, h *fakeHook) {
	t.Helper()
	s := grpc.NewServer(grpc.WaitForHandlers(true))
	sauronv1.RegisterPrepareServiceServer(s, h)
	var running sync.WaitGroup
	running.Go(func() { _ = s.Serve(l) })
	t.Cleanup(func() {
		s.Stop()
		running.Wait()
	})
}

func listen(t *testing.T, network, address string) net.Listener {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), network, address)
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	return l
}

// The addresses that the configuration speaks of work over real sockets.
func TestAddresses(t *testing.T) {
	for _, tt := range []struct{ name, network, listen, prefix string }{
		{"host_and_port", "tcp", "127.0.0.1:0", ""},
		{"dns", "tcp", "127.0.0.1:0", "dns:///"},
		{"unix", "unix", filepath.Join(t.TempDir(), "hook.sock"), "unix:"},
		{"unix_url", "unix", filepath.Join(t.TempDir(), "hook.sock"), "unix://"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := &fakeHook{answer: echo}
			l := listen(t, tt.network, tt.listen)
			serveOn(t, l, h)
			cfg := hooked(&fakeUpstream{})
			cfg.Hook = &prepare.HookConfig{Address: tt.prefix + l.Addr().String(), Timeout: time.Minute}
			routes := newRoutes(t, []prepare.RouteConfig{cfg})
			if _, err := resolve(t, routes, "m").Preparer("t", request("m")).Prepare(t.Context(), "g"); err != nil {
				t.Errorf("Prepare: %v", err)
			}
			if got := len(h.calls()); got != 1 {
				t.Errorf("%d calls, want 1", got)
			}
		})
	}
}

// tcpUserTimeout is TCP_USER_TIMEOUT, which package syscall has no name for.
const tcpUserTimeout = 0x12

// A hook's machine that vanishes without a word is noticed in bounded time.
func TestVanishedPeerIsNoticed(t *testing.T) {
	l := listen(t, "tcp", "127.0.0.1:0")
	serveOn(t, l, &fakeHook{answer: echo})
	conns := make(chan net.Conn, 1)
	cfg := hooked(&fakeUpstream{})
	routes := newRoutes(t, []prepare.RouteConfig{cfg}, grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", l.Addr().String())
		if err == nil {
			conns <- conn
		}
		return conn, err
	}))
	if _, err := resolve(t, routes, "m").Preparer("t", request("m")).Prepare(t.Context(), "g"); err != nil {
		t.Fatalf("Prepare: %v", err)
	}
	raw, err := (<-conns).(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatalf("SyscallConn: %v", err)
	}
	var millis int
	var optErr error
	if err := raw.Control(func(fd uintptr) {
		millis, optErr = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout)
	}); err != nil || optErr != nil {
		t.Fatalf("getsockopt: %v, %v", err, optErr)
	}
	if millis != 20_000 {
		t.Errorf("TCP_USER_TIMEOUT = %d ms, want 20000", millis)
	}
}
