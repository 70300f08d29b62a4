// Package load is the client of the bench. It must cost so little that it is never the
// part that is measured, so it looks for marks in the raw bytes of HTTP/2 and HTTP/1
// connections, all in one goroutine over epoll. A client of generated grpc-go stubs
// checks the main points.
package load

import "time"

// The protocols that a client speaks.
const (
	GRPC     = "grpc"      // gRPC, by its frames
	HTTP1    = "http1"     // an event stream over HTTP/1.1
	GRPCStub = "grpc-stub" // gRPC, by the generated client
)

// A Spec says what a client asks for.
type Spec struct {
	Protocol string
	Address  string // of the server
	Path     string // HTTP1: what to post to
	Body     string // HTTP1: the body's form, with one %s for the prompt

	Streams     int
	Conns       int // that the streams share; 0: one each
	Generations int // different ones; stream i asks for i modulo this
	First       int // the number of the first generation
	Tokens      int // that each answer must have
	Stuck       int // so many streams never let the server send more than a first window
	Off         bool
	Ramp        time.Duration // from the first request to the last; 0: all at once
	Limit       time.Duration // until what has not ended is cut off
}
