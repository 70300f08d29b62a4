package main

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A leg is what becomes of one connection.
type leg struct {
	server string // its address
	cut    cut
}

// A proxy stands between a client and servers and cuts connections. It is safe for
// concurrent use.
type proxy struct {
	// Set by startProxy, then read-only.
	address  string
	listener net.Listener
	legs     []leg // one a connection, in order; the last is for all that follow
	cancel   context.CancelFunc

	cuts    atomic.Int64 // connections that were cut, or fell silent
	retries atomic.Int64 // requests that gRPC itself sent again
	running sync.WaitGroup
}

// startProxy starts a proxy on loopback, with at least one leg. The caller must close
// it.
func startProxy(ctx context.Context, legs ...leg) (*proxy, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	p := &proxy{address: l.Addr().String(), listener: l, legs: legs, cancel: cancel}
	p.running.Go(func() { p.accept(ctx) })
	return p, nil
}

// close ends all connections and waits until they have ended.
func (p *proxy) close() {
	p.cancel()
	_ = p.listener.Close() // accept finds out
	p.running.Wait()
}

func (p *proxy) accept(ctx context.Context) {
	for i := 0; ; i++ {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		l := p.legs[min(i, len(p.legs)-1)]
		p.running.Go(func() { p.serve(ctx, conn, l) })
	}
}

// serve hands on what comes from both sides, until one ends or the cut. A silent
// connection stays until ctx ends.
func (p *proxy) serve(ctx context.Context, client net.Conn, l leg) {
	defer func() { _ = client.Close() }() // or it was cut
	var dialer net.Dialer
	server, err := dialer.DialContext(ctx, "tcp", l.server)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }() // or it was cut
	stop := context.AfterFunc(ctx, func() {
		_ = client.Close()
		_ = server.Close()
	})
	defer stop()

	var silent atomic.Bool
	var requests sync.WaitGroup
	defer requests.Wait()
	requests.Go(func() {
		p.handOnRequests(server, client)
		if !silent.Load() {
			_ = server.Close() // ends the cut's reading too
		}
	})
	switch err := l.cut(client, server); {
	case errors.Is(err, errSilent):
		silent.Store(true)
		_ = client.SetReadDeadline(time.Now()) // ends the requests, and neither side learns of it
		p.cuts.Add(1)
		<-ctx.Done()
	case errors.Is(err, errCut):
		p.cuts.Add(1)
		reset(server) // first: the end of the client's requests would close it properly
		reset(client)
	default:
		_ = client.Close() // the server has ended the connection
	}
}

// handOnRequests hands on what the client sends, and counts retries in it.
func (p *proxy) handOnRequests(server io.Writer, client io.Reader) {
	seen, copied := io.Pipe()
	var counting sync.WaitGroup
	counting.Go(func() {
		countRetries(seen, &p.retries)
		_, _ = io.Copy(io.Discard, seen) // what it does not understand passes all the same
	})
	_, _ = io.Copy(server, io.TeeReader(client, copied)) // how it ended shows on the other side
	_ = copied.Close()
	counting.Wait()
}

// reset closes a connection at once, as a crash does: the other side reads no proper
// end.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
