package load

import (
	"github.com/sauron-stream/sauron/cmd/bench/marker"
	"github.com/sauron-stream/sauron/cmd/bench/upstream"
)

// A stream is one request and what came of it.
type stream struct {
	tally      *tally
	generation uint32
	stuck      bool
	asked      int64 // when the request was sent
	opened     bool  // the answer's headers came
	ended      bool

	scanner marker.Scanner
	checker marker.Checker
	foreign int64

	at    int64             // of the bytes that are scanned
	found func(marker.Mark) // made once
}

func newStream(t *tally, i int) *stream {
	s := &stream{
		tally:      t,
		generation: uint32(t.spec.First + i%max(1, t.spec.Generations)),
		stuck:      i < t.spec.Stuck,
	}
	s.found = func(m marker.Mark) { s.tally.mark(s, m, s.at) }
	return s
}

// scan takes bytes of the answer that came at a time.
func (s *stream) scan(p []byte, at int64) {
	s.at = at
	s.scanner.Scan(p, s.found)
}

// end notes the end of the stream. Why is empty if it ended well.
func (s *stream) end(why string) {
	if s.ended {
		return
	}
	s.ended = true
	if why != "" && !s.stuck {
		s.tally.fail(why)
	}
}

func (s *stream) prompt() string { return upstream.Prompt(int(s.generation)) }
