package manager

import "sync/atomic"

// Chunks double from the first size to the last, so that a short answer costs little
// and a long one few allocations.
const (
	firstChunk = 1 << 10
	lastChunk  = 32 << 10
	// entrySize is about what the smallest entries take: an event of one token.
	entrySize = 12
)

// A chunk is a piece of a log: entries end to end, and where each ends. Its memory never
// moves. The writer fills it and publishes each entry; readers use what is published.
type chunk struct {
	first int      // index of its first entry in the log
	data  []byte   // as long as it will ever be; entries are immutable once published
	ends  []uint32 // likewise: where in data each entry ends

	published atomic.Uint32         // entries that may be read
	next      atomic.Pointer[chunk] // set when this one is full and the next has an entry

	used int // bytes of data; the writer's
}

// newChunk returns a chunk of size bytes for entries of about so many bytes each.
func newChunk(first, size, entry int) *chunk {
	return &chunk{first: first, data: make([]byte, size), ends: make([]uint32, max(size/entry, 1))}
}

// after returns the chunk behind c, for an entry of size bytes and others like those that c
// has.
func (c *chunk) after(size int) *chunk {
	n := c.entries()
	room := max(min(2*len(c.data), lastChunk), size)
	return newChunk(c.first+n, room, max(entrySize, c.used/max(n, 1)*3/4))
}

// memory returns the bytes that it holds.
func (c *chunk) memory() int { return len(c.data) + 4*len(c.ends) }

// entries returns how many it holds.
func (c *chunk) entries() int { return int(c.published.Load()) }

// publish makes the size bytes behind what is used an entry.
func (c *chunk) publish(size int) {
	n := c.published.Load()
	c.used += size
	c.ends[n] = uint32(c.used)
	c.published.Store(n + 1)
}

// run returns the bytes of entries from, from+1, ... and how many they are: at most limit
// bytes, but at least one entry. There must be one; n are published.
func (c *chunk) run(from, n, limit int) (data []byte, entries int) {
	start := uint32(0)
	if from > 0 {
		start = c.ends[from-1]
	}
	last := from
	for last+1 < n && int(c.ends[last+1]-start) <= limit {
		last++
	}
	end := c.ends[last]
	return c.data[start:end:end], last + 1 - from
}
