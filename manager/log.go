package manager

import (
	"sync"
	"unsafe"

	"github.com/sauron-stream/sauron/manager/event"
)

// Chunks double from the first size to the last, so that a short answer costs
// little and a long one few allocations.
const (
	firstChunk = 1 << 10
	lastChunk  = 32 << 10
)

// A log is the append-only sequence of one generation's encoded events. Entry i
// has sequence i+1. Entries lie end to end in chunks that never move, so readers
// keep slices of them and nobody copies.
//
// One goroutine appends; any number read.
type log struct {
	mu      sync.Mutex // guards the fields below
	chunks  [][]byte   // the bytes below each length are immutable
	index   []entryEnd
	first   int           // index of the first token, -1 before it
	changed chan struct{} // closed on every change; nil if nobody waits
	end     *End          // set once; no entry follows
}

// entryEnd is where an entry ends. It begins where the one before it in the same
// chunk ends, or at the chunk's start.
type entryEnd struct{ chunk, end uint32 }

func newLog() *log { return &log{first: -1} }

// append encodes one entry at the end of the log and publishes it. It returns the
// entry's size and by how much the log's memory has grown, in bytes.
func (l *log) append(e event.Event, encode func(dst []byte, sequence int64, e event.Event) []byte) (size, grown int) {
	// Only this goroutine changes chunks and index, so reading them needs no lock.
	chunk, tail := len(l.chunks)-1, []byte(nil)
	if chunk >= 0 {
		tail = l.chunks[chunk]
	}
	room := tail[len(tail):]
	entry := encode(room, int64(len(l.index))+1, e)
	n := len(entry)
	indexed := cap(l.index)
	if n > cap(room) || &entry[0] != &room[:1][0] { // it did not fit
		size := firstChunk
		if chunk >= 0 {
			size = min(2*cap(tail), lastChunk)
		}
		tail = append(make([]byte, 0, max(size, n)), entry...)
		chunk++
		grown = cap(tail)
	} else {
		tail = tail[:len(tail)+n]
	}

	l.mu.Lock()
	defer l.mu.Unlock()
	if chunk == len(l.chunks) {
		l.chunks = append(l.chunks, tail)
	} else {
		l.chunks[chunk] = tail
	}
	if l.first < 0 && e.IsToken() {
		l.first = len(l.index)
	}
	l.index = append(l.index, entryEnd{uint32(chunk), uint32(len(tail))})
	l.wakeLocked()
	return n, grown + (cap(l.index)-indexed)*int(unsafe.Sizeof(entryEnd{}))
}

// close ends the log. It is called once, by the writer.
func (l *log) close(end *End) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end = end
	l.wakeLocked()
}

func (l *log) wakeLocked() {
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

// read returns a run of entries from entry next on: at most limit bytes, but at
// least one entry if there is one. The run lies in one chunk.
func (l *log) read(next, limit int) Batch {
	l.mu.Lock()
	defer l.mu.Unlock()
	var b Batch
	if next < len(l.index) {
		chunk := l.index[next].chunk
		start := uint32(0)
		if next > 0 && l.index[next-1].chunk == chunk {
			start = l.index[next-1].end
		}
		last := next
		for last+1 < len(l.index) && l.index[last+1].chunk == chunk && int(l.index[last+1].end-start) <= limit {
			last++
		}
		end := l.index[last].end
		b.Data = l.chunks[chunk][start:end:end]
		b.Events = last + 1 - next
		b.FirstToken = next <= l.first && l.first <= last
	}
	b.Last = int64(next + b.Events)
	if next+b.Events == len(l.index) {
		b.End = l.end
	}
	return b
}

// wait returns a channel that is closed when entry next or the end is there.
func (l *log) wait(next int) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if next < len(l.index) || l.end != nil {
		return closed
	}
	if l.changed == nil {
		l.changed = make(chan struct{})
	}
	return l.changed
}

// length returns the number of entries.
func (l *log) length() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int64(len(l.index))
}

// closed is ready at once.
var closed = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()
