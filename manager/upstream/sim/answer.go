package sim

import (
	"encoding/hex"
	"errors"
	"iter"
	"strings"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
	"github.com/sauron-stream/sauron/manager/event"
	"github.com/sauron-stream/sauron/manager/fault"
)

// How the simulator names itself at the end of an answer.
const (
	modelName   = "sauron-simulator"
	fingerprint = "simulator"
)

// callTokens is how many tokens a tool call is: one for each piece.
const callTokens = 2

// Texts for the log.
var (
	errToolUnknown = errors.New("sim: tool choice names a tool that the request does not have")
	errToolNone    = errors.New("sim: tool choice requires a tool and the request has none")
)

// An answer is what a request is answered with if no fault gets in the way. It
// is immutable.
type answer struct {
	seed   seed
	tool   string // the tool to call; empty: the answer is a text
	tokens int    // those that come, after max_tokens
	finish event.FinishReason
	prompt int64 // tokens of the prompt
}

// newAnswer returns the answer to req. tokens is the length of a text without a
// limit.
func newAnswer(req *sauronv1.GenerateRequest, model string, tokens int) (answer, *fault.Error) {
	tool, refusal := chooseTool(req)
	if refusal != nil {
		return answer{}, refusal
	}
	s, err := newSeed(req, model)
	if err != nil {
		return answer{}, fault.New(fault.UpstreamRejected, err)
	}
	a := answer{seed: s, tool: tool, tokens: tokens, finish: event.FinishStop, prompt: countWords(req.GetMessages())}
	if tool != "" {
		a.tokens, a.finish = callTokens, event.FinishToolCalls
	}
	if s := req.GetSampling(); s != nil && s.MaxTokens != nil && int(s.GetMaxTokens()) < a.tokens {
		a.tokens, a.finish = max(int(s.GetMaxTokens()), 0), event.FinishLength
	}
	return a, nil
}

// chooseTool returns the name of the tool that req wants called, or nothing.
func chooseTool(req *sauronv1.GenerateRequest) (string, *fault.Error) {
	switch choice := req.GetToolChoice().GetChoice().(type) {
	case *sauronv1.ToolChoice_Name:
		for _, t := range req.GetTools() {
			if t.GetName() == choice.Name {
				return choice.Name, nil
			}
		}
		return "", rejected("tool_choice", errToolUnknown)
	case *sauronv1.ToolChoice_Mode_:
		if choice.Mode != sauronv1.ToolChoice_MODE_REQUIRED {
			return "", nil
		}
		if len(req.GetTools()) == 0 {
			return "", rejected("tool_choice", errToolNone)
		}
		return req.GetTools()[0].GetName(), nil
	}
	return "", nil
}

// all yields the tokens with their numbers from 0. It does not end: a.tokens
// says how many of a text are meant.
func (a answer) all() iter.Seq2[int, event.Event] {
	return func(yield func(int, event.Event) bool) {
		if a.tool != "" {
			first := &event.ToolCallDelta{ID: "call-sim-" + a.id(), Name: a.tool, Arguments: "{"}
			second := &event.ToolCallDelta{Arguments: "}"}
			_ = yield(0, event.Event{Kind: event.KindToolCall, ToolCall: first}) &&
				yield(1, event.Event{Kind: event.KindToolCall, ToolCall: second})
			return
		}
		i := 0
		for word := range a.seed.words() {
			if !yield(i, event.Text(word)) {
				return
			}
			i++
		}
	}
}

// end returns the events after the last token.
func (a answer) end() [2]event.Event {
	return [...]event.Event{
		{Kind: event.KindUsage, Usage: &event.Usage{Prompt: a.prompt, Completion: int64(a.tokens)}},
		{Kind: event.KindFinished, Finish: &event.Finish{
			Reason:      a.finish,
			Raw:         rawReasons[a.finish],
			Model:       modelName,
			ResponseID:  "sim-" + a.id(),
			Fingerprint: fingerprint,
		}},
	}
}

// rawReasons holds the words that OpenAI-compatible servers use.
var rawReasons = map[event.FinishReason]string{
	event.FinishStop:      "stop",
	event.FinishLength:    "length",
	event.FinishToolCalls: "tool_calls",
}

func (a answer) id() string { return hex.EncodeToString(a.seed[:12]) }

// countWords counts the words of the messages' texts: the simulator's tokens of
// a prompt.
func countWords(messages []*sauronv1.Message) int64 {
	n := 0
	for _, m := range messages {
		n += len(strings.Fields(m.GetContent()))
		for _, p := range m.GetParts() {
			n += len(strings.Fields(p.GetText()))
		}
	}
	return int64(n)
}
