// Package manager runs each generation once and lets any number of requests read
// it, each from its first event and at its own pace.
//
// A [Manager.Join] attaches to the generation that the resume point, the request id
// or the key already names, or starts one: at whatever offset, it is the same path. A
// generation belongs to a broadcast: one owner
// goroutine takes it through its stages (queued, preparing, waiting, streaming,
// ended) and is the only writer of its log. A [Subscription] is a cursor into that
// log. A generation goes on as long as it has a subscription or a lease; the last
// one out stops it. An ended log is kept while somebody may come back for it: the
// requests that had a stream on it, for their grace, and others of its key, for its
// replay window.
//
// # Concurrency
//
// Manager.mu guards the registry, the admission and who is attached to what:
// joining, leaving, cancelling, the hand-over of permits and the end of a
// generation are each one critical section. So what is being torn down is never
// found by a join, and a count that reached zero is never revived. Appending to a
// log and reading from it take no lock; log.mu guards only who is woken. Lock order:
// Manager.mu, then the replay cache's own, then log.mu. No lock is held while calling a
// Preparer, a Streamer or a callback, but that the end of a log wakes its Watchers under
// Manager.mu: they must not block, nor call back.
//
// All readers of a log see the same entries in the same order, each exactly once.
// The writer never waits for a reader; a slow reader costs its cursor and the log
// that it still needs. The end is ordered after the last entry.
//
// No caller's context, deadline, credential or value reaches a generation: its
// context descends from the manager's.
//
// # Singleflight
//
// Racing creators of one key meet in singleflight, which runs one of them; the
// others loop and attach. Creating is cheap and never blocks, so nobody waits in
// singleflight for any work: preparing happens inside the broadcast.
//
// # The replay window
//
// It is a cache by key with a cost, used longest ago first out; each log's own timer
// ends its stay. A
// frequency-aware cache (W-TinyLFU) would turn a log away that has just ended for
// others that were read more often, and what has just ended is what is asked for
// again. It has half of MaxLogBytes; the other half is always there for what runs.
//
// # Semaphores
//
// Permits and slots are counted in the admission and not by
// golang.org/x/sync/semaphore: its waiters are served strictly first in, first
// out, and an orphan must be passed over, an upstream's own limit must not hold up
// the others, and a generation that waits must be able to be removed.
package manager
