package manager

import (
	"iter"
	"unicode/utf8"

	"github.com/sauron-stream/sauron/manager/event"
)

// maxDelta is the longest delta of one event, in bytes: what a stream sends at
// once, so that no reader waits for the rest of a huge one.
const maxDelta = 16 << 10

// pieces yields e, or a delta over maxDelta as several of the same kind, cut
// between runes. A tool call's id and name go with the first.
func pieces(e event.Event) iter.Seq[event.Event] {
	return func(yield func(event.Event) bool) {
		for {
			head, rest, more := split(e)
			if !yield(head) || !more {
				return
			}
			e = rest
		}
	}
}

func split(e event.Event) (head, rest event.Event, more bool) {
	switch e.Kind {
	case event.KindText, event.KindReasoning, event.KindRefusal:
		if cut := cutAt(e.Text); cut < len(e.Text) {
			head, rest = e, e
			head.Text, rest.Text = e.Text[:cut], e.Text[cut:]
			return head, rest, true
		}
	case event.KindToolCall:
		call := *e.ToolCall
		if cut := cutAt(call.Arguments); cut < len(call.Arguments) {
			head, rest = e, e
			rest.ToolCall = &event.ToolCallDelta{Index: call.Index, Arguments: call.Arguments[cut:]}
			call.Arguments = call.Arguments[:cut]
			head.ToolCall = &call
			return head, rest, true
		}
	case event.KindAlive, event.KindStage, event.KindExtension, event.KindUsage, event.KindFinished:
	}
	return e, event.Event{}, false
}

// cutAt returns how much of s goes into one delta.
func cutAt(s string) int {
	if len(s) <= maxDelta {
		return len(s)
	}
	for cut := maxDelta; cut > maxDelta-utf8.UTFMax; cut-- {
		if utf8.RuneStart(s[cut]) {
			return cut
		}
	}
	return maxDelta // no UTF-8: nothing to keep together
}
