package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// A textPrinter prints an answer as it comes: text and refusal, then one line for
// every tool call. Reasoning goes to another writer. It is used by one goroutine.
type textPrinter struct {
	answer lineWriter
	aside  lineWriter
	calls  map[int32]*toolCall
}

// A toolCall is what has come of a call.
type toolCall struct {
	id, name  string
	arguments strings.Builder
}

func newTextPrinter(answer, aside io.Writer) *textPrinter {
	return &textPrinter{answer: lineWriter{w: answer}, aside: lineWriter{w: aside}, calls: map[int32]*toolCall{}}
}

// event prints what e adds.
func (p *textPrinter) event(e *sauronv1.Event) error {
	switch kind := e.GetKind().(type) {
	case *sauronv1.Event_TextDelta:
		return p.answerText(kind.TextDelta)
	case *sauronv1.Event_RefusalDelta:
		return p.answerText(kind.RefusalDelta)
	case *sauronv1.Event_ReasoningDelta:
		return p.aside.write(kind.ReasoningDelta)
	case *sauronv1.Event_ToolCallDelta:
		p.toolCall(kind.ToolCallDelta)
	case *sauronv1.Event_Finished:
		if kind.Finished.GetOutcome() == sauronv1.Outcome_OUTCOME_COMPLETED {
			return p.toolCalls()
		}
	}
	return nil
}

// inLine reports whether a line is still open.
func (p *textPrinter) inLine() bool { return p.answer.open || p.aside.open }

// end prints the end of a line that is still open. It is called once, however the
// stream ended.
func (p *textPrinter) end() error {
	if err := p.aside.endLine(); err != nil {
		return err
	}
	return p.answer.endLine()
}

// answerText prints text below the reasoning: both may be the same terminal.
func (p *textPrinter) answerText(text string) error {
	if err := p.aside.endLine(); err != nil {
		return err
	}
	return p.answer.write(text)
}

func (p *textPrinter) toolCall(d *sauronv1.ToolCallDelta) {
	call := p.calls[d.GetIndex()]
	if call == nil {
		call = &toolCall{}
		p.calls[d.GetIndex()] = call
	}
	call.id += d.GetId()
	call.name += d.GetName()
	call.arguments.WriteString(d.GetArgumentsDelta())
}

func (p *textPrinter) toolCalls() error {
	for _, i := range slices.Sorted(maps.Keys(p.calls)) {
		if err := p.end(); err != nil {
			return err
		}
		call := p.calls[i]
		line := fmt.Sprintf("tool call %s: %s(%s)\n", call.id, call.name, call.arguments.String())
		if err := p.answer.write(line); err != nil {
			return err
		}
	}
	return nil
}
