package load

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/proto"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

const (
	frameHeaderLen = 9
	firstWindow    = 65535 // HTTP/2's own, of a connection and of each stream
	wholeWindow    = 1<<31 - 1
	regrant        = 1 << 30 // so much taken of a connection's window is granted again
)

var errFrame = errors.New("a frame that this client does not expect")

// http2conn is a gRPC connection. It takes DATA apart without copying it and hands
// everything else to the ordinary framer.
type http2conn struct {
	spec    Spec
	out     bytes.Buffer
	writer  *http2.Framer
	block   bytes.Buffer // a header block that is encoded
	encoder *hpack.Encoder
	decoder *hpack.Decoder
	fields  map[string]string // of the header block that is decoded

	streams map[uint32]*stream
	next    uint32
	taken   uint32 // of the connection's window since it was granted

	// The frame that comes in.
	head   []byte // its header, until it is whole
	header http2.FrameHeader
	left   uint32 // of its payload
	frame  []byte // header and payload, if it is not DATA
}

func newHTTP2(spec Spec) (*http2conn, error) {
	c := &http2conn{spec: spec, streams: make(map[uint32]*stream), next: 1, fields: make(map[string]string)}
	c.writer = http2.NewFramer(&c.out, nil)
	c.encoder = hpack.NewEncoder(&c.block)
	c.decoder = hpack.NewDecoder(4096, func(f hpack.HeaderField) { c.fields[f.Name] = f.Value })
	c.out.WriteString(http2.ClientPreface)
	return c, errors.Join(
		c.writer.WriteSettings(),
		c.writer.WriteWindowUpdate(0, wholeWindow-firstWindow))
}

func (c *http2conn) ask(s *stream) error {
	coalescing := sauronv1.Coalescing_COALESCING_UNSPECIFIED
	if c.spec.Off {
		coalescing = sauronv1.Coalescing_COALESCING_OFF
	}
	message, err := proto.Marshal(&sauronv1.GenerateRequest{
		Model:      "bench",
		Messages:   []*sauronv1.Message{{Role: sauronv1.Role_ROLE_USER, Content: s.prompt()}},
		Coalescing: coalescing,
	})
	if err != nil {
		return err
	}
	c.block.Reset()
	for _, f := range []hpack.HeaderField{
		{Name: ":method", Value: "POST"},
		{Name: ":scheme", Value: "http"},
		{Name: ":path", Value: sauronv1.GenerationService_Generate_FullMethodName},
		{Name: ":authority", Value: c.spec.Address},
		{Name: "content-type", Value: "application/grpc"},
		{Name: "te", Value: "trailers"},
	} {
		if err := c.encoder.WriteField(f); err != nil {
			return err
		}
	}
	id := c.next
	c.next += 2
	c.streams[id] = s
	if err := c.writer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: id, BlockFragment: c.block.Bytes(), EndHeaders: true,
	}); err != nil {
		return err
	}
	if !s.stuck {
		if err := c.writer.WriteWindowUpdate(id, wholeWindow-firstWindow); err != nil {
			return err
		}
	}
	framed := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message)))
	return c.writer.WriteData(id, true, append(framed, message...))
}

func (c *http2conn) feed(p []byte, at int64) error {
	for len(p) > 0 {
		if c.left == 0 { // between frames
			n := min(len(p), frameHeaderLen-len(c.head))
			c.head, p = append(c.head, p[:n]...), p[n:]
			if len(c.head) < frameHeaderLen {
				return nil
			}
			if err := c.begin(); err != nil {
				return err
			}
		}
		n := min(len(p), int(c.left))
		piece := p[:n]
		p, c.left = p[n:], c.left-uint32(n)
		if c.header.Type == http2.FrameData {
			if s := c.streams[c.header.StreamID]; s != nil {
				s.scan(piece, at)
			}
			continue
		}
		c.frame = append(c.frame, piece...)
		if c.left == 0 {
			if err := c.control(); err != nil {
				return err
			}
		}
	}
	return nil
}

// begin looks at a frame's header.
func (c *http2conn) begin() error {
	header, err := http2.ReadFrameHeader(bytes.NewReader(c.head))
	if err != nil {
		return err
	}
	c.header, c.left = header, header.Length
	c.frame = append(c.frame[:0], c.head...)
	c.head = c.head[:0]
	if header.Type != http2.FrameData {
		return nil
	}
	if header.Flags != 0 { // padding, or an end without a status
		return fmt.Errorf("%w: %v", errFrame, header)
	}
	if c.taken += header.Length; c.taken >= regrant {
		err = c.writer.WriteWindowUpdate(0, c.taken)
		c.taken = 0
	}
	return err
}

// control acts on a whole frame that is not DATA.
func (c *http2conn) control() error {
	frame, err := http2.NewFramer(nil, bytes.NewReader(c.frame)).ReadFrame()
	if err != nil {
		return err
	}
	switch f := frame.(type) {
	case *http2.SettingsFrame:
		if !f.IsAck() {
			return c.writer.WriteSettingsAck()
		}
	case *http2.PingFrame:
		if !f.IsAck() {
			return c.writer.WritePing(true, f.Data)
		}
	case *http2.HeadersFrame:
		return c.headers(f)
	case *http2.RSTStreamFrame:
		if s := c.streams[f.StreamID]; s != nil {
			s.end("reset: " + f.ErrCode.String())
		}
	case *http2.WindowUpdateFrame:
	default:
		return fmt.Errorf("%w: %v", errFrame, f)
	}
	return nil
}

// headers acts on a stream's headers or trailers.
func (c *http2conn) headers(f *http2.HeadersFrame) error {
	clear(c.fields)
	if _, err := c.decoder.Write(f.HeaderBlockFragment()); err != nil {
		return err
	}
	if err := c.decoder.Close(); err != nil {
		return err
	}
	s := c.streams[f.StreamID]
	switch {
	case s == nil:
	case !f.StreamEnded():
		s.opened = true
	case c.fields["grpc-status"] == "0":
		s.end("")
	default:
		s.end(fmt.Sprintf("grpc-status %s: %s", c.fields["grpc-status"], c.fields["grpc-message"]))
	}
	return nil
}

func (c *http2conn) eof(why string) {
	if why == "" {
		why = "the connection was closed"
	}
	for _, s := range c.streams {
		s.end(why)
	}
}

func (c *http2conn) pending() []byte {
	p := bytes.Clone(c.out.Bytes())
	c.out.Reset()
	return p
}
