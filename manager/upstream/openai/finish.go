package openai

import (
	"strings"
	"unicode/utf8"

	"github.com/sauron-stream/sauron/manager/event"
)

// maxWord bounds the upstream's words about an answer, in bytes.
const maxWord = 256

// finishReasons are the words that are known for the end of an answer. eos_token and
// stop_sequence are text-generation-inference's, end_turn that of gateways to
// Anthropic's models; each says that the model came to its own end or to a stop text.
var finishReasons = map[string]event.FinishReason{
	"stop":           event.FinishStop,
	"eos":            event.FinishStop,
	"eos_token":      event.FinishStop,
	"stop_sequence":  event.FinishStop,
	"end_turn":       event.FinishStop,
	"length":         event.FinishLength,
	"tool_calls":     event.FinishToolCalls,
	"function_call":  event.FinishToolCalls,
	"content_filter": event.FinishContentFilter,
}

// isCut reports whether a finish reason says that the answer was not finished: the
// engine gave it up.
func isCut(word string) bool { return word == "abort" || word == "error" }

// capped returns s, or as much of its start as maxWord bytes hold of whole runes.
func capped(s string) string {
	if len(s) <= maxWord {
		return s
	}
	end := maxWord
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return strings.Clone(s[:end])
}
