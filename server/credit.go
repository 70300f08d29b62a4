package server

import (
	"sync/atomic"

	"google.golang.org/grpc/mem"
)

// What a stream may have in the transport. grpc-go blocks SendMsg once a stream
// holds 64 KiB that are not written yet. A stream that stays below that never
// blocks, so a Cancel or a slow consumer's end always gets through at once.
// The largest entry of a log is below 50 KiB.
const (
	maxMessage   = 16<<10 - frameHeader // one message, and so one DATA frame, but for an entry that is larger
	creditWindow = 12 << 10             // at this much unwritten the stream is parked
	frameHeader  = 5                    // what gRPC puts before a message
)

// credit counts what one stream has handed to the transport and the transport has
// not yet written. One goroutine at a time takes; the transport gives back.
type credit struct {
	held   atomic.Int64
	parked atomic.Bool // the taker waits for wake
	// wake is called by the transport, and must not block. It is set before the first
	// park, and taken away at the end: what the transport still holds for a client that
	// does not read must not keep the stream's log.
	wake atomic.Pointer[func()]
}

// used reports whether nothing more may be handed over until something was given
// back.
func (c *credit) used() bool { return c.held.Load() >= creditWindow }

// park has wake called when something is given back. It reports false if that has
// happened already: then it is not called.
func (c *credit) park() bool {
	c.parked.Store(true)
	return c.used() || !c.parked.Swap(false)
}

// message returns data, a run of encoded entries, as what SendMsg takes.
func (c *credit) message(data []byte) *message {
	c.held.Add(int64(len(data) + frameHeader))
	return &message{data: data, credit: c}
}

// A message is a GenerateResponse that is encoded already.
//
// That the transport has written it is learned from its last buffer: it is empty, so
// nothing is sent for it, and belongs to a pool, the message itself, to which
// grpc/mem returns it when the whole message is done with. grpc/mem does so only for
// buffers whose capacity is over 1 KiB, and with a compressor registered it would do so
// too early: what it compressed is a copy. None is.
type message struct {
	data   mem.SliceBuffer
	credit *credit
	both   [2]mem.Buffer // here, so that a message is one allocation
}

// tail is the room of every message's last buffer. Nobody reads or writes it.
var tail = make([]byte, 0, 2<<10)

func (m *message) buffers() mem.BufferSlice {
	m.both = [2]mem.Buffer{&m.data, mem.NewBuffer(&tail, m)}
	return m.both[:]
}

// Get implements mem.BufferPool. It is never called: the pool only takes back.
func (m *message) Get(length int) *[]byte {
	b := make([]byte, length)
	return &b
}

// Put implements mem.BufferPool: the transport has written the message.
func (m *message) Put(*[]byte) {
	m.credit.held.Add(-int64(len(m.data) + frameHeader))
	if m.credit.parked.Swap(false) {
		if wake := m.credit.wake.Load(); wake != nil {
			(*wake)()
		}
	}
}
