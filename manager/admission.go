package manager

import "slices"

// place is where a broadcast stands in the admission.
type place uint8

const (
	nowhere   place = iota // not admitted yet, or done
	inQueue                // waits for a prepare permit
	preparing              // holds one
	blocked                // prepared, still holds it: the backlog is full
	inBacklog              // waits for a stream slot
	streaming              // holds one
	paused                 // between two attempts; holds nothing
)

// admission is the queue, the prepare permits, the backlog and the stream slots.
// All of it is guarded by Manager.mu. A broadcast's place says in which of the
// lists or counts it is.
type admission struct {
	queueCapacity, permits, backlogCapacity, slots int // read-only

	queue     []*broadcast
	preparing int // permits held, the blocked ones' included
	blocked   []*broadcast
	backlog   []*broadcast
	streaming []*broadcast
	on        map[string]int // of streaming, by upstream
}

// enterQueueLocked takes a place in the queue for a new broadcast. An orphan makes
// way in a full one. It reports whether there was a place; advanceLocked must
// follow.
func (m *Manager) enterQueueLocked(b *broadcast) bool {
	a := &m.admission
	// A free permit takes b out of the queue at once: only orphans are left there.
	if len(a.queue) >= a.queueCapacity && a.preparing >= a.permits {
		oldest := oldestOrphan(a.queue)
		if oldest == nil {
			return false
		}
		m.stopLocked(oldest, errEvicted)
	}
	a.queue = append(a.queue, b)
	b.place = inQueue
	return true
}

// preparedLocked takes b from preparing on to the backlog. Until there is room it
// keeps its permit. advanceLocked must follow.
func (m *Manager) preparedLocked(b *broadcast, up Upstream) {
	b.upstream, b.maxStreams = up.Name, up.MaxStreams
	b.place = blocked
	m.admission.blocked = append(m.admission.blocked, b)
}

// pauseLocked gives b's slot back between two attempts.
func (m *Manager) pauseLocked(b *broadcast) {
	m.removeLocked(b)
	b.place = paused
}

// unpauseLocked puts b in front of those who wait for a slot, for it had one. It
// may exceed the backlog's capacity by those who come back.
func (m *Manager) unpauseLocked(b *broadcast) {
	b.place = inBacklog
	m.admission.backlog = slices.Insert(m.admission.backlog, 0, b)
}

// removeLocked takes b out of the admission, whatever it held. advanceLocked must
// follow.
func (m *Manager) removeLocked(b *broadcast) {
	a := &m.admission
	switch b.place {
	case inQueue:
		a.queue = without(a.queue, b)
	case preparing:
		a.preparing--
	case blocked:
		a.blocked = without(a.blocked, b)
		a.preparing--
	case inBacklog:
		a.backlog = without(a.backlog, b)
	case streaming:
		a.streaming = without(a.streaming, b)
		a.on[b.upstream]--
	case nowhere, paused:
	}
	b.place = nowhere
}

// advanceLocked moves everybody on who can move. It is called after every change
// that may let somebody: a place that came free, an arrival, an orphan that was
// attached to, a generation that became an orphan.
func (m *Manager) advanceLocked() {
	for moved := true; moved; {
		moved = m.fillSlotsLocked() || m.fillBacklogLocked() || m.fillPermitsLocked() || m.limitOrphansLocked()
	}
}

// fillSlotsLocked gives a slot to the first who may have one, and reports whether
// somebody got one. Orphans are passed over, and so is whose upstream is full: it
// must not hold up others.
func (m *Manager) fillSlotsLocked() bool {
	a := &m.admission
	if len(a.streaming) >= a.slots {
		return false
	}
	i := slices.IndexFunc(a.backlog, func(b *broadcast) bool { return attended(b) && a.upstreamHasRoom(b) })
	if i < 0 {
		return false
	}
	b := a.backlog[i]
	a.backlog = slices.Delete(a.backlog, i, i+1)
	a.streaming = append(a.streaming, b)
	a.on[b.upstream]++
	b.moveLocked(streaming)
	return true
}

// fillBacklogLocked takes one of the blocked into the backlog, or makes room there by
// stopping an orphan.
func (m *Manager) fillBacklogLocked() bool {
	a := &m.admission
	i := a.nextBlocked()
	if i < 0 {
		return m.evictLocked()
	}
	b := a.blocked[i]
	a.blocked = slices.Delete(a.blocked, i, i+1)
	a.preparing--
	a.backlog = append(a.backlog, b)
	b.moveLocked(inBacklog)
	return true
}

// nextBlocked returns which of the blocked may enter the backlog, or -1: the first if
// there is room, else the first for whom a slot is free right now, for it needs no
// place in the backlog.
func (a *admission) nextBlocked() int {
	if len(a.backlog) >= a.backlogCapacity {
		return slices.IndexFunc(a.blocked, func(b *broadcast) bool {
			return attended(b) && len(a.streaming) < a.slots && a.upstreamHasRoom(b)
		})
	}
	return min(len(a.blocked), 1) - 1
}

// evictLocked stops the oldest orphan behind whose back somebody else can't move: who
// is blocked needs a place in the backlog, who is queued a permit, which the blocked
// hold.
func (m *Manager) evictLocked() bool {
	a := &m.admission
	var oldest *broadcast
	switch {
	case len(a.blocked) == 0:
	case a.preparing >= a.permits && slices.ContainsFunc(a.queue, attended):
		oldest = oldestOrphan(a.backlog, a.blocked)
	case slices.ContainsFunc(a.blocked, attended):
		oldest = oldestOrphan(a.backlog)
	}
	if oldest == nil {
		return false
	}
	m.stopLocked(oldest, errEvicted)
	return true
}

// fillPermitsLocked gives a prepare permit to the first in the queue who is no
// orphan.
func (m *Manager) fillPermitsLocked() bool {
	a := &m.admission
	if a.preparing >= a.permits {
		return false
	}
	i := slices.IndexFunc(a.queue, attended)
	if i < 0 {
		return false
	}
	b := a.queue[i]
	a.queue = slices.Delete(a.queue, i, i+1)
	a.preparing++
	b.moveLocked(preparing)
	return true
}

// limitOrphansLocked stops the oldest orphan that streams if orphans hold more
// than half of the slots (rounded down, at least one) that somebody waits for: all
// slots, or those of one upstream. It stops no second one before the first has let
// go, for that may be enough.
func (m *Manager) limitOrphansLocked() bool {
	a := &m.admission
	if !slices.ContainsFunc(a.streaming, (*broadcast).orphanLocked) {
		return false
	}
	for _, waiter := range slices.Concat(a.backlog, a.blocked) {
		if !attended(waiter) {
			continue
		}
		held, slots := a.streaming, a.slots
		if !a.upstreamHasRoom(waiter) {
			held, slots = a.streamingOn(waiter.upstream), waiter.maxStreams
		}
		if len(held) < slots || slices.ContainsFunc(held, func(b *broadcast) bool { return b.dying }) {
			continue
		}
		orphans := 0
		for _, b := range held {
			if b.orphanLocked() {
				orphans++
			}
		}
		if orphans > max(1, slots/2) {
			m.stopLocked(oldestOrphan(held), errEvicted)
			return true
		}
	}
	return false
}

func (a *admission) upstreamHasRoom(b *broadcast) bool {
	return b.maxStreams <= 0 || a.on[b.upstream] < b.maxStreams
}

func (a *admission) streamingOn(upstream string) []*broadcast {
	var on []*broadcast
	for _, b := range a.streaming {
		if b.upstream == upstream {
			on = append(on, b)
		}
	}
	return on
}

func (b *broadcast) moveLocked(to place) {
	b.place = to
	select {
	case b.moved <- struct{}{}:
	default: // the owner has not yet looked at the last move
	}
}

// attended reports whether somebody listens to b: only then it is promoted.
func attended(b *broadcast) bool { return b.subs > 0 }

func oldestOrphan(lists ...[]*broadcast) *broadcast {
	var oldest *broadcast
	for _, list := range lists {
		for _, b := range list {
			if b.orphanLocked() && (oldest == nil || b.orphanOrder < oldest.orphanOrder) {
				oldest = b
			}
		}
	}
	return oldest
}

func without(list []*broadcast, b *broadcast) []*broadcast {
	i := slices.Index(list, b)
	return slices.Delete(list, i, i+1)
}
