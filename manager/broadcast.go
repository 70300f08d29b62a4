package manager

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/sauron-stream/sauron/manager/event"
)

// A broadcast owns one generation: its context, its log, and who is attached.
type broadcast struct {
	// Set at creation, then read-only.
	id     string
	key    Key
	route  string
	leader requestName
	window time.Duration // how long its log may be replayed; 0: not at all
	log    *log
	ctx    context.Context // descends from the manager's; holds nothing of a caller's
	cancel context.CancelCauseFunc
	moved  chan struct{} // holds a token when place may have changed; capacity 1

	// Safe by themselves.
	listeners atomic.Int32 // equals subs, for the writer
	finishers atomic.Int32 // readers that were handed the end of a completed log
	bytes     atomic.Int64 // of memory, as counted in Manager.logBytes

	// Owned by the run goroutine.
	preparer Preparer // nil when it was called
	limit    Upstream // known when prepared
	yielded  bool     // the log holds something from the upstream
	token    bool     // ... a token
	written  int64    // bytes appended
	attempts int      // upstream streams opened
	usage    *event.Usage
	reached  event.Stage
	stage    event.Stage // being timed; 0: none
	since    time.Time   // when it began
	spent    [event.StageEnded]time.Duration

	// Guarded by Manager.mu.
	place       place
	upstream    string // limit.Name and limit.MaxStreams, for the admission
	maxStreams  int
	requests    map[*request]struct{} // those with a stream or a hold here
	joined      int                   // requests ever attached
	subs        int
	opened      int // streams ever opened
	holds       int
	orphanOrder uint64 // by when it became an orphan
	dying       bool   // stopped; nobody may join
	ended       bool   // the log is closed
	completed   bool   // ... with the event that completes the answer
	keepable    bool   // ended, and whoever had a stream may read it again
	inWindow    bool   // ... and so may others, as a replay
	windowTimer *time.Timer
	joinTimer   *time.Timer
}

// generationBytes is about what a generation holds besides its log's chunks and index:
// its broadcast, its context, one request, and their places in maps.
const generationBytes = 7 << 8

// orphanLocked reports whether b goes on for leases alone.
func (b *broadcast) orphanLocked() bool {
	return b.subs == 0 && !b.ended && !b.dying
}

// enter moves b to the next stage of its life and logs it. Stages are entered once:
// what a retry does again is not news.
func (m *Manager) enter(b *broadcast, s event.Stage) {
	b.clock(s)
	b.reached = s
	m.append(b, event.Event{Kind: event.KindStage, Stage: s})
}

// clock books the time spent in the current stage and starts the next.
func (b *broadcast) clock(next event.Stage) {
	now := time.Now()
	if b.stage != 0 {
		b.spent[b.stage] += now.Sub(b.since)
	}
	b.stage, b.since = next, now
}

// append encodes e at the end of b's log. It is called by b's goroutine alone.
func (m *Manager) append(b *broadcast, e event.Event) {
	size, grown := b.log.append(e, m.cfg.Encode)
	b.written += int64(size)
	if grown > 0 {
		b.bytes.Add(int64(grown))
		m.logBytes.Add(int64(grown))
	}
	m.appended.Add(1)
	if b.listeners.Load() == 0 {
		m.orphaned.Add(1)
	}
}
