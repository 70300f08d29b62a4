package manager

import (
	"time"

	"github.com/sauron-stream/sauron/manager/event"
)

// Config holds the manager's limits and what it calls out to. It is read by New
// and not kept by reference. Counts and times are taken as they are: the
// defaults are the command line's.
type Config struct {
	MaxConcurrentRequests   int // prepare permits, at least 1
	MaxConcurrentLLMStreams int // stream slots, at least 1
	QueueCapacity           int // generations that wait for a prepare permit
	PreparedBacklog         int // generations that wait for a stream slot
	// MaxQueueWait bounds the time in the queue, and again the time in the backlog.
	MaxQueueWait time.Duration

	OrphanGrace time.Duration // the longest lease; also how long an ended log is kept
	IDMemory    time.Duration // how long ended and cancelled ids are remembered

	GenerationTimeout   time.Duration // from the first stream slot on; above 0
	UpstreamIdleTimeout time.Duration // between two signs of life of the upstream; above 0

	MaxGenerationBytes int64 // one log, encoded
	MaxLogBytes        int64 // all logs together; over it no generation starts

	// Encode appends one log entry to dst and returns the extended slice. It is
	// called by one goroutine per generation and must not keep dst.
	Encode func(dst []byte, sequence int64, e event.Event) []byte

	// OnGeneration, if set, is called once per generation after it ended and after
	// its upstream was let go, from the generation's own goroutine, with no lock
	// held.
	OnGeneration func(Report)
	// OnAttempt, if set, is called once per upstream attempt after it ended.
	OnAttempt func(upstream string, outcome Outcome)
}
