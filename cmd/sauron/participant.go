package main

import (
	"errors"
	"strings"
	"time"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// A participant is one of several callers, and what it saw. It is used by one
// goroutine; others read it when that has ended.
type participant struct {
	begun   time.Time
	text    strings.Builder
	printer *textPrinter // into text

	generation    string
	participation sauronv1.Participation
	events        int           // of the generation's log
	firstToken    time.Duration // since begun; negative: none came
	outcome       sauronv1.Outcome
	err           error
}

func newParticipant() *participant {
	p := &participant{firstToken: -1}
	p.printer = newTextPrinter(&p.text, &strings.Builder{})
	return p
}

// event notes e.
func (p *participant) event(e *sauronv1.Event) error {
	if e.GetSequence() > 0 {
		p.events++
	}
	switch kind := e.GetKind().(type) {
	case *sauronv1.Event_Started:
		p.generation = kind.Started.GetGenerationId()
		p.participation = kind.Started.GetParticipation()
	case *sauronv1.Event_TextDelta, *sauronv1.Event_ReasoningDelta, *sauronv1.Event_RefusalDelta, *sauronv1.Event_ToolCallDelta:
		if p.firstToken < 0 {
			p.firstToken = time.Since(p.begun)
		}
	}
	return p.printer.event(e)
}

// completed reports whether p got a whole answer.
func (p *participant) completed() bool {
	return p.err == nil && p.outcome == sauronv1.Outcome_OUTCOME_COMPLETED
}

// cancelled reports whether p's request was cancelled, by whomever.
func (p *participant) cancelled() bool {
	return errors.Is(p.err, errInterrupted) || (p.err == nil && p.outcome == sauronv1.Outcome_OUTCOME_CANCELLED)
}
