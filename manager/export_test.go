package manager

import "github.com/sauron-stream/sauron/manager/event"

// Left is what a manager still holds, for tests that want nothing left.
type Left struct {
	Live, Joinable, Requests, Remembered, Subs    int
	Queue, Preparing, Blocked, Backlog, Streaming int
	LogBytes, ReplayBytes                         int64
	Readable, Replays                             int
}

// Left returns what m holds.
func (m *Manager) Left() Left {
	m.mu.Lock()
	defer m.mu.Unlock()
	return Left{
		Live: len(m.live), Joinable: len(m.joinable), Requests: len(m.requests),
		Remembered: len(m.memory.ended), Subs: m.subs,
		Queue: len(m.admission.queue), Preparing: m.admission.preparing, Blocked: len(m.admission.blocked),
		Backlog: len(m.admission.backlog), Streaming: len(m.admission.streaming),
		LogBytes: m.logBytes.Load(), ReplayBytes: m.replays.bytes,
		Readable: len(m.readable), Replays: m.replays.logs.Len(),
	}
}

// MaxRemembered is the bound of the memory of ids.
const MaxRemembered = maxRemembered

// MaxDelta is the longest delta of one event.
const MaxDelta = maxDelta

// Pieces splits an event.
var Pieces = pieces

// Log is a log for tests of it alone.
type Log struct{ log *log }

// NewLog returns an empty log.
func NewLog() Log { return Log{newLog()} }

// Append appends an entry.
func (l Log) Append(e event.Event, encode func([]byte, int64, event.Event) []byte) (size, grown int) {
	return l.log.append(e, encode)
}

// Read reads from entry next on.
func (l Log) Read(next, limit int) Batch { return l.log.read(next, limit) }

// Wait waits for entry next or the end.
func (l Log) Wait(next int) <-chan struct{} { return l.log.wait(next) }

// Close ends the log.
func (l Log) Close() { l.log.close(&End{Outcome: Completed}) }
