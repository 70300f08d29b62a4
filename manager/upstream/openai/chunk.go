package openai

import "errors"

// Why a chunk can't be parsed.
var (
	errChoices   = errors.New("openai: choices is no array of objects with an index")
	errSameIndex = errors.New("openai: two choices with index 0")
	errDelta     = errors.New("openai: delta is no object")
	errText      = errors.New("openai: a text or a finish reason is no string")
	errCalls     = errors.New("openai: tool_calls is no array")
)

// A chunk is what one chat.completion.chunk says, as parts of its bytes. What is
// absent, null or of the wrong type where that does no harm is nil.
type chunk struct {
	failed bool // it carries an error

	id, model, fingerprint jsonValue // strings
	usage                  jsonValue // an object

	// Of choice 0.
	finish           jsonValue // a string
	content, refusal jsonValue // strings
	reasoningContent jsonValue // a string
	reasoning        jsonValue // a string
	calls            jsonValue // an array
	extraChoices     bool      // there were choices with other indexes
	hasChoice        bool      // there was a choice 0
	unknown          extension // members that have no field
}

// parse reads data into c, which keeps its buffers. data must not change while c is
// in use.
func (c *chunk) parse(data []byte) error {
	*c = chunk{unknown: c.unknown.cleared()}
	object, err := parseObject(data)
	if err != nil {
		return err
	}
	var choices jsonValue
	for name, v := range object.members() {
		switch string(name.name()) {
		case "id":
			c.id = v.only('"')
		case "model":
			c.model = v.only('"')
		case "system_fingerprint":
			c.fingerprint = v.only('"')
		case "usage":
			c.usage = v.only('{')
		case "choices":
			choices = v
		case "error":
			c.failed = c.failed || !v.is('n')
		case "object":
			c.failed = c.failed || string(v) == `"error"`
		case "created":
		default:
			c.unknown.addTop(name, v)
		}
	}
	switch {
	case c.failed, choices.is('n'):
		return nil
	case !choices.is('['):
		return errChoices
	}
	for choice := range choices.elements() {
		if err := c.parseChoice(choice); err != nil {
			return err
		}
	}
	return nil
}

// parseChoice reads a choice, unless it is another one than choice 0.
func (c *chunk) parseChoice(choice jsonValue) error {
	if !choice.is('{') {
		return errChoices
	}
	var index int32
	for name, v := range choice.members() {
		if string(name.name()) == "index" {
			var ok bool
			if index, ok = v.int32(); !ok && !v.is('n') {
				return errChoices
			}
		}
	}
	switch {
	case index != 0:
		c.extraChoices = true
		return nil
	case c.hasChoice:
		return errSameIndex // which of them would be the answer?
	}
	c.hasChoice = true
	for name, v := range choice.members() {
		switch string(name.name()) {
		case "index":
		case "finish_reason":
			if err := v.into(&c.finish, '"', errText); err != nil {
				return err
			}
		case "delta":
			if err := c.parseDelta(v); err != nil {
				return err
			}
		default:
			c.unknown.addChoice(name, v)
		}
	}
	return nil
}

// parseDelta reads the delta of choice 0.
func (c *chunk) parseDelta(delta jsonValue) error {
	if delta.is('n') {
		return nil
	}
	if !delta.is('{') {
		return errDelta
	}
	for name, v := range delta.members() {
		var err error
		switch string(name.name()) {
		case "role":
		case "content":
			err = v.into(&c.content, '"', errText)
		case "refusal":
			err = v.into(&c.refusal, '"', errText)
		case "reasoning_content":
			err = v.into(&c.reasoningContent, '"', errText)
		case "reasoning":
			err = v.into(&c.reasoning, '"', errText)
		case "tool_calls":
			err = v.into(&c.calls, '[', errCalls)
		default:
			c.unknown.addDelta(name, v)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
