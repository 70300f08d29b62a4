package manager

import "time"

// CancelState is what a Cancel found.
type CancelState uint8

// The states.
const (
	StateCancelled       CancelState = iota + 1 // by this call or an earlier one
	StateAlreadyFinished                        // every stream had its end before
)

// Cancel ends every stream and the lease of a request. Streams that were handed
// their end before are not touched. It acts at once and does not wait for anybody:
// the streams see it through Subscription.Cancelled. Others that read the same
// generation go on; if nobody is left, it is stopped. The error is
// ErrUnknownRequest.
func (m *Manager) Cancel(tenant, id string) (CancelState, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	q := m.requests[requestName{tenant, id}]
	if q == nil || !q.known(time.Now()) {
		return 0, ErrUnknownRequest
	}
	if q.cancelled {
		return StateCancelled, nil
	}
	open := q.hold != nil && q.hold.lost
	for s := range q.subs {
		if s.detach() {
			open = true
			m.uncountLocked(s)
		}
	}
	if !open {
		return StateAlreadyFinished, nil
	}
	if b := q.b; q.hold != nil && b.ended {
		m.endJoinsLocked(b, q)
	}
	q.cancelled = true
	q.forgetAt = time.Now().Add(m.cfg.IDMemory)
	m.releaseLocked(q)
	m.unbindLocked(q)
	m.settleLocked()
	return StateCancelled, nil
}

// endJoinsLocked takes an ended b off its key when the lease of q ends by a Cancel, if
// no other lease keeps b there.
func (m *Manager) endJoinsLocked(b *broadcast, q *request) {
	for other := range b.requests {
		if other != q && other.hold != nil && other.hold.lost {
			return
		}
	}
	if m.joinable[b.key] == b {
		delete(m.joinable, b.key)
	}
}
