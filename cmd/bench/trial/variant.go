package trial

import "github.com/sauron-stream/sauron/cmd/bench/role"

// A Variant is one of what is compared.
type Variant struct {
	Name   string // in the report
	Design string // an older design; empty: Sauron, or nothing
	Binary string // Sauron's
	Env    []string
	Flags  []string
	Direct bool // no server: the client asks the upstream
	Off    bool // Sauron with COALESCING_OFF
}

// IsSauron reports whether the variant is Sauron.
func (v Variant) IsSauron() bool { return v.Binary != "" }

// shares reports whether equal requests have one upstream stream.
func (v Variant) shares() bool {
	return v.IsSauron() && !v.Off || v.Design == role.Channel || v.Design == role.Bare || v.Design == role.SSE
}

// speaksHTTP1 reports whether the client gets an event stream, over a connection for
// each request.
func (v Variant) speaksHTTP1() bool { return v.Direct || v.Design == role.SSE }

// Fits reports whether the variant can be asked what the point asks.
func (v Variant) Fits(p Point) bool {
	switch {
	case v.Direct:
		return true
	case v.speaksHTTP1():
		return p.Conns == 0 && !p.Stub
	case v.shares():
		return true
	}
	// Without sharing the upstream has to write every event for every reader, and is,
	// at rates like these, what is measured.
	return p.Asked() <= maxUnshared || p.Generations == p.Streams
}

const maxUnshared = 60_000 // events a second
