package upstream

import (
	"fmt"
	"net/http"

	"github.com/sauron-stream/sauron/cmd/bench/clock"
	"github.com/sauron-stream/sauron/cmd/bench/marker"
)

// An answer is one event stream. Every event is one write to the socket.
type answer struct {
	w          http.ResponseWriter
	control    *http.ResponseController
	clock      clock.Clock
	generation uint32
	chunk      []byte // reused
}

// What stands before and after a chunk's text. With the mark, the text is 48 bytes
// long.
const (
	before = `data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1750000000,"model":"bench",` +
		`"choices":[{"index":0,"delta":{"content":"`
	after  = ` lorem ipsum do"},"finish_reason":null}]}` + "\n\n"
	opened = `data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1750000000,"model":"bench",` +
		`"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}` + "\n\n"
	finished = `data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1750000000,"model":"bench",` +
		`"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\n" +
		`data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1750000000,"model":"bench",` +
		`"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":%d,"total_tokens":%d}}` + "\n\ndata: [DONE]\n\n"
)

// head sends the headers and the chunk without text that servers begin with.
func (a *answer) head() error {
	a.w.WriteHeader(http.StatusOK)
	return a.send([]byte(opened))
}

// token sends one chunk of text. Its mark has the time right before the write.
func (a *answer) token(sequence uint32) error {
	a.chunk = append(a.chunk[:0], before...)
	a.chunk = marker.Mark{Generation: a.generation, Sequence: sequence, Time: a.clock.Now()}.Append(a.chunk)
	a.chunk = append(a.chunk, after...)
	return a.send(a.chunk)
}

// finish ends the answer.
func (a *answer) finish(tokens int) error {
	if _, err := fmt.Fprintf(a.w, finished, tokens, tokens+9); err != nil {
		return err
	}
	return a.control.Flush()
}

func (a *answer) send(p []byte) error {
	if _, err := a.w.Write(p); err != nil {
		return err
	}
	return a.control.Flush()
}
