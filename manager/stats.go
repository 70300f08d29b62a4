package manager

import "github.com/sauron-stream/sauron/manager/event"

// Stats is the state of a Manager at one moment.
type Stats struct {
	Generations   [event.StageEnded]int // running, by stage
	Subscriptions int
	Orphans       int
	LogBytes      int64
	Appended      uint64 // events, since New
	Orphaned      uint64 // of these, appended while nobody listened

	ReplayBytes     int64  // of LogBytes, in the replay window
	ReplayHits      uint64 // requests that were given a log of the window, since New
	ReplayMisses    uint64 // requests that would have taken one and had to start a generation
	ReplayEvictions uint64 // logs that left the window early, to make room
}

// Stats returns the state as it is now.
func (m *Manager) Stats() Stats {
	s := Stats{
		LogBytes: m.logBytes.Load(),
		Appended: m.appended.Load(),
		Orphaned: m.orphaned.Load(),
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s.Subscriptions = m.subs
	s.ReplayBytes = m.replays.bytes
	s.ReplayHits, s.ReplayMisses, s.ReplayEvictions = m.replays.hits, m.replays.misses, m.replays.evictions
	for b := range m.live {
		s.Generations[b.place.stage()]++
		if b.orphanLocked() {
			s.Orphans++
		}
	}
	return s
}

// stage returns what a place is to the outside.
func (p place) stage() event.Stage {
	switch p {
	case inQueue:
		return event.StageQueued
	case preparing, blocked:
		return event.StagePreparing
	case inBacklog, paused:
		return event.StageWaiting
	case streaming:
		return event.StageStreaming
	case nowhere:
	}
	return 0 // on its way out
}
