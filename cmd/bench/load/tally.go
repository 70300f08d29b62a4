package load

import (
	"math"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/sauron-stream/sauron/cmd/bench/marker"
)

// The histograms' bounds. A value above is counted as the highest.
const (
	lowest  = int64(time.Microsecond)
	highest = int64(2 * time.Minute)
	figures = 3
)

// A tally is what one client's streams got. It is not safe for concurrent use.
type tally struct {
	spec    Spec
	streams []*stream
	latency *hdrhistogram.Histogram
	first   *hdrhistogram.Histogram
	begin   int64
	end     int64
	failed  int64
	why     string // the first failure
}

func newTally(spec Spec) *tally {
	t := &tally{
		spec:    spec,
		latency: hdrhistogram.New(lowest, highest, figures),
		first:   hdrhistogram.New(lowest, highest, figures),
		begin:   math.MaxInt64,
	}
	for i := range spec.Streams {
		t.streams = append(t.streams, newStream(t, i))
	}
	return t
}

// mark counts one event of a stream.
func (t *tally) mark(s *stream, m marker.Mark, at int64) {
	if m.Generation != s.generation {
		s.foreign++
		return
	}
	if !s.checker.See(m.Sequence) || s.stuck {
		return
	}
	if s.checker.Received() == 1 {
		record(t.first, at-s.asked)
	}
	record(t.latency, at-m.Time)
	t.begin = min(t.begin, m.Time)
	t.end = max(t.end, at)
}

func record(h *hdrhistogram.Histogram, v int64) {
	_ = h.RecordValue(min(max(v, lowest), highest)) // within the bounds it can't fail
}

// fail counts a stream that did not end well.
func (t *tally) fail(why string) {
	t.failed++
	if t.why == "" {
		t.why = why
	}
}

// result sums up. Streams that have not ended have failed.
func (t *tally) result() Result {
	r := Result{Begin: t.begin, End: t.end, Latency: percentiles(t.latency), FirstToken: percentiles(t.first)}
	for _, s := range t.streams {
		r.Repeated += s.checker.Repeated
		r.Reordered += s.checker.Reordered
		r.Foreign += s.foreign
		if s.stuck {
			continue
		}
		r.Received += s.checker.Received()
		r.Lost += s.checker.Lost(int64(t.spec.Tokens))
		if !s.ended {
			t.fail("cut off")
		}
	}
	r.Failed, r.Why = t.failed, t.why
	if r.Received == 0 {
		r.Begin = r.End
	}
	return r
}

func percentiles(h *hdrhistogram.Histogram) Percentiles {
	return Percentiles{
		P50: time.Duration(h.ValueAtPercentile(50)),
		P99: time.Duration(h.ValueAtPercentile(99)),
		Max: time.Duration(h.Max()),
	}
}
