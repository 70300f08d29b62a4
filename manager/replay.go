package manager

import (
	"context"
	"time"

	"github.com/jellydator/ttlcache/v3"
)

// A replayWindow holds the logs of completed generations for a while, for requests
// that take one instead of a new answer. It is bounded in bytes to half of what all logs
// may hold; the log used longest ago goes first, so that what has just ended stays. How
// long a log stays is its own timer's: the cache would keep what has expired until it is
// swept, and no other log could have its room. It is guarded by Manager.mu, but that the
// cache says from goroutines of its own what it has removed.
type replayWindow struct {
	logs  *ttlcache.Cache[Key, *broadcast]
	bound int64 // in bytes

	bytes                   int64 // of the logs in it
	hits, misses, evictions uint64

	close func() // lets all go, and waits until the cache has said so
}

func (m *Manager) newReplayWindow() replayWindow {
	bound := m.cfg.MaxLogBytes / 2
	logs := ttlcache.New(
		ttlcache.WithMaxCost(uint64(max(bound, 1)), func(i ttlcache.CostItem[Key, *broadcast]) uint64 {
			return uint64(i.Value.bytes.Load())
		}),
	)
	stop := logs.OnEviction(func(_ context.Context, why ttlcache.EvictionReason, i *ttlcache.Item[Key, *broadcast]) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.leaveWindowLocked(i.Value(), why == ttlcache.EvictionReasonMaxCostExceeded)
	})
	return replayWindow{logs: logs, bound: bound, close: func() {
		logs.DeleteAll()
		stop()
	}}
}

// enterWindowLocked keeps the log of b, which has just completed, in place of an older
// one of its key. A log that would push all others out, and itself, does not get in.
func (m *Manager) enterWindowLocked(b *broadcast) {
	size := b.bytes.Load()
	if size > m.replays.bound {
		return
	}
	// Not by Set alone: that writes over an older one without saying so.
	m.replays.logs.Delete(b.key)
	b.inWindow = true
	m.replays.bytes += size
	m.replays.logs.Set(b.key, b, ttlcache.NoTTL)
	b.windowTimer = time.AfterFunc(b.window, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.expelLocked(b, false)
	})
}

// expelLocked takes b out of the window, if it is still in it.
func (m *Manager) expelLocked(b *broadcast, evicted bool) {
	// Another one may have its key by now: then the cache is about to say that b is gone.
	if item := m.replays.logs.Get(b.key); item != nil && item.Value() == b {
		m.replays.logs.Delete(b.key)
	}
	m.leaveWindowLocked(b, evicted)
}

// leaveWindowLocked lets b's log go unless somebody reads or holds it. evicted says
// that it had to make room.
func (m *Manager) leaveWindowLocked(b *broadcast, evicted bool) {
	if !b.inWindow {
		return // it was expelled, and now the cache says that it is gone
	}
	b.inWindow = false
	b.windowTimer.Stop()
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
	if item == nil {
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
		m.expelLocked(oldest, true)
	}
	return true
}
