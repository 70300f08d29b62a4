package load

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// stuckBuffer is the receive buffer of a connection that is not read, in bytes.
const stuckBuffer = 16 << 10

// A socket is a TCP connection that never blocks a read.
type socket struct{ fd int }

// connect returns a connection to a server on this machine.
func connect(address string, stuck bool) (socket, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return socket{}, err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return socket{}, fmt.Errorf("socket: %w", err)
	}
	s := socket{fd}
	if err := s.setUp(to, stuck); err != nil {
		return socket{}, errors.Join(fmt.Errorf("connect to %s: %w", address, err), s.close())
	}
	return s, nil
}

func (s socket) setUp(to netip.AddrPort, stuck bool) error {
	if stuck {
		if err := unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, stuckBuffer); err != nil {
			return err
		}
	}
	// On loopback this does not wait.
	if err := unix.Connect(s.fd, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}); err != nil {
		return err
	}
	if err := unix.SetsockoptInt(s.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return err
	}
	return unix.SetNonblock(s.fd, true)
}

// write writes all of p. It waits for room, which a few small requests never need.
func (s socket) write(p []byte) error {
	for len(p) > 0 {
		n, err := unix.Write(s.fd, p)
		switch {
		case err == nil:
			p = p[n:]
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			room := []unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLOUT}}
			if _, err := unix.Poll(room, 1000); err != nil && !errors.Is(err, unix.EINTR) {
				return fmt.Errorf("poll: %w", err)
			}
		default:
			return fmt.Errorf("write: %w", err)
		}
	}
	return nil
}

func (s socket) close() error { return unix.Close(s.fd) }
