package load

import "time"

// A Result says what a client got. Streams that are stuck count only where it says so.
type Result struct {
	Received  int64 // different events
	Lost      int64 // that were to come and did not
	Repeated  int64 // stuck streams too
	Reordered int64 // stuck streams too
	Foreign   int64 // of a generation that was not asked for; stuck streams too
	Failed    int64 // streams that ended with an error or not at all
	Why       string

	Begin, End int64 // CLOCK_MONOTONIC of the oldest event's writing and the last receipt

	Latency    Percentiles // of each event, from the upstream's write
	FirstToken Percentiles // of each stream, from its request
}

// Elapsed is how long the events took to come.
func (r Result) Elapsed() time.Duration { return time.Duration(r.End - r.Begin) }

// Percentiles of durations.
type Percentiles struct{ P50, P99, Max time.Duration }
