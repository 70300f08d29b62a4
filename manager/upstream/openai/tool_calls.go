package openai

import (
	"errors"
	"maps"
	"slices"

	"github.com/sauron-stream/sauron/manager/event"
)

// What an answer's tool calls are bounded by: their number, and the bytes of an id or
// a function's name. Cut they would be wrong, so what is over a bound breaks the
// stream.
const (
	maxToolCalls = 1 << 10
	maxToolName  = 1 << 10
)

// Why a tool call can't be parsed.
var (
	errCall     = errors.New("openai: a tool call that is no object with an index and a function")
	errToolName = errors.New("openai: id or name of a tool call over 1 KiB")
	errTooMany  = errors.New("openai: over 1024 tool calls")
)

// toolCalls knows what was yielded of each tool call of a stream. Servers repeat ids
// and names on later pieces, or send null or empty ones there.
type toolCalls map[int32]*toolCall

// A toolCall is one call so far.
type toolCall struct {
	id, name  bool // it was yielded
	arguments joiner
}

// take returns what v, the element of tool_calls at position, adds, or nil. The
// position is the index of a call that has none.
func (t toolCalls) take(v jsonValue, position int32) (*event.ToolCallDelta, error) {
	if !v.is('{') {
		return nil, errCall
	}
	var id, name, arguments jsonValue
	index := position
	for key, v := range v.members() {
		var err error
		switch string(key.name()) {
		case "index":
			if n, ok := v.int32(); ok && n >= 0 {
				index = n
			} else if !v.is('n') {
				err = errCall
			}
		case "id":
			err = v.into(&id, '"', errText)
		case "function":
			name, arguments, err = readFunction(v)
		}
		if err != nil {
			return nil, err
		}
	}

	call := t[index]
	if call == nil {
		if len(t) == maxToolCalls {
			return nil, errTooMany
		}
		call = &toolCall{}
		t[index] = call
	}
	d := event.ToolCallDelta{Index: index}
	if !call.id {
		d.ID = id.text()
		call.id = d.ID != ""
	}
	if !call.name {
		d.Name = name.text()
		call.name = d.Name != ""
	}
	if len(d.ID) > maxToolName || len(d.Name) > maxToolName {
		return nil, errToolName
	}
	if arguments != nil {
		d.Arguments = call.arguments.join(arguments)
	}
	if d == (event.ToolCallDelta{Index: index}) {
		return nil, nil
	}
	return &d, nil
}

// rests returns what is left of arguments that ended inside a rune.
func (t toolCalls) rests() []event.ToolCallDelta {
	var rests []event.ToolCallDelta
	for _, index := range slices.Sorted(maps.Keys(t)) {
		if rest := t[index].arguments.rest(); rest != "" {
			rests = append(rests, event.ToolCallDelta{Index: index, Arguments: rest})
		}
	}
	return rests
}

// readFunction returns the members of a tool call's function.
func readFunction(v jsonValue) (name, arguments jsonValue, err error) {
	if v.is('n') {
		return nil, nil, nil
	}
	if !v.is('{') {
		return nil, nil, errCall
	}
	for key, v := range v.members() {
		switch string(key.name()) {
		case "name":
			err = v.into(&name, '"', errText)
		case "arguments":
			err = v.into(&arguments, '"', errText)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return name, arguments, nil
}
