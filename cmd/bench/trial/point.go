// Package trial runs one variant at one point: an upstream, a server and a client as
// processes of their own.
package trial

import "time"

// A Point is what is asked of every variant in the same way.
type Point struct {
	Group string
	Name  string // within the group

	Streams     int
	Conns       int // that the streams share; 0: one each
	Generations int // different ones
	Rate        int // events a second of each generation
	Tokens      int // events of each generation
	Stuck       int // streams that never read beyond a first window
	Stub        bool
	Ramp        time.Duration // over 0: streams begin spread over this and are answered at once, not together
	Limit       time.Duration // until what has not ended is cut off
}

// Asked is how many events a second the point asks for.
func (p Point) Asked() float64 { return float64((p.Streams - p.Stuck) * p.Rate) }

// gated reports whether all answers begin together.
func (p Point) gated() bool { return p.Ramp == 0 }
