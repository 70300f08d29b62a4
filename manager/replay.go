package manager

import (
	"context"
	"time"

	"github.com/jellydator/ttlcache/v3"
)

// A replayWindow holds the logs of completed generations for a while, for requests
// that take one instead of a new answer. It is bounded in time, and in bytes to half
// of what all logs may hold; the log used longest ago goes first, so that what has
// just ended stays. It is guarded by Manager.mu, but that the cache removes what
// expired by itself and says so from goroutines of its own.
type replayWindow struct {
	logs  *ttlcache.Cache[Key, *broadcast]
	close func() // waits until the cache has said all

	bytes                   int64 // of the logs in it
	hits, misses, evictions uint64
}

// expiryLead is how long after its time a log is looked for: the cache takes a log for
// expired only after that time, not at it.
const expiryLead = time.Millisecond

func (m *Manager) newReplayWindow() replayWindow {
	logs := ttlcache.New(
		ttlcache.WithDisableTouchOnHit[Key, *broadcast](), // a replay does not prolong the window
		ttlcache.WithMaxCost(uint64(max(m.cfg.MaxLogBytes/2, 1)), func(i ttlcache.CostItem[Key, *broadcast]) uint64 {
			return uint64(i.Value.bytes.Load())
		}),
	)
	stop := logs.OnEviction(func(_ context.Context, why ttlcache.EvictionReason, i *ttlcache.Item[Key, *broadcast]) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.leaveWindowLocked(i.Value(), why == ttlcache.EvictionReasonMaxCostExceeded)
	})
	return replayWindow{logs: logs, close: func() {
		logs.DeleteAll()
		stop()
	}}
}

// enterWindowLocked keeps the log of b, which has just completed, in place of an older
// one of its key.
func (m *Manager) enterWindowLocked(b *broadcast) {
	if item := m.replays.logs.Get(b.key); item != nil {
		m.replays.logs.Delete(b.key)
		m.leaveWindowLocked(item.Value(), false)
	}
	b.inWindow = true
	m.replays.bytes += b.bytes.Load()
	m.replays.logs.Set(b.key, b, b.window)
	time.AfterFunc(b.window+expiryLead, m.replays.logs.DeleteExpired)
}

// leaveWindowLocked lets b's log go unless somebody reads or holds it. evicted says
// that it had to make room.
func (m *Manager) leaveWindowLocked(b *broadcast, evicted bool) {
	if !b.inWindow {
		return // it made room, and now the cache says that it is gone
	}
	b.inWindow = false
	m.replays.bytes -= b.bytes.Load()
	if evicted {
		m.replays.evictions++
	}
	if b.subs == 0 && b.holds == 0 {
		m.freeLocked(b)
	}
}

// replayLocked returns the generation of key that completed within its window, or
// nil.
func (m *Manager) replayLocked(key Key) *broadcast {
	item := m.replays.logs.Get(key)
	if item == nil || !item.Value().inWindow {
		return nil
	}
	m.replays.hits++
	return item.Value()
}

// makeRoomLocked lets logs go that only the window keeps, until a new generation may
// start. It reports whether one may.
func (m *Manager) makeRoomLocked() bool {
	for m.logBytes.Load() >= m.cfg.MaxLogBytes {
		var oldest *broadcast
		m.replays.logs.RangeBackwards(func(i *ttlcache.Item[Key, *broadcast]) bool {
			if b := i.Value(); b.subs == 0 && b.holds == 0 {
				oldest = b
			}
			return oldest == nil
		})
		if oldest == nil {
			return false
		}
		m.replays.logs.Delete(oldest.key)
		m.leaveWindowLocked(oldest, true)
	}
	return true
}
