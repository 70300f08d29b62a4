package manager

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/sauron-stream/sauron/manager/event"
)

// A log is the append-only sequence of one generation's encoded events. Entry i has
// sequence i+1. Entries lie end to end in chunks that never move, so readers keep
// slices of them and nobody copies.
//
// One goroutine appends; any number read, without a lock: what a chunk holds up to its
// published count never changes.
type log struct {
	head   *chunk
	length atomic.Int64
	first  atomic.Int64 // index of the first token, -1 before it
	end    atomic.Pointer[End]

	last *chunk // the writer's

	mu       sync.Mutex                // guards changes of watchers
	watchers atomic.Pointer[[]Watcher] // immutable; never nil
}

// A Watcher is told of news in a log.
type Watcher interface {
	// Wake says that there is something new beyond what was there before. It is called
	// by whoever appends, at the end with Manager.mu held: it must neither block nor call
	// the manager.
	Wake()
}

func newLog() *log {
	l := &log{head: newChunk(0, firstChunk, entrySize)}
	l.last = l.head
	l.first.Store(-1)
	l.watchers.Store(new([]Watcher))
	return l
}

// append encodes one entry at the end of the log and publishes it. It returns the
// entry's size and by how much the log's memory has grown, in bytes.
func (l *log) append(e event.Event, encode func(dst []byte, sequence int64, e event.Event) []byte) (size, grown int) {
	index := l.length.Load()
	c := l.last
	room := c.data[c.used:c.used]
	entry := encode(room, index+1, e)
	size = len(entry)
	// Before the entry can be seen: who has seen it may resume behind it.
	if l.first.Load() < 0 && e.IsToken() {
		l.first.Store(index)
	}
	l.length.Store(index + 1)
	if fits := c.entries() < len(c.ends) && (size == 0 || size <= cap(room) && &entry[0] == &room[:1][0]); fits {
		c.publish(size)
	} else {
		next := c.after(size)
		copy(next.data, entry)
		next.publish(size)
		c.next.Store(next)
		l.last = next
		grown = next.memory()
	}
	l.wake()
	return size, grown
}

// close ends the log. It is called once, by the writer.
func (l *log) close(end *End) {
	l.end.Store(end)
	l.wake()
}

func (l *log) wake() {
	for _, w := range *l.watchers.Load() {
		w.Wake()
	}
}

// watch has w woken from now on. What it has missed it must look for afterwards.
func (l *log) watch(w Watcher) {
	l.mu.Lock()
	defer l.mu.Unlock()
	watchers := append(slices.Clone(*l.watchers.Load()), w)
	l.watchers.Store(&watchers)
}

// unwatch takes w back. A Wake may be under way.
func (l *log) unwatch(w Watcher) {
	l.mu.Lock()
	defer l.mu.Unlock()
	watchers := slices.DeleteFunc(slices.Clone(*l.watchers.Load()), func(other Watcher) bool { return other == w })
	l.watchers.Store(&watchers)
}

// at returns a cursor that stands before entry next, which the log has reached.
func (l *log) at(next int) cursor {
	c := cursor{chunk: l.head, next: next}
	for {
		after := c.chunk.next.Load()
		if after == nil || after.first > next {
			return c
		}
		c.chunk = after
	}
}

// A cursor is a place in a log. It is used by one goroutine at a time.
type cursor struct {
	chunk *chunk // holds entry next, or will, or the chunk after it does
	next  int
}

// read returns the entries at c and moves it behind them: at most limit bytes, but at
// least one entry if there is one. They lie in one chunk.
func (l *log) read(c *cursor, limit int) Batch {
	end := l.end.Load() // first: no entry follows it
	// A chunk with one after it is full. The cursor may be further than one chunk behind:
	// it may stand where nothing was published yet when it was made.
	for {
		after := c.chunk.next.Load()
		if after == nil || c.next < after.first {
			break
		}
		c.chunk = after
	}
	n := c.chunk.entries()
	var b Batch
	if at := c.next - c.chunk.first; at < n {
		b.Data, b.Events = c.chunk.run(at, n, limit)
		first := int(l.first.Load())
		b.FirstToken = c.next <= first && first < c.next+b.Events
		c.next += b.Events
	}
	b.Last = int64(c.next)
	if end != nil && b.Last == l.length.Load() {
		b.End = end
	}
	return b
}
