package manager

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/sauron-stream/sauron/manager/event"
	"github.com/sauron-stream/sauron/manager/fault"
)

// A Request is what Join needs to know of one stream.
type Request struct {
	Tenant string
	ID     string // unique within the tenant; not empty
	Key    Key    // of the content
	Route  string // for reports
	// Coalesce: share with other requests of the key. Otherwise only streams of
	// the same id share.
	Coalesce bool
	// Replay: also take a generation of the key that completed within its replay
	// window. It needs Coalesce.
	Replay bool
	// ReplayWindow is how long the generation that this request starts may be replayed
	// after it completed; 0: not at all. It needs Coalesce.
	ReplayWindow time.Duration
	// Resume, unless nil, is where to go on: nothing is started, and sharing does not
	// matter.
	Resume *ResumePoint
	// OrphanGrace is how long a lost request's generation is kept; capped by the
	// manager's own; 0: not at all.
	OrphanGrace time.Duration
	Deadline    time.Time // of this stream; zero: none
	// Preparer makes what the upstream is asked, if this request is the one that
	// starts the generation.
	Preparer Preparer
}

// Join attaches to the generation that r's resume point names; without one to what
// r's id already has, else to what its key has, else it starts one. It does not
// block. The error is a *fault.Error: REQUEST_ID_IN_USE; for a resume point
// GENERATION_GONE, RESUME_MISMATCH or RESUME_OUT_OF_RANGE; for a generation that would
// have to be started DRAINING, SERVER_BUSY or QUEUE_FULL.
func (m *Manager) Join(r Request) (*Subscription, error) {
	flight := string(r.Key[:])
	if !r.Coalesce {
		flight = r.Tenant + "\x00" + r.ID + "\x00" + flight
	}
	for {
		m.mu.Lock()
		sub, err := m.attachLocked(r)
		m.mu.Unlock()
		if sub != nil || err != nil {
			return sub, err
		}
		// One of those who race creates, with itself attached; the others find
		// what it made.
		var mine bool
		_, _, _ = m.creating.Do(flight, func() (any, error) {
			mine = true
			m.mu.Lock()
			defer m.mu.Unlock()
			if sub, err = m.attachLocked(r); sub == nil && err == nil {
				sub, err = m.createLocked(r)
			}
			return nil, nil
		})
		if mine {
			return sub, err
		}
	}
}

// attachLocked attaches r to a generation that is there. It returns nil, nil if
// there is none.
func (m *Manager) attachLocked(r Request) (*Subscription, error) {
	own := m.requests[requestName{r.Tenant, r.ID}]
	same := own != nil && own.key == r.Key
	if same && own.cancelled && own.known(time.Now()) {
		// A late retry does not bring it back to life, at whatever point.
		return m.cancelledSubscription(own, r), nil
	}
	if r.Resume != nil {
		return m.resumeLocked(r, own)
	}
	if own != nil {
		switch {
		case own.cancelled, own.b == nil:
			// Only remembered: it may begin anew.
		case !same && (!own.b.ended || len(own.subs) > 0):
			return nil, fault.New(fault.RequestIDInUse, nil)
		case same && (!own.b.ended || own.b.keepable):
			return m.subscribeLocked(own, r), nil
		}
	}
	if !r.Coalesce {
		return nil, nil
	}
	b := m.joinable[r.Key]
	if b == nil && r.Replay {
		b = m.replayLocked(r.Key)
	}
	if b == nil {
		return nil, nil
	}
	return m.subscribeLocked(m.bindLocked(r, b), r), nil
}

// createLocked starts a generation with r as its leader.
func (m *Manager) createLocked(r Request) (*Subscription, error) {
	if m.draining {
		return nil, refuse(fault.Draining, nil)
	}
	if !m.makeRoomLocked() {
		return nil, refuse(fault.ServerBusy, fmt.Errorf("manager: logs hold %d bytes", m.logBytes.Load()))
	}
	ctx, cancel := context.WithCancelCause(m.ctx)
	b := &broadcast{
		id:       rand.Text(),
		key:      r.Key,
		route:    r.Route,
		leader:   requestName{r.Tenant, r.ID},
		preparer: r.Preparer,
		log:      newLog(),
		ctx:      ctx,
		cancel:   cancel,
		moved:    make(chan struct{}, 1),
		requests: make(map[*request]struct{}),
	}
	if !m.enterQueueLocked(b) {
		cancel(nil)
		return nil, refuse(fault.QueueFull, nil)
	}
	if r.Replay && r.ReplayWindow > 0 {
		m.replays.misses++
	}
	m.live[b] = struct{}{}
	m.readable[b.id] = b
	held := int64(generationBytes + b.log.head.memory())
	b.bytes.Store(held)
	m.logBytes.Add(held)
	if r.Coalesce {
		m.joinable[r.Key] = b
		b.window = r.ReplayWindow
	}
	sub := m.subscribeLocked(m.bindLocked(r, b), r)
	m.enter(b, event.StageQueued)
	m.running.Go(func() { m.run(b) })
	return sub, nil
}

// bindLocked makes r's id name b's generation, whatever it named before.
func (m *Manager) bindLocked(r Request, b *broadcast) *request {
	name := requestName{r.Tenant, r.ID}
	if old := m.requests[name]; old != nil {
		m.releaseLocked(old)
	}
	q := &request{
		name:         name,
		key:          r.Key,
		generationID: b.id,
		leader:       b.leader == name,
		b:            b,
		subs:         make(map[*Subscription]struct{}, 1),
	}
	m.requests[name] = q
	b.requests[q] = struct{}{}
	b.joined++
	return q
}

// subscribeLocked opens a stream of q, which is bound to a generation that may be
// read.
func (m *Manager) subscribeLocked(q *request, r Request) *Subscription {
	b := q.b
	s := &Subscription{
		manager:       m,
		request:       q,
		broadcast:     b,
		generationID:  b.id,
		participation: q.participation(r),
		grace:         min(r.OrphanGrace, m.cfg.OrphanGrace),
		deadline:      r.Deadline,
		ordinal:       b.opened,
		at:            b.log.at(0),
		cancelled:     make(chan struct{}),
	}
	q.subs[s] = struct{}{}
	q.forgetAt = time.Time{}
	b.subs++
	b.opened++
	b.listeners.Store(int32(b.subs))
	m.subs++
	m.releaseLocked(q) // a stream is more than a hold
	if b.subs == 1 {
		m.advanceLocked() // an orphan that is attended again may move on
	}
	return s
}

// cancelledSubscription returns a stream that has nothing but its cancellation.
func (m *Manager) cancelledSubscription(q *request, r Request) *Subscription {
	s := &Subscription{
		manager:       m,
		request:       q,
		generationID:  q.generationID,
		participation: q.participation(r),
		cancelled:     closed,
		left:          true,
	}
	s.state.Store(detached)
	return s
}
