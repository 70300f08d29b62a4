package manager

import (
	"sync/atomic"
	"time"
)

// How much of a stream is decided. A subscription leaves attached once.
const (
	attached int32 = iota // reads on
	handed                // its end was handed out by Next
	detached              // cancelled first
)

// A Subscription is one open stream of a request: a cursor into a generation's
// log and a private end. One goroutine reads it; Cancel may end it at any time.
// Whoever joined must call Leave exactly when it stops reading.
type Subscription struct {
	// Set by Join, then read-only.
	manager       *Manager
	request       *request
	broadcast     *broadcast // nil for a request that was cancelled before
	generationID  string
	participation Participation
	ordinal       int
	grace         time.Duration
	deadline      time.Time // zero: none

	// Safe by themselves.
	state     atomic.Int32
	cancelled chan struct{} // closed when state becomes detached

	// Owned by the reader.
	at      cursor // behind what was handed out, or what the caller had before
	resumed bool   // it had some of the answer before
	shared  int64

	left bool // no longer counted; guarded by Manager.mu
}

// Participation is how a request takes part in a generation.
type Participation string

// The participations, as metrics and logs name them.
const (
	Leader   Participation = "leader"   // created it
	Follower Participation = "follower" // joined it while it ran
	Replay   Participation = "replay"   // reads the log of an ended one
)

// closed is ready at once.
var closed = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

var cancelledEnd = &End{Outcome: Cancelled}

// RequestID returns the request's id.
func (s *Subscription) RequestID() string { return s.request.name.id }

// GenerationID returns the id of the generation that is read.
func (s *Subscription) GenerationID() string { return s.generationID }

// Participation returns how the request takes part.
func (s *Subscription) Participation() Participation { return s.participation }

// Next returns what lies beyond the cursor and moves it, without blocking: at most
// limit bytes, but at least one entry if there is one. An empty Batch says to
// wait. A Batch with an End is the last: handing it out and being cancelled
// exclude each other, whichever comes first.
func (s *Subscription) Next(limit int) Batch {
	before := s.at
	if s.state.Load() == detached {
		return Batch{Last: int64(before.next), End: cancelledEnd}
	}
	b := s.broadcast.log.read(&s.at, limit)
	if b.End != nil && !s.state.CompareAndSwap(attached, handed) {
		s.at = before
		return Batch{Last: int64(before.next), End: cancelledEnd}
	}
	if b.End != nil && b.End.Outcome == Completed && b.End.Usage != nil && !s.resumed && s.broadcast.finishers.Add(1) > 1 {
		s.shared = b.End.Usage.Completion
	}
	return b
}

// Watch has w woken whenever Next may have something new to return, other than a
// cancellation. One Watcher may watch for all readers of a generation: what Watch was
// called on does not matter. What came before must be looked for afterwards.
func (s *Subscription) Watch(w Watcher) {
	if s.broadcast != nil { // else all that comes is there
		s.broadcast.log.watch(w)
	}
}

// Unwatch ends a Watch. A Wake may be under way.
func (s *Subscription) Unwatch(w Watcher) {
	if s.broadcast != nil {
		s.broadcast.log.unwatch(w)
	}
}

// Ordinal returns how many streams were opened on the generation before this one.
func (s *Subscription) Ordinal() int { return s.ordinal }

// Cancelled returns a channel that is closed when the request is cancelled before
// its end was handed out.
func (s *Subscription) Cancelled() <-chan struct{} { return s.cancelled }

// SharedTokens returns the completion tokens that this reader got and another had
// got before it: what sharing saved. It is 0 until the end was handed out.
func (s *Subscription) SharedTokens() int64 { return s.shared }

// detach decides the stream for a cancellation. It reports whether it did.
func (s *Subscription) detach() bool {
	if !s.state.CompareAndSwap(attached, detached) {
		return false
	}
	close(s.cancelled)
	return true
}

// Leave ends the subscription. Disconnected and Slow leave a lease for the grace,
// but not beyond the stream's deadline; Deadline leaves none. Any other outcome
// keeps the ended log for the grace, for nobody knows whether the client got the
// last bytes.
func (s *Subscription) Leave(how Outcome) { s.manager.leave(s, how) }
