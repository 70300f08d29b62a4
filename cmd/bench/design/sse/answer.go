package sse

import (
	"encoding/json"
	"iter"
	"sync"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// An answer is one stream that any number read: a log of events, encoded once each.
type answer struct {
	mu      sync.Mutex // guards the fields below
	log     [][]byte
	ended   bool
	changed chan struct{} // closed and replaced on every change
}

func newAnswer() *answer { return &answer{changed: make(chan struct{})} }

// run logs a stream to its end. A failure is an event too, as gateways have it.
func (a *answer) run(events iter.Seq2[*sauronv1.Event, error]) {
	for e, err := range events {
		switch {
		case err != nil:
			a.append(line(map[string]any{"error": err.Error()}))
		case e.GetFinished() != nil:
			a.append([]byte("data: [DONE]\n\n"))
		default:
			a.append(line(delta{e.GetSequence(), e.GetTextDelta()}))
		}
	}
	a.change(func() { a.ended = true })
}

type delta struct {
	Sequence int64  `json:"sequence"`
	Text     string `json:"text"`
}

func line(v any) []byte {
	text, _ := json.Marshal(v) // numbers and strings always can be
	return append(append([]byte("data: "), text...), "\n\n"...)
}

func (a *answer) append(p []byte) { a.change(func() { a.log = append(a.log, p) }) }

func (a *answer) change(do func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	do()
	close(a.changed)
	a.changed = make(chan struct{})
}

// read returns the events from next on, whether they are the last, and what is closed
// when there are more.
func (a *answer) read(next int) (events [][]byte, ended bool, changed <-chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.log[next:len(a.log):len(a.log)], a.ended, a.changed
}
