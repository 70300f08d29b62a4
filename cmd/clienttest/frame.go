package main

import (
	"bytes"
	"io"

	"golang.org/x/net/http2"
)

// A frame is one HTTP/2 frame.
type frame struct {
	header http2.FrameHeader
	raw    []byte // as it was on the wire, header included
}

// endsStream reports whether f is a gRPC server's trailers, with which it ends a stream.
func (f frame) endsStream() bool {
	return f.header.Type == http2.FrameHeaders && f.header.Flags.Has(http2.FlagHeadersEndStream)
}

func readFrame(r io.Reader) (frame, error) {
	var raw bytes.Buffer
	tee := io.TeeReader(r, &raw)
	header, err := http2.ReadFrameHeader(tee)
	if err != nil {
		return frame{}, err
	}
	_, err = io.CopyN(io.Discard, tee, int64(header.Length))
	return frame{header, raw.Bytes()}, err
}
