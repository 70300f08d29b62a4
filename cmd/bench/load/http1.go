package load

import (
	"bytes"
	"fmt"
)

// http1 is an HTTP/1.1 connection with one request, whose answer ends with it.
type http1 struct {
	spec   Spec
	out    []byte
	stream *stream
	head   []byte // of the answer, until it is whole
}

func (c *http1) ask(s *stream) error {
	c.stream = s
	body := fmt.Sprintf(c.spec.Body, s.prompt())
	c.out = fmt.Appendf(c.out, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n"+
		"Connection: close\r\nContent-Length: %d\r\n\r\n%s", c.spec.Path, c.spec.Address, len(body), body)
	return nil
}

func (c *http1) feed(p []byte, at int64) error {
	if c.stream.opened {
		c.stream.scan(p, at)
		return nil
	}
	c.head = append(c.head, p...)
	head, rest, whole := bytes.Cut(c.head, []byte("\r\n\r\n"))
	if !whole {
		return nil
	}
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 200 ")) {
		first, _, _ := bytes.Cut(head, []byte("\r\n"))
		return fmt.Errorf("answered %q", first)
	}
	c.stream.opened = true
	c.stream.scan(rest, at)
	return nil
}

func (c *http1) eof(why string) {
	if !c.stream.opened && why == "" {
		why = "no answer"
	}
	c.stream.end(why)
}

func (c *http1) pending() []byte {
	p := c.out
	c.out = nil
	return p
}
