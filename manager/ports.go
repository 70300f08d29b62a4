package manager

import (
	"context"
	"iter"

	"github.com/sauron-stream/sauron/manager/event"
)

// A Preparer turns one request into what its upstream is asked. It is bound to
// the request by whoever makes it, so the manager never sees a prompt.
type Preparer interface {
	// Prepare is called at most once per generation, under a prepare permit, in
	// the generation's own context: no caller's deadline, cancel or values. It
	// must return soon after ctx ends. A *fault.Error reaches every reader; any
	// other error does so as PREPARE_FAILED.
	Prepare(ctx context.Context, generationID string) (Streamer, error)
}

// A Streamer runs the upstream stream of one generation. It is used by one
// goroutine.
type Streamer interface {
	// Upstream says where the stream will run.
	Upstream() Upstream

	// Stream makes one attempt and yields its events in order. A complete answer
	// ends with event.KindFinished; a non-nil error is always the last pair; an
	// end without either counts as broken. It must end, and the upstream request
	// with it, soon after ctx ends.
	//
	// A *fault.Retry makes the manager give the slot back and call Stream again when
	// the time has come: the streamer counts its own attempts. After anything but
	// KindAlive was yielded it counts as broken: a log takes nothing back. A *fault.Error reaches every reader; any other error does so as
	// UPSTREAM_BROKEN.
	//
	// KindAlive feeds the idle limit and nothing else. What counts as alive is the
	// streamer's judgement: a comment line before the first token does, one after
	// it does not.
	Stream(ctx context.Context) iter.Seq2[event.Event, error]
}

// Upstream names an LLM server and how many streams it takes.
type Upstream struct {
	Name       string // from the configuration; a metric label
	MaxStreams int    // besides the global slots; 0: no limit of its own
}
