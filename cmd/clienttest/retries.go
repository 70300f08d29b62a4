package main

import (
	"io"
	"sync/atomic"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// previousAttempts is the header by which a gRPC client's retry policy tells a request
// that it sends again from a new one.
const previousAttempts = "grpc-previous-rpc-attempts"

// countRetries reads what a gRPC client sends and counts its retries, up to the end or
// what is no HTTP/2.
func countRetries(r io.Reader, count *atomic.Int64) {
	if _, err := io.CopyN(io.Discard, r, int64(len(http2.ClientPreface))); err != nil {
		return
	}
	framer := http2.NewFramer(io.Discard, r)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	for {
		f, err := framer.ReadFrame()
		if err != nil {
			return
		}
		request, ok := f.(*http2.MetaHeadersFrame)
		if !ok {
			continue
		}
		for _, field := range request.Fields {
			if field.Name == previousAttempts {
				count.Add(1)
			}
		}
	}
}
