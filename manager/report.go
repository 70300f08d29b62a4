package manager

import (
	"time"

	"github.com/sauron-stream/sauron/manager/event"
)

// Outcome says how a generation or an attempt ended, as metrics and logs name it.
type Outcome string

// The outcomes of a generation.
const (
	Completed Outcome = "completed" // the answer is whole
	Failed    Outcome = "failed"
	Stopped   Outcome = "stopped" // nobody was left, or the service ended
)

// A Report is what is known of a generation when it has ended.
type Report struct {
	GenerationID string
	Tenant       string
	Route        string
	Upstream     string // empty if it never got that far
	Outcome      Outcome
	Err          error // why it did not complete; internal text, for the log alone
	Events       int64 // entries of the log
	Bytes        int64 // of the log, encoded
	Requests     int   // request ids that were ever attached
	Usage        *event.Usage
	// Stages holds the time spent in each stage that was entered; repeated
	// attempts add up.
	Stages map[event.Stage]time.Duration
}
