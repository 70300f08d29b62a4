package server

import (
	"net"
	"sync"
)

// A door hands the connections of one listener to whoever serves at the time: gRPC
// closes what it was given to listen on when it tells its clients to leave.
type door struct {
	net.Listener

	arrivals chan arrival  // unbuffered: who comes between two servers waits
	closed   chan struct{} // closed by close
}

// An arrival is what Accept returned.
type arrival struct {
	conn net.Conn
	err  error
}

func newDoor(l net.Listener) *door {
	return &door{Listener: l, arrivals: make(chan arrival), closed: make(chan struct{})}
}

// run lets connections in until close.
func (d *door) run() {
	for {
		conn, err := d.Accept()
		if err != nil && d.isClosed() {
			return
		}
		select {
		case d.arrivals <- arrival{conn, err}:
		case <-d.closed:
			if err == nil {
				_ = conn.Close() // nobody serves it any more
			}
			return
		}
	}
}

func (d *door) isClosed() bool {
	select {
	case <-d.closed:
		return true
	default:
		return false
	}
}

// close ends run, and has those refused that come later. It is called once.
func (d *door) close() {
	close(d.closed)
	_ = d.Close() // there is nothing to lose
}

// turn returns a listener for one server, which takes what arrives until it is closed.
func (d *door) turn() net.Listener { return &turn{door: d, over: make(chan struct{})} }

type turn struct {
	*door

	over chan struct{}
	once sync.Once
}

// Accept implements net.Listener.
func (t *turn) Accept() (net.Conn, error) {
	select {
	case a := <-t.arrivals:
		return a.conn, a.err
	case <-t.over:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener: the next one's turn comes.
func (t *turn) Close() error {
	t.once.Do(func() { close(t.over) })
	return nil
}
