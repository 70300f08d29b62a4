package manager

import "time"

// maxRemembered bounds the ids that are remembered after their end. Over it the
// oldest are forgotten early.
const maxRemembered = 100_000

// memory holds the requests that ended, in the order in which they let go. They are
// dropped up to an orphan grace late: request.known decides whether one is still
// remembered. None of them comes back to life: who asks again under its id gets a new
// request. Guarded by Manager.mu.
type memory struct {
	ended []*request
	timer *time.Timer // nil if nothing is due; may fire early
}

// rememberLocked puts q, which has neither stream nor hold, into the memory until
// q.forgetAt, and forgets what is due.
func (m *Manager) rememberLocked(q *request) {
	m.memory.ended = append(m.memory.ended, q)
	m.forgetLocked()
}

// forgetLocked drops what is due or too much and sets the timer for the rest.
func (m *Manager) forgetLocked() {
	now := time.Now()
	ended := m.memory.ended
	for len(ended) > 0 && (len(ended) > maxRemembered || !ended[0].known(now)) {
		if q := ended[0]; m.requests[q.name] == q { // else a newer one has its id
			delete(m.requests, q.name)
		}
		ended[0] = nil
		ended = ended[1:]
	}
	m.memory.ended = ended
	if len(ended) == 0 {
		m.memory.ended = nil // let go of the array
		return
	}
	if m.memory.timer == nil && !m.closed {
		m.memory.timer = time.AfterFunc(ended[0].forgetAt.Sub(now), func() {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.memory.timer = nil
			m.forgetLocked()
		})
	}
}
