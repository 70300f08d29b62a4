package load

import "errors"

// A conn is one connection and its protocol.
type conn struct {
	socket   socket
	protocol protocol
	streams  []*stream
	closed   bool
}

func dial(spec Spec, stuck bool) (*conn, error) {
	var p protocol = &http1{spec: spec}
	if spec.Protocol == GRPC {
		var err error
		if p, err = newHTTP2(spec); err != nil {
			return nil, err
		}
	}
	s, err := connect(spec.Address, stuck && spec.Protocol == HTTP1)
	if err != nil {
		return nil, err
	}
	return &conn{socket: s, protocol: p}, nil
}

// ask sends a stream's request.
func (c *conn) ask(s *stream, at int64) error {
	c.streams = append(c.streams, s)
	s.asked = at
	return errors.Join(c.protocol.ask(s), c.flush())
}

// feed takes what came and answers it.
func (c *conn) feed(p []byte, at int64) error {
	return errors.Join(c.protocol.feed(p, at), c.flush())
}

func (c *conn) flush() error {
	if p := c.protocol.pending(); len(p) > 0 {
		return c.socket.write(p)
	}
	return nil
}
