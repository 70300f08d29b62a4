package manager

import "github.com/sauron-stream/sauron/manager/fault"

// A ResumePoint names the last event that a caller has.
type ResumePoint struct {
	GenerationID string
	After        int64 // its sequence; 0: none; not negative
}

// resumeLocked attaches r to the generation that it names, after the event that it
// names. own is what r's id names now, or nil.
func (m *Manager) resumeLocked(r Request, own *request) (*Subscription, error) {
	b := m.readable[r.Resume.GenerationID]
	switch {
	case b == nil, b.leader.tenant != r.Tenant:
		return nil, fault.New(fault.GenerationGone, nil)
	case b.key != r.Key:
		return nil, fault.New(fault.ResumeMismatch, nil)
	case own != nil && own.b != nil && own.b != b && (!own.b.ended || len(own.subs) > 0):
		// An id names one generation at a time, and that other one is still in use.
		return nil, fault.New(fault.RequestIDInUse, nil)
	}
	last := b.log.length.Load()
	if r.Resume.After > last {
		return nil, fault.New(fault.ResumeOutOfRange, nil)
	}
	if own == nil || own.b != b {
		own = m.bindLocked(r, b)
	}
	s := m.subscribeLocked(own, r)
	after := r.Resume.After
	if after == last && b.completed {
		after-- // the last event is the end: it comes again
	}
	s.at = b.log.at(int(after))
	s.resumed = r.Resume.After > 0
	return s, nil
}
