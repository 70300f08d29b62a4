package trial

import (
	"fmt"
	"time"

	"github.com/sauron-stream/sauron/cmd/bench/load"
	"github.com/sauron-stream/sauron/cmd/bench/proc"
	"github.com/sauron-stream/sauron/cmd/bench/upstream"
)

// An Outcome is what one run showed.
type Outcome struct {
	Point      Point
	Variant    string
	Sauron     bool
	Repetition int

	load.Result
	Wall     time.Duration  // over which the processor times were taken
	CPU      time.Duration  // the server's
	Client   time.Duration  // the client's
	Upstream time.Duration  // the upstream's
	Paid     upstream.Stats // what the upstream was made to do
	Streams  int64          // that it should have had
	Base     proc.Memory    // the server's after the warm-up
	Idle     proc.Memory    // with all streams open, before the first event
	Peak     proc.Memory    // at the end
	Heap     proc.Heap      // the server's allocations
}

// CPUPerDelivery is the server's processor time for each event received.
func (o Outcome) CPUPerDelivery() time.Duration { return per(o.CPU, o.Received) }

func per(d time.Duration, n int64) time.Duration { return d / time.Duration(max(1, n)) }

// PerSecond is how many events came a second.
func (o Outcome) PerSecond() float64 {
	if o.Elapsed() <= 0 {
		return 0
	}
	return float64(o.Received) / o.Elapsed().Seconds()
}

// IdlePerStream is the memory of one open stream before its first event, in bytes.
func (o Outcome) IdlePerStream() float64 {
	return float64(o.Idle.RSS-o.Base.RSS) / float64(o.Point.Streams)
}

// PeakPerStream is the memory of one stream when it was most, in bytes.
func (o Outcome) PeakPerStream() float64 {
	return float64(o.Peak.Peak-o.Base.RSS) / float64(o.Point.Streams)
}

// ObjectsPerDelivery is how many allocations there were for each event received.
func (o Outcome) ObjectsPerDelivery() float64 { return o.Heap.Objects / float64(max(1, o.Received)) }

// Wrong says what in a run of Sauron must not be; empty: nothing. Of the older designs
// the same figures are only reported: to lose events is what some of them do.
func (o Outcome) Wrong() string {
	switch {
	case o.Received == 0:
		return "nothing came"
	case !o.Sauron:
		return ""
	case o.Lost != 0 || o.Repeated != 0 || o.Reordered != 0 || o.Foreign != 0:
		return fmt.Sprintf("%d lost, %d repeated, %d reordered, %d of another generation", o.Lost, o.Repeated, o.Reordered, o.Foreign)
	case o.Failed != 0:
		return fmt.Sprintf("%d streams failed: %s", o.Failed, o.Why)
	case o.Paid.Streams != o.Streams:
		return fmt.Sprintf("%d upstream streams, want %d", o.Paid.Streams, o.Streams)
	}
	return ""
}
