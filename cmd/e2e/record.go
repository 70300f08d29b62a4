package main

import (
	"fmt"
	"strings"
	"time"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// A record is what one caller saw of its stream.
type record struct {
	requestID string
	question  string
	begun     time.Time

	started    *sauronv1.Started
	text       string
	pieces     int   // of text
	last       int64 // sequence of the last event of the log
	usage      *sauronv1.Usage
	finished   *sauronv1.Finished
	breaches   []string // of what the contract says about any stream
	firstToken time.Duration

	// Set when the stream has ended.
	whole time.Duration
	err   error // its status; nil is OK
}

// leads says whether the caller was told that its request created the
// generation.
func (r *record) leads() bool {
	return r.started.GetParticipation() == sauronv1.Participation_PARTICIPATION_LEADER
}

// take notes the next event of the stream.
func (r *record) take(e *sauronv1.Event) {
	switch {
	case r.started == nil && e.GetStarted() == nil:
		r.breach("the first event is not Started")
	case r.started != nil && e.GetStarted() != nil:
		r.breach("Started a second time")
	case r.finished != nil:
		r.breach("an event after Finished")
	}
	r.number(e)
	switch kind := e.GetKind().(type) {
	case *sauronv1.Event_Started:
		r.started = kind.Started
		if got := kind.Started.GetRequestId(); got != r.requestID {
			r.breach("Started names the request %q", got)
		}
	case *sauronv1.Event_TextDelta:
		if r.pieces == 0 {
			r.firstToken = time.Since(r.begun)
		}
		r.pieces++
		r.text += kind.TextDelta
	case *sauronv1.Event_Usage:
		r.usage = kind.Usage
	case *sauronv1.Event_Finished:
		r.finished = kind.Finished
	}
}

// number checks the event's place in the log.
func (r *record) number(e *sauronv1.Event) {
	if private(e) {
		if e.GetSequence() != 0 {
			r.breach("sequence %d on an event of this stream alone", e.GetSequence())
		}
		return
	}
	if e.GetSequence() != r.last+1 {
		r.breach("sequence %d after %d", e.GetSequence(), r.last)
	}
	r.last = e.GetSequence()
}

// private says whether e belongs to one stream and not to the log.
func private(e *sauronv1.Event) bool {
	return e.GetStarted() != nil || e.GetFinished().GetOutcome() == sauronv1.Outcome_OUTCOME_CANCELLED
}

func (r *record) breach(format string, args ...any) {
	r.breaches = append(r.breaches, fmt.Sprintf(format, args...))
}

// end describes how the stream ended, for the report.
func (r *record) end() string {
	if r.err != nil {
		return r.err.Error()
	}
	if r.finished == nil {
		return "status OK without Finished"
	}
	return fmt.Sprintf("Finished{%s} and status OK", strings.TrimPrefix(r.finished.GetOutcome().String(), "OUTCOME_"))
}

// completed and cancelled say whether the stream ended well, and how.

func (r *record) completed() bool {
	return r.err == nil && r.finished.GetOutcome() == sauronv1.Outcome_OUTCOME_COMPLETED
}

func (r *record) cancelled() bool {
	return r.err == nil && r.finished.GetOutcome() == sauronv1.Outcome_OUTCOME_CANCELLED
}
