package manager

import (
	"github.com/sauron-stream/sauron/manager/event"
	"github.com/sauron-stream/sauron/manager/fault"
)

// A Batch is what a subscription can hand on at once.
type Batch struct {
	Data       []byte // a run of whole entries, immutable and shared; may be empty
	Events     int    // how many entries
	Last       int64  // the sequence of the last event handed out so far
	FirstToken bool   // the run holds the generation's first token
	End        *End   // non-nil: nothing follows Data
}

// An End says how a stream ends. It is immutable and may be shared.
type End struct {
	Outcome Outcome      // Completed, Cancelled, Failed or Stopped
	Err     *fault.Error // why not; nil if Completed or Cancelled, or if nobody could read it
	Usage   *event.Usage // the generation's, if the upstream sent one
}
