package manager

import "time"

// leave ends a subscription that is still counted, and decides what its request
// leaves behind.
func (m *Manager) leave(s *Subscription, how Outcome) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s.left {
		return
	}
	m.uncountLocked(s)
	q, b := s.request, s.broadcast
	if len(q.subs) > 0 {
		return
	}
	q.forgetAt = time.Now().Add(m.cfg.IDMemory)
	lost := how == Disconnected || how == Slow
	switch {
	case q.cancelled, how == Deadline:
	case lost && !b.ended && !m.draining, b.ended && b.keepable:
		m.holdLocked(q, s, lost)
	}
	m.unbindLocked(q)
	m.settleLocked()
}

// uncountLocked takes s off its request and its broadcast.
func (m *Manager) uncountLocked(s *Subscription) {
	s.left = true
	delete(s.request.subs, s)
	s.broadcast.subs--
	s.broadcast.listeners.Store(int32(s.broadcast.subs))
	m.subs--
	if b := s.broadcast; b.subs == 0 {
		m.orphans++
		b.orphanOrder = m.orphans
	}
}

// holdLocked keeps q's generation for as long as s's stream asked for. No lease
// outlives the deadline of the stream that left it.
func (m *Manager) holdLocked(q *request, s *Subscription, lost bool) {
	now := time.Now()
	until := now.Add(s.grace)
	if lost && !s.deadline.IsZero() && s.deadline.Before(until) {
		until = s.deadline
	}
	if m.closed || !until.After(now) {
		return
	}
	h := &hold{until: until, lost: lost}
	h.timer = time.AfterFunc(until.Sub(now), func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if q.hold == h { // neither attached to nor cancelled meanwhile
			m.releaseLocked(q)
		}
	})
	q.hold = h
	q.b.holds++
	if !q.b.ended {
		q.forgetAt = time.Time{} // it goes on
	}
}

// releaseLocked ends q's hold, if it has one.
func (m *Manager) releaseLocked(q *request) {
	if q.hold == nil {
		return
	}
	q.hold.timer.Stop()
	q.hold = nil
	q.b.holds--
	if q.forgetAt.IsZero() && len(q.subs) == 0 {
		q.forgetAt = time.Now().Add(m.cfg.IDMemory)
	}
	m.unbindLocked(q)
}

// unbindLocked lets q's generation go if q has neither stream nor hold on it any
// more, and remembers the id. The last one out stops the work, or frees the log.
func (m *Manager) unbindLocked(q *request) {
	b := q.b
	if b == nil {
		return
	}
	if len(q.subs) == 0 && q.hold == nil {
		delete(b.requests, q)
		q.b = nil
		if m.requests[q.name] == q {
			m.rememberLocked(q)
		}
	}
	switch {
	case b.subs > 0, b.dying && !b.ended:
	case b.holds > 0:
		m.advanceLocked() // it may have become an orphan
	case b.ended:
		if !b.inWindow {
			m.freeLocked(b)
		}
	default:
		m.stopLocked(b, errAbandoned)
		m.advanceLocked()
	}
}

// stopLocked stops a running generation: from now on nobody finds it. Leases on it
// end. What waits gives its place up at once, what prepares or streams when its
// upstream has let go. advanceLocked must follow.
func (m *Manager) stopLocked(b *broadcast, cause error) {
	if b.dying || b.ended {
		return
	}
	b.dying = true
	delete(m.readable, b.id)
	if m.joinable[b.key] == b {
		delete(m.joinable, b.key)
	}
	if b.place != preparing && b.place != streaming {
		m.removeLocked(b)
	}
	for q := range b.requests {
		m.releaseLocked(q)
	}
	b.cancel(cause)
}

// freeLocked lets the log of an ended generation go: nobody can ask for it any
// more.
func (m *Manager) freeLocked(b *broadcast) {
	if m.joinable[b.key] == b {
		delete(m.joinable, b.key)
	}
	delete(m.readable, b.id)
	if b.joinTimer != nil {
		b.joinTimer.Stop()
	}
	m.logBytes.Add(-b.bytes.Swap(0))
}
