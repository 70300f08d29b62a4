package load

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sauron-stream/sauron/cmd/bench/clock"
)

const (
	readBuffer = 256 << 10
	longPoll   = 50 * time.Millisecond // how late an end of the context is seen
)

// A loop runs all connections of a client in one goroutine.
type loop struct {
	spec  Spec
	clock clock.Clock
	tally *tally
	epoll int
	conns []*conn       // by the order in which they were dialled
	byFD  map[int]*conn // those that are open
	asked int           // streams so far
	buf   []byte
	ready []unix.EpollEvent
}

func newLoop(spec Spec, c clock.Clock) (*loop, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	return &loop{
		spec: spec, clock: c, tally: newTally(spec), epoll: epoll, byFD: make(map[int]*conn),
		buf: make([]byte, readBuffer), ready: make([]unix.EpollEvent, 256),
	}, nil
}

// close closes what is open. Streams that have not ended are cut off by it.
func (l *loop) close() error {
	var all []error
	for _, c := range l.conns {
		if !c.closed {
			all = append(all, c.socket.close())
		}
	}
	return errors.Join(append(all, unix.Close(l.epoll))...)
}

// run sends the requests, then takes what comes until done says that it is enough.
func (l *loop) run(ctx context.Context, done func() bool) error {
	start := time.Now()
	for ctx.Err() == nil {
		wait, err := l.ask(start)
		if err != nil {
			return err
		}
		if l.asked == l.spec.Streams && done() {
			return nil
		}
		if err := l.poll(wait); err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

// ask sends the requests whose time has come. It returns how long the next has time.
func (l *loop) ask(start time.Time) (time.Duration, error) {
	for l.asked < l.spec.Streams {
		due := time.Duration(l.asked) * l.spec.Ramp / time.Duration(l.spec.Streams)
		if wait := due - time.Since(start); wait > 0 {
			return min(wait, longPoll), nil
		}
		s := l.tally.streams[l.asked]
		c, err := l.conn(l.asked, s)
		if err != nil {
			return 0, err
		}
		if err := c.ask(s, l.clock.Now()); err != nil {
			return 0, err
		}
		l.asked++
		if l.asked%64 == 0 {
			return 0, nil // let answers in
		}
	}
	return longPoll, nil
}

// conn returns the connection of stream i.
func (l *loop) conn(i int, s *stream) (*conn, error) {
	if l.spec.Conns > 0 && i >= l.spec.Conns {
		return l.conns[i%l.spec.Conns], nil
	}
	c, err := dial(l.spec, s.stuck)
	if err != nil {
		return nil, err
	}
	l.conns = append(l.conns, c)
	l.byFD[c.socket.fd] = c
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(c.socket.fd)}
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, c.socket.fd, &event); err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	return c, nil
}

// poll waits for input and takes it.
func (l *loop) poll(wait time.Duration) error {
	// Rounded up: a wait of 0 would spin until the next request's time.
	millis := int((wait + time.Millisecond - 1) / time.Millisecond)
	n, err := unix.EpollWait(l.epoll, l.ready, millis)
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("epoll: %w", err)
	}
	for i := range max(0, n) {
		if err := l.read(l.byFD[int(l.ready[i].Fd)]); err != nil {
			return err
		}
	}
	return nil
}

// read takes what one connection has.
func (l *loop) read(c *conn) error {
	n, err := unix.Read(c.socket.fd, l.buf)
	at := l.clock.Now()
	switch {
	case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR):
		return nil
	case err != nil:
		return l.hangUp(c, err.Error())
	case n == 0:
		return l.hangUp(c, "")
	}
	if err := c.feed(l.buf[:n], at); err != nil {
		return l.hangUp(c, err.Error())
	}
	if l.spec.Protocol == HTTP1 && c.streams[0].stuck && c.streams[0].opened {
		// From here on nobody reads it.
		return unix.EpollCtl(l.epoll, unix.EPOLL_CTL_DEL, c.socket.fd, nil)
	}
	return nil
}

func (l *loop) hangUp(c *conn, why string) error {
	c.protocol.eof(why)
	c.closed = true
	delete(l.byFD, c.socket.fd)
	return c.socket.close() // epoll forgets it by itself
}
