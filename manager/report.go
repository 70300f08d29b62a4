package manager

import (
	"time"

	"github.com/sauron-stream/sauron/manager/event"
)

// Outcome says how a request, a generation or an upstream attempt ended, as
// metrics and logs name it.
type Outcome string

// The outcomes. A generation and an attempt end Completed, Failed or Stopped.
const (
	Completed    Outcome = "completed"    // the answer is whole
	Cancelled    Outcome = "cancelled"    // by Cancel
	Disconnected Outcome = "disconnected" // the client went away
	Deadline     Outcome = "deadline"     // the caller's own
	Slow         Outcome = "slow"         // the caller took nothing for too long
	Failed       Outcome = "failed"
	Refused      Outcome = "refused" // before headers
	Stopped      Outcome = "stopped" // nobody was left, or the service ended
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
	Attempts     int   // upstream streams that were opened
	Usage        *event.Usage
	Stages       [event.StageEnded]time.Duration // time spent, by stage; attempts add up
	Reached      event.Stage                     // the last stage that was entered
}
