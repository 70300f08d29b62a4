package manager

import (
	"bytes"
	"testing"

	"github.com/sauron-stream/sauron/manager/event"
)

// A wakeFunc is a Watcher.
type wakeFunc func()

func (f wakeFunc) Wake() { f() }

// Whoever is woken finds what it is told of, and may resume behind it at once.
func TestWakeComesLast(t *testing.T) {
	l := newLog()
	at, woken := l.at(0), 0
	l.watch(wakeFunc(func() {
		woken++
		b := l.read(&at, 1<<20)
		if b.End == nil && b.Events != 1 || b.Last != l.length.Load() {
			t.Errorf("wake %d: %d events, the last %d of %d", woken, b.Events, b.Last, l.length.Load())
		}
	}))
	for range 100 { // over several chunks
		l.append(event.Text("x"), func(dst []byte, _ int64, _ event.Event) []byte {
			return append(dst, bytes.Repeat([]byte{'x'}, 300)...)
		})
	}
	l.close(&End{Outcome: Completed})
	if woken != 101 {
		t.Errorf("woken %d times, want 101", woken)
	}
}
