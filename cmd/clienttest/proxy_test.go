package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// listen starts a server on loopback that does the same on every connection.
func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				serve(conn)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		running.Wait()
	})
	return l.Addr().String()
}

// newTestProxy starts a proxy that ends with the test.
func newTestProxy(t *testing.T, legs ...leg) *proxy {
	t.Helper()
	p, err := startProxy(t.Context(), legs...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	return p
}

// readAll connects to address, sends a byte, and returns all that comes, and how it
// ended.
func readAll(t *testing.T, address string) ([]byte, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if _, err := conn.Write([]byte{'?'}); err != nil {
		t.Fatal(err)
	}
	return io.ReadAll(conn)
}

// TestProxyCuts verifies that a connection is cut after exactly so many bytes, that
// both sides see a reset, and that what follows the plan is not cut.
func TestProxyCuts(t *testing.T) {
	whole := bytes.Repeat([]byte("0123456789"), 20_000)
	endings := make(chan error, 4) // one a connection
	server := listen(t, func(conn net.Conn) {
		_, _ = conn.Read(make([]byte, 1)) // a reset before the client has connected would be its dialer's error
		_, _ = conn.Write(whole)
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.CloseWrite()
		}
		_, err := io.Copy(io.Discard, conn)
		endings <- err
	})
	p := newTestProxy(t, leg{server, afterBytes(1)}, leg{server, afterBytes(1_000)}, leg{server, afterBytes(12_345)}, leg{server, uncut})
	for _, n := range []int{1, 1_000, 12_345} {
		got, err := readAll(t, p.address)
		if !bytes.Equal(got, whole[:n]) || !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%d bytes and %v, want %d and a reset", len(got), err, n)
		}
		if err := <-endings; err == nil {
			t.Errorf("after %d bytes the server saw a proper end", n)
		}
	}
	got, err := readAll(t, p.address)
	if !bytes.Equal(got, whole) || err != nil {
		t.Errorf("%d bytes and %v, want all %d", len(got), err, len(whole))
	}
	if err := <-endings; err != nil {
		t.Errorf("the server saw %v, want a proper end", err)
	}
	if got := p.cuts.Load(); got != 3 {
		t.Errorf("%d cuts, want 3", got)
	}
}

// TestProxyFallsSilent verifies that nothing more is handed on, either way, on a
// connection that both sides believe in.
func TestProxyFallsSilent(t *testing.T) {
	for _, tt := range []struct {
		name string
		cut  cut
	}{
		{"where_it_would_be_cut", silently(afterBytes(5))},
		{"when_quiet", whenQuiet},
	} {
		t.Run(tt.name, func(t *testing.T) {
			came := make(chan []byte, 1)
			server := listen(t, func(conn net.Conn) {
				_, _ = io.WriteString(conn, "hello")
				got, _ := io.ReadAll(conn)
				came <- got
			})
			p := newTestProxy(t, leg{server, tt.cut})
			var dialer net.Dialer
			conn, err := dialer.DialContext(t.Context(), "tcp", p.address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := io.ReadFull(conn, make([]byte, 5)); err != nil {
				t.Fatal(err)
			}
			tick := time.NewTicker(poll)
			defer tick.Stop()
			for p.cuts.Load() == 0 {
				<-tick.C
			}
			if _, err := conn.Write([]byte("anybody there?")); err != nil {
				t.Error(err)
			}
			if err := conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the client read %v, want silence", err)
			}
			select {
			case got := <-came:
				t.Errorf("the server saw the end, after %q", got)
			default:
			}
			p.close()
			if got := <-came; len(got) > 0 {
				t.Errorf("%q came through", got)
			}
		})
	}
}

// TestProxyLegs verifies that each connection goes to its leg's server.
func TestProxyLegs(t *testing.T) {
	says := func(word string) string {
		return listen(t, func(conn net.Conn) {
			_, _ = conn.Read(make([]byte, 1)) // what is left unread would make the end a reset
			_, _ = io.WriteString(conn, word)
		})
	}
	one, two := says("one"), says("two")
	p := newTestProxy(t, leg{one, uncut}, leg{two, uncut})
	for _, want := range []string{"one", "two", "two"} {
		if got, err := readAll(t, p.address); string(got) != want || err != nil {
			t.Errorf("%q and %v, want %q", got, err, want)
		}
	}
}

// TestProxyClose verifies that close ends what still runs.
func TestProxyClose(t *testing.T) {
	connected := make(chan struct{})
	server := listen(t, func(conn net.Conn) {
		close(connected)
		_, _ = io.Copy(io.Discard, conn)
	})
	p := newTestProxy(t, leg{server, uncut})
	var dialer net.Dialer
	conn, err := dialer.DialContext(t.Context(), "tcp", p.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	<-connected
	p.close()
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("the connection is still there")
	}
}

// answered returns a stream as a gRPC server sends it, and where each frame ends.
func answered(t *testing.T) (stream []byte, ends []int) {
	t.Helper()
	var b bytes.Buffer
	framer := http2.NewFramer(&b, nil)
	for _, write := range []func() error{
		func() error { return framer.WriteSettings() },
		func() error {
			return framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte("head"), EndHeaders: true})
		},
		func() error { return framer.WriteData(1, false, []byte("first message")) },
		func() error { return framer.WritePing(true, [8]byte{}) },
		func() error { return framer.WriteData(1, false, []byte("second")) },
		func() error { return framer.WritePing(true, [8]byte{}) }, // as it happens
		func() error {
			return framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte("trail"), EndHeaders: true, EndStream: true})
		},
	} {
		if err := write(); err != nil {
			t.Fatal(err)
		}
		ends = append(ends, b.Len())
	}
	return b.Bytes(), ends
}

// TestCuts verifies where cuts are that know frames.
func TestCuts(t *testing.T) {
	stream, ends := answered(t)
	for _, tt := range []struct {
		name string
		cut  cut
		want int
		err  error
	}{
		{"after_no_message", afterMessages(0), 0, errCut},
		{"after_1_message", afterMessages(1), ends[2], errCut},
		{"after_2_messages", afterMessages(2), ends[4], errCut},
		{"after_more_than_there_are", afterMessages(3), len(stream), io.EOF},
		{"in_the_last_message", inLastMessage(1), ends[4] - 1, errCut},
		{"before_the_last_message", inLastMessage(1_000), ends[3], errCut},
		{"in_the_last_byte", inTrailers(1), len(stream) - 1, errCut},
		{"before_the_trailers", inTrailers(1_000), ends[5], errCut},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got bytes.Buffer
			// What follows on the connection is another stream's.
			err := tt.cut(&got, bytes.NewReader(stream))
			if !errors.Is(err, tt.err) || !bytes.Equal(got.Bytes(), stream[:tt.want]) {
				t.Errorf("%v after %d of %d bytes, want %v after %d", err, got.Len(), len(stream), tt.err, tt.want)
			}
		})
	}
}

// TestRetries verifies that requests count as retries if gRPC marked them, and that the
// proxy hands on what it does not understand.
func TestRetries(t *testing.T) {
	var sent bytes.Buffer
	sent.WriteString(http2.ClientPreface)
	framer := http2.NewFramer(&sent, nil)
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block) // one a connection: later blocks refer to earlier ones
	request := func(id uint32, more ...hpack.HeaderField) {
		block.Reset()
		for _, f := range append([]hpack.HeaderField{
			{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "http"}, {Name: ":path", Value: "/s/m"},
		}, more...) {
			if err := encoder.WriteField(f); err != nil {
				t.Fatal(err)
			}
		}
		err := framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndHeaders: true})
		if err != nil {
			t.Fatal(err)
		}
	}
	request(1)
	request(3, hpack.HeaderField{Name: previousAttempts, Value: "1"})
	request(5)
	request(7, hpack.HeaderField{Name: previousAttempts, Value: "2"})
	sent.WriteString("no HTTP/2, as it were, but handed on")

	var p proxy
	var got bytes.Buffer
	want := bytes.Clone(sent.Bytes())
	p.handOnRequests(&got, &sent)
	if p.retries.Load() != 2 || !bytes.Equal(got.Bytes(), want) {
		t.Errorf("%d retries in %d bytes, want 2 in %d", p.retries.Load(), got.Len(), len(want))
	}
}
