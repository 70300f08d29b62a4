package openai

import (
	"context"
	"errors"
	"log/slog"

	"github.com/sauron-stream/sauron/manager/event"
)

// errCut is why an answer with the finish reason of an engine's own is not whole.
var errCut = errors.New("openai: the engine gave the answer up")

// An answer turns the chunks of one stream into events. It belongs to one goroutine.
type answer struct {
	log *slog.Logger

	chunk  chunk         // the last one; kept for its buffers
	events []event.Event // what it yielded

	token bool // some of the answer was yielded
	whole bool // a finish reason came

	text, reasoning, refusal joiner
	calls                    toolCalls
	usage                    *event.Usage
	finish                   event.Finish

	// What was logged, once.
	loggedChoices, loggedExtension bool
}

// newAnswer returns an answer that has not begun.
func newAnswer(log *slog.Logger, extensions bool) *answer {
	return &answer{log: log, calls: make(toolCalls), chunk: chunk{unknown: extension{wanted: extensions}}}
}

// take returns what the chunk data yields, at least one event. They are valid until
// the next call of take or end, which must not follow an error.
func (a *answer) take(ctx context.Context, data []byte) ([]event.Event, error) {
	c := &a.chunk
	if err := c.parse(data); err != nil {
		return nil, err
	}
	if c.failed {
		return nil, readComplaint(data).err(0)
	}
	a.events = a.events[:0]
	a.describe(c)
	a.add(event.KindReasoning, a.reasoned(c))
	if c.refusal != nil {
		a.add(event.KindRefusal, a.refusal.join(c.refusal))
	}
	if c.content != nil {
		a.add(event.KindText, a.text.join(c.content))
	}
	if c.calls != nil {
		if err := a.call(c.calls); err != nil {
			return nil, err
		}
	}
	a.token = a.token || len(a.events) > 0
	a.extend(ctx, c)
	if word := c.finish.text(); word != "" { // some servers send "" until the end
		if isCut(word) {
			return nil, errCut
		}
		a.whole = true
		a.finish.Reason, a.finish.Raw = finishReasons[word], capped(word)
	}
	if c.extraChoices && !a.loggedChoices {
		a.loggedChoices = true
		a.log.WarnContext(ctx, "upstream sent more than one choice; the others are dropped")
	}
	if len(a.events) == 0 {
		a.events = append(a.events, event.Event{Kind: event.KindAlive})
	}
	return a.events, nil
}

// end returns what follows the last chunk of a whole answer: rests of text that ended
// inside a rune, the token counts, the finish.
func (a *answer) end() []event.Event {
	a.events = a.events[:0]
	a.add(event.KindReasoning, a.reasoning.rest())
	a.add(event.KindRefusal, a.refusal.rest())
	a.add(event.KindText, a.text.rest())
	for _, rest := range a.calls.rests() {
		a.events = append(a.events, event.Event{Kind: event.KindToolCall, ToolCall: &rest})
	}
	if a.usage != nil {
		a.events = append(a.events, event.Event{Kind: event.KindUsage, Usage: a.usage})
	}
	finish := a.finish // the event must not hold on to a
	return append(a.events, event.Event{Kind: event.KindFinished, Finish: &finish})
}

// describe takes what c says about the answer as a whole.
func (a *answer) describe(c *chunk) {
	first := func(at *string, v jsonValue) {
		if *at == "" {
			*at = capped(v.text())
		}
	}
	first(&a.finish.ResponseID, c.id)
	first(&a.finish.Model, c.model)
	first(&a.finish.Fingerprint, c.fingerprint)
	if u := readUsage(c.usage); u != nil {
		a.usage = u
	}
}

// reasoned returns the reasoning of c. Servers send it under one of two names, some
// of them under both.
func (a *answer) reasoned(c *chunk) string {
	var text string
	if c.reasoningContent != nil {
		text = a.reasoning.join(c.reasoningContent)
	}
	if c.reasoning != nil && (c.reasoningContent == nil || c.reasoning.text() != c.reasoningContent.text()) {
		text += a.reasoning.join(c.reasoning)
	}
	return text
}

// call takes the pieces of tool calls.
func (a *answer) call(calls jsonValue) error {
	var position int32
	for v := range calls.elements() {
		piece, err := a.calls.take(v, position)
		if err != nil {
			return err
		}
		if piece != nil {
			a.events = append(a.events, event.Event{Kind: event.KindToolCall, ToolCall: piece})
		}
		position++
	}
	return nil
}

// extend takes what c has no field for.
func (a *answer) extend(ctx context.Context, c *chunk) {
	text := c.unknown.text()
	if len(text) <= maxExtension {
		a.add(event.KindExtension, text)
		return
	}
	if !a.loggedExtension {
		a.loggedExtension = true
		a.log.WarnContext(ctx, "upstream extension over the limit is dropped", slog.Int("bytes", len(text)))
	}
}

// add yields a text, unless it is empty.
func (a *answer) add(kind event.Kind, text string) {
	if text != "" {
		a.events = append(a.events, event.Event{Kind: kind, Text: text})
	}
}
