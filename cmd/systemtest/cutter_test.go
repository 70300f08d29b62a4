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

	cuts  atomic.Int64 // connections that were cut
	bytes atomic.Int64 // from the service, over all connections

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
	var from io.Reader = service
	if n := c.after(); n >= 0 {
		from = io.LimitReader(service, n)
	}
	n, err := io.Copy(client, from)
	c.bytes.Add(n)
	if err == nil && from != io.Reader(service) {
		c.cuts.Add(1)
	}
}

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
