package manager_test

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/sauron-stream/sauron/manager"
	"github.com/sauron-stream/sauron/manager/event"
)

// A log against a model of it: whatever the sizes of entries and reads, and wherever
// a reader begins, it gets each entry once, in order and unharmed, in runs no longer
// than it asked for.
func TestLog(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		log := manager.NewLog()
		var model [][]byte
		type reader struct {
			next int
			at   *manager.Cursor
		}
		readers := []*reader{{at: log.At(0)}}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 2).Draw(t, "step") {
			case 0:
				size := rapid.SampledFrom([]int{1, 10, 100, 1000, 1023, 1024, 5000, 40_000}).Draw(t, "size")
				entry := bytes.Repeat([]byte{byte(len(model))}, size)
				n, _ := log.Append(event.Text(""), func(dst []byte, sequence int64, _ event.Event) []byte {
					if sequence != int64(len(model))+1 {
						t.Fatalf("sequence %d, want %d", sequence, len(model)+1)
					}
					if rapid.Bool().Draw(t, "reallocates") {
						return append(bytes.Clone(dst), entry...)
					}
					return append(dst, entry...)
				})
				if n != size {
					t.Fatalf("size %d, want %d", n, size)
				}
				model = append(model, entry)
			case 1:
				next := rapid.IntRange(0, len(model)).Draw(t, "begin")
				readers = append(readers, &reader{next: next, at: log.At(next)})
			case 2:
				r := rapid.SampledFrom(readers).Draw(t, "reader")
				limit := rapid.SampledFrom([]int{1, 64, 2000, 16 << 10}).Draw(t, "limit")
				b := log.Read(r.at, limit)
				want := bytes.Join(model[r.next:r.next+b.Events], nil)
				switch {
				case !bytes.Equal(b.Data, want):
					t.Fatalf("read %d bytes from %d on, want %d", len(b.Data), r.next, len(want))
				case b.Events == 0 && r.next < len(model):
					t.Fatalf("nothing to read at %d of %d", r.next, len(model))
				case b.Events > 1 && len(b.Data) > limit:
					t.Fatalf("%d bytes in %d events, asked for %d", len(b.Data), b.Events, limit)
				case b.Last != int64(r.next+b.Events) || b.End != nil:
					t.Fatalf("batch %+v", b)
				case b.FirstToken != (r.next == 0 && b.Events > 0):
					t.Fatalf("first token is %v at %d", b.FirstToken, r.next)
				case cap(b.Data) != len(b.Data):
					t.Fatal("a reader could append to the log")
				}
				r.next += b.Events
			}
		}
	})
}

// A cursor that was made between the two steps of an append, where the log is longer than
// what is published, finds what comes.
func TestCursorAheadOfItsChunk(t *testing.T) {
	log := manager.NewLog()
	large := bytes.Repeat([]byte{'x'}, 1<<10)
	encode := func(dst []byte, _ int64, _ event.Event) []byte { return append(dst, large...) }
	log.Append(event.Text(""), encode)
	ahead := log.At(2)
	for range 3 {
		log.Append(event.Text(""), encode)
	}
	log.Close()
	if b := log.Read(ahead, 1<<20); b.Events == 0 || b.Last < 3 {
		t.Errorf("%d events, the last %d", b.Events, b.Last)
	}
	for b := log.Read(ahead, 1<<20); b.End == nil; b = log.Read(ahead, 1<<20) {
		if b.Events == 0 {
			t.Fatal("nothing comes any more")
		}
	}
}

// One writer and many readers, who come at any time and wait for more: each gets every
// entry once. The race detector looks on.
func TestLogConcurrently(t *testing.T) {
	const entries, readers = 3000, 8
	log := manager.NewLog()
	var all sync.WaitGroup
	for range readers {
		all.Go(func() {
			next := 0
			at := log.At(0)
			for {
				b := log.Read(at, 300)
				for line := range bytes.Lines(b.Data) {
					if next++; !bytes.HasPrefix(line, fmt.Appendf(nil, "%d ", next)) {
						t.Errorf("entry %d is %q", next, line)
						return
					}
				}
				if b.End != nil {
					if next != entries {
						t.Errorf("the end came after %d entries", next)
					}
					return
				}
				if b.Events == 0 {
					<-log.Wait(next)
				}
			}
		})
	}
	for range entries {
		log.Append(event.Text("some text"), encodeLine)
	}
	log.Close()
	all.Wait()
}

// Waiting is over when there is something beyond the cursor, even if it came between
// the last look and the wait.
func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(w *world) { w.streaming = script(finished()) })
		first, last := w.join("a", "A"), w.join("b", "A")
		synctest.Wait()
		ready := func(s *manager.Subscription) bool {
			select {
			case <-s.Wait():
				return true
			default:
				return false
			}
		}
		if !ready(first) {
			t.Error("the log has entries, and the wait is not over")
		}
		w.cancel("b", manager.StateCancelled)
		last.Leave(manager.Cancelled)
		read(first).complete(t)
		w.Close()

		log := manager.NewLog()
		before := log.Wait(0)
		log.Append(event.Text("x"), encodeLine)
		<-before
		before = log.Wait(1)
		log.Close()
		<-before
		<-log.Wait(1) // nobody waited when the end came
	})
}

// A delta over the limit is split at rune boundaries; nothing is lost or added.
func TestPieces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Repeat(rapid.StringN(1, 50, -1).Draw(t, "text"), rapid.IntRange(0, 2000).Draw(t, "times"))
		kind := rapid.SampledFrom([]event.Kind{event.KindText, event.KindReasoning, event.KindRefusal, event.KindToolCall}).Draw(t, "kind")
		e := event.Event{Kind: kind, Text: text}
		if kind == event.KindToolCall {
			e = event.Event{Kind: kind, ToolCall: &event.ToolCallDelta{Index: 3, ID: "id", Name: "name", Arguments: text}}
		}
		var joined strings.Builder
		n := 0
		for p := range manager.Pieces(e) {
			delta := p.Text
			if kind == event.KindToolCall {
				delta = p.ToolCall.Arguments
				if first := n == 0; (p.ToolCall.ID == "id") != first || (p.ToolCall.Name == "name") != first || p.ToolCall.Index != 3 {
					t.Fatalf("piece %d is %+v", n, p.ToolCall)
				}
			}
			if p.Kind != kind || len(delta) > manager.MaxDelta || !utf8.ValidString(delta) {
				t.Fatalf("piece %d: kind %d, %d bytes", n, p.Kind, len(delta))
			}
			joined.WriteString(delta)
			n++
		}
		if joined.String() != text {
			t.Fatal("the pieces are not the whole")
		}
		if least := (len(text) + manager.MaxDelta - 1) / manager.MaxDelta; n < least || n > least+1 {
			t.Fatalf("%d pieces of %d bytes", n, len(text))
		}
	})
}

// A long delta is several entries of the log.
func TestLongDelta(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		text := strings.Repeat("é", manager.MaxDelta)
		w.streaming = script(event.Text(text), finished())
		r := read(w.join("a", "A"))
		if got := r.complete(t); got != text {
			t.Error("the text is not whole")
		}
		if n := len(r.lines); n != 4+2+1 {
			t.Errorf("%d entries", n)
		}
		w.Close()
	})
}

// What a unique request costs in the manager, with one reader.
func BenchmarkUniqueRequest(b *testing.B) {
	w := newWorld(nil, nil)
	defer w.Close()
	events := make([]event.Event, 0, 101)
	for range 100 {
		events = append(events, event.Text("some words "))
	}
	w.streaming = script(append(events, finished())...)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		r := &reading{sub: w.join(fmt.Sprint("id-", i), fmt.Sprint(i))}
		r.run()
	}
}

// A follower's join and leave while a long backlog waits behind an upstream's limit:
// it must not grow with the backlog.
func BenchmarkFollower(b *testing.B) {
	for _, waiting := range []int{1, 1000} {
		b.Run(fmt.Sprint("waiting_", waiting), func(b *testing.B) {
			const slots = 200
			w := newWorld(nil, func(w *world) {
				w.cfg.MaxConcurrentLLMStreams, w.cfg.QueueCapacity, w.cfg.PreparedBacklog = slots+1, 2000, 2000
				w.upstream.MaxStreams, w.firstToken = slots, time.Hour
			})
			defer w.Close()
			for i := range slots + waiting {
				w.join(fmt.Sprint("id-", i), fmt.Sprint(i))
			}
			for w.Left().Backlog < waiting {
				runtime.Gosched()
			}
			for b.Loop() {
				w.join("follower", "0").Leave(manager.Deadline)
			}
		})
	}
}
