package manager

import (
	"sync"

	"github.com/sauron-stream/sauron/manager/event"
)

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

// Wait returns a channel that is closed when Next has something to return, other than a
// cancellation.
func (s *Subscription) Wait() <-chan struct{} {
	if s.broadcast == nil {
		return closed
	}
	return s.broadcast.log.wait(s.at)
}

// wait returns a channel that is closed when there is something at a cursor.
func (l *log) wait(at cursor) <-chan struct{} {
	w := &waiter{log: l, c: make(chan struct{})}
	l.watch(w)
	if b := l.read(&at, 1); b.Events > 0 || b.End != nil {
		w.Wake()
	}
	return w.c
}

// A waiter is woken once.
type waiter struct {
	log  *log
	once sync.Once
	c    chan struct{}
}

func (w *waiter) Wake() {
	w.once.Do(func() {
		close(w.c)
		w.log.unwatch(w)
	})
}

// Log is a log for tests of it alone.
type Log struct{ log *log }

// A Cursor is a place in a Log.
type Cursor struct{ cursor cursor }

// NewLog returns an empty log.
func NewLog() Log { return Log{newLog()} }

// Append appends an entry.
func (l Log) Append(e event.Event, encode func([]byte, int64, event.Event) []byte) (size, grown int) {
	return l.log.append(e, encode)
}

// At returns a cursor before entry next.
func (l Log) At(next int) *Cursor { return &Cursor{l.log.at(next)} }

// Read reads at c and moves it.
func (l Log) Read(c *Cursor, limit int) Batch { return l.log.read(&c.cursor, limit) }

// Wait waits for entry next or the end.
func (l Log) Wait(next int) <-chan struct{} { return l.log.wait(l.log.at(next)) }

// Close ends the log.
func (l Log) Close() { l.log.close(&End{Outcome: Completed}) }
