package main

import (
	"errors"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/net/http2"
)

// A cut hands on what a server sends, up to where the connection is to be cut; there
// it returns errCut, or errSilent if the connection is to stay, with nothing more handed
// on. Any other error, or nil, is the connection's own end.
type cut func(client io.Writer, server io.Reader) error

var (
	errCut    = errors.New("cut")
	errSilent = errors.New("silent")
)

// uncut hands on everything.
func uncut(client io.Writer, server io.Reader) error {
	_, err := io.Copy(client, server)
	return err
}

// afterBytes cuts after exactly n bytes.
func afterBytes(n int64) cut {
	return func(client io.Writer, server io.Reader) error {
		if _, err := io.CopyN(client, server, n); err != nil {
			return err
		}
		return errCut
	}
}

// whenQuiet makes a connection silent on which the server has sent nothing for a second,
// as when its model thinks: then no answer is due to a ping of the client's.
func whenQuiet(client io.Writer, server io.Reader) error {
	conn, ok := server.(net.Conn)
	if !ok {
		return errors.ErrUnsupported
	}
	for buf := make([]byte, 4096); ; {
		if err := conn.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			return err
		}
		n, err := conn.Read(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return errSilent
		}
		if _, writeErr := client.Write(buf[:n]); err != nil || writeErr != nil {
			return errors.Join(err, writeErr)
		}
	}
}

// silently makes a silent connection of one that would be cut.
func silently(c cut) cut {
	return func(client io.Writer, server io.Reader) error {
		if err := c(client, server); !errors.Is(err, errCut) {
			return err
		}
		return errSilent
	}
}

// afterMessages cuts after n messages, which the server sends as one DATA frame each.
func afterMessages(n int) cut {
	return func(client io.Writer, server io.Reader) error {
		for seen := 0; seen < n; {
			f, err := readFrame(server)
			if err != nil {
				return err
			}
			if _, err := client.Write(f.raw); err != nil {
				return err
			}
			if f.header.Type == http2.FrameData {
				seen++
			}
		}
		return errCut
	}
}

// inLastMessage cuts n bytes before the end of a stream's last message. So it holds each
// message back until it is known what follows.
func inLastMessage(n int) cut {
	return func(client io.Writer, server io.Reader) error {
		var message, after []byte // held back: the last message, and what came after it
		for {
			f, err := readFrame(server)
			switch {
			case err != nil:
				return err
			case f.endsStream():
				if _, err := client.Write(message[:max(0, len(message)-n)]); err != nil {
					return err
				}
				return errCut
			case f.header.Type == http2.FrameData:
				if _, err := client.Write(append(message, after...)); err != nil {
					return err
				}
				message, after = f.raw, nil
			case message != nil:
				after = append(after, f.raw...)
			default:
				if _, err := client.Write(f.raw); err != nil {
					return err
				}
			}
		}
	}
}

// inTrailers cuts n bytes before the end of a stream's trailers: all messages came.
func inTrailers(n int) cut {
	return func(client io.Writer, server io.Reader) error {
		for {
			f, err := readFrame(server)
			if err != nil {
				return err
			}
			if f.endsStream() {
				f.raw, err = f.raw[:max(0, len(f.raw)-n)], errCut
			}
			if _, writeErr := client.Write(f.raw); writeErr != nil {
				return writeErr
			}
			if err != nil {
				return err
			}
		}
	}
}
