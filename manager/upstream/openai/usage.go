package openai

import "github.com/sauron-stream/sauron/manager/event"

// readUsage returns the token counts that a chunk's usage is, or nil if it has none.
func readUsage(v jsonValue) *event.Usage {
	if !v.is('{') {
		return nil
	}
	var u event.Usage
	counts := false
	for name, v := range v.members() {
		switch string(name.name()) {
		case "prompt_tokens":
			u.Prompt, counts = v.count(), true
		case "completion_tokens":
			u.Completion, counts = v.count(), true
		case "prompt_tokens_details":
			u.Cached = readDetail(v, "cached_tokens")
		case "completion_tokens_details":
			u.Reasoning = readDetail(v, "reasoning_tokens")
		}
	}
	if !counts {
		return nil
	}
	return &u
}

// readDetail returns the number of tokens that v has under that name, or 0.
func readDetail(v jsonValue, of string) int64 {
	if !v.is('{') {
		return 0
	}
	for name, v := range v.members() {
		if string(name.name()) == of {
			return v.count()
		}
	}
	return 0
}
