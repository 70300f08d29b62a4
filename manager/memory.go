package manager

import "time"

// maxRemembered bounds the ids that are remembered after their end. Over it the
// oldest are forgotten early.
const maxRemembered = 100_000

// memory holds the requests that ended, oldest first, until they are forgotten.
// A request that came back to life in between is in it as a stale entry. Guarded by
// Manager.mu.
type memory struct {
	entries []remembered
	timer   *time.Timer // nil if nothing is due; may fire early, never late
}

type remembered struct {
	request *request
	until   time.Time
}

// rememberLocked puts q, which has neither stream nor hold, into the memory until
// q.forgetAt, and forgets what is due.
func (m *Manager) rememberLocked(q *request) {
	m.memory.entries = append(m.memory.entries, remembered{q, q.forgetAt})
	m.forgetLocked()
}

// forgetLocked drops what is due or too much and sets the timer for the rest.
func (m *Manager) forgetLocked() {
	now := time.Now()
	entries := m.memory.entries
	for len(entries) > 0 && (len(entries) > maxRemembered || !now.Before(entries[0].until)) {
		q, until := entries[0].request, entries[0].until
		entries[0] = remembered{}
		entries = entries[1:]
		// Stale if q has come back to life, ended again later, or made way for a
		// newer request of its id.
		if q.b == nil && q.forgetAt.Equal(until) && m.requests[q.name] == q {
			delete(m.requests, q.name)
		}
	}
	m.memory.entries = entries
	if len(entries) == 0 {
		m.memory.entries = nil // let go of the array
		return
	}
	if m.memory.timer == nil && !m.closed {
		m.memory.timer = time.AfterFunc(entries[0].until.Sub(now), func() {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.memory.timer = nil
			m.forgetLocked()
		})
	}
}
