package systemtest

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// A cutter stands between clients and a service, and cuts their connections as a broken
// network does: at any byte, without a word.
type cutter struct {
	address string
	target  atomic.Value // of string: where connections go
	after   func() int64 // bytes from the service until a new connection is cut; negative: never
	tail    atomic.Int64 // if above 0, the next connection is cut so many bytes before its first stream's end

	cuts atomic.Int64 // connections that were cut

	close   func() // resets everything, and waits for it
	running sync.WaitGroup
	mu      sync.Mutex // guards the fields below
	open    map[*net.TCPConn]struct{}
	gate    chan struct{} // new connections wait until it is closed
}

// newCutter returns a cutter before the service at target.
func newCutter(t *testing.T, target string, after func() int64) *cutter {
	t.Helper()
	var lc net.ListenConfig
	listener, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{address: listener.Addr().String(), after: after, open: make(map[*net.TCPConn]struct{}), gate: make(chan struct{})}
	close(c.gate)
	c.target.Store(target)
	c.running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			c.running.Go(func() { c.serve(conn.(*net.TCPConn)) })
		}
	})
	c.close = sync.OnceFunc(func() {
		_ = listener.Close()
		c.cutAll()
		c.running.Wait()
	})
	t.Cleanup(c.close)
	return c
}

// serve passes one connection on.
func (c *cutter) serve(client *net.TCPConn) {
	<-c.note(client)
	defer c.cut(client)
	conn, err := new(net.Dialer).DialContext(context.Background(), "tcp", c.target.Load().(string))
	if err != nil {
		return
	}
	service := conn.(*net.TCPConn)
	c.note(service)
	var up sync.WaitGroup
	up.Go(func() {
		_, _ = io.Copy(service, client)
		c.cut(service)
	})
	defer up.Wait()
	defer c.cut(client)
	if back := c.tail.Swap(0); back > 0 {
		c.passButTheTail(client, service, int(back))
		return
	}
	var from io.Reader = service
	if n := c.after(); n >= 0 {
		from = io.LimitReader(service, n)
	}
	if _, err := io.Copy(client, from); err == nil && from != io.Reader(service) {
		c.cuts.Add(1)
	}
}

// passButTheTail passes on what the service sends, up to back bytes before the end of the
// first stream that ends. What else is on the connection does not matter: the end is
// found in the frames.
func (c *cutter) passButTheTail(client io.Writer, service io.Reader, back int) {
	var all []byte
	passed, frame := 0, 0 // how much was passed on; where the next frame begins
	begun := false        // a stream's frames have come: before, nothing is held back
	pass := func(to int) bool {
		if to <= passed {
			return true
		}
		_, err := client.Write(all[passed:to])
		passed = to
		return err == nil
	}
	chunk := make([]byte, 4<<10)
	for {
		n, err := service.Read(chunk)
		all = append(all, chunk[:n]...)
		for len(all) >= frame+frameHeader {
			h := all[frame : frame+frameHeader] // length in 3 bytes, type, flags, stream
			end := frame + frameHeader + int(h[0])<<16 + int(h[1])<<8 + int(h[2])
			if len(all) < end {
				break
			}
			frame = end
			begun = begun || h[5]|h[6]|h[7]|h[8] != 0
			if h[3] == headersFrame && h[4]&endStream != 0 {
				if pass(end - back) {
					c.cuts.Add(1)
				}
				return
			}
		}
		held := 0
		if begun {
			held = back
		}
		if err != nil || !pass(len(all)-held) {
			return
		}
	}
}

// HTTP/2 (RFC 9113, sections 4.1 and 6.2).
const (
	frameHeader  = 9
	headersFrame = 1
	endStream    = 1
)

// note remembers a connection and returns what it must wait for.
func (c *cutter) note(conn *net.TCPConn) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open[conn] = struct{}{}
	return c.gate
}

// hold keeps new connections waiting until the function that it returns is called.
func (c *cutter) hold() (open func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	gate := make(chan struct{})
	c.gate = gate
	return func() { close(gate) }
}

// cut resets a connection.
func (c *cutter) cut(conn *net.TCPConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.open[conn]; ok {
		delete(c.open, conn)
		_ = conn.SetLinger(0)
		_ = conn.Close()
	}
}

// cutAll resets every connection that is open.
func (c *cutter) cutAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.open {
		delete(c.open, conn)
		_ = conn.SetLinger(0)
		_ = conn.Close()
	}
}
