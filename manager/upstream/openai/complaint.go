package openai

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/sauron-stream/sauron/manager/fault"
)

// A complaint is what an upstream says about a failure, as far as it could be
// read. Its texts are the upstream's and may quote the prompt.
type complaint struct {
	kind    string // "type"
	code    string // a number's digits, if it is one
	param   string
	message string // to look for known wordings in; never shown
}

// complaintBody is all the shapes that are known of an error:
//
//	{"error": {"message": ..., "type": ..., "param": ..., "code": ...}}
//	{"object": "error", "message": ..., "type": ..., "param": ..., "code": ...}
//	{"error": "text", "message": ...}
//	{"detail": "text, or what FastAPI found in the body"}
//
// Members are raw because each of them comes with different types.
type complaintBody struct {
	Error   json.RawMessage `json:"error"`
	Kind    json.RawMessage `json:"type"`
	Code    json.RawMessage `json:"code"`
	Param   json.RawMessage `json:"param"`
	Message json.RawMessage `json:"message"`
	Detail  json.RawMessage `json:"detail"`
}

// readComplaint reads the body of an error answer, or the chunk of an error inside
// a stream. What can't be read is empty.
func readComplaint(body []byte) complaint {
	var outer, inner complaintBody
	if json.Unmarshal(body, &outer) != nil {
		return complaint{}
	}
	if json.Unmarshal(outer.Error, &inner) != nil {
		inner = outer
	}
	return complaint{
		kind:    scalar(inner.Kind),
		code:    scalar(inner.Code),
		param:   scalar(inner.Param),
		message: strings.ToLower(scalar(inner.Message) + " " + scalar(outer.Error) + " " + string(outer.Detail)),
	}
}

// scalar returns a JSON string's text or a number's digits, and nothing for any
// other value.
func scalar(v json.RawMessage) string {
	var text string
	if json.Unmarshal(v, &text) == nil {
		return text
	}
	var number json.Number
	if json.Unmarshal(v, &number) == nil {
		return number.String()
	}
	return ""
}

// Words of the complaint, as servers are known to use them.
var (
	quotaWords = []string{
		"insufficient_quota", "quota_exceeded", "quota_exhausted", "exceeded_current_quota_error",
		"billing_hard_limit_reached", "billing_not_active", "insufficient_balance",
	}
	lengthWords     = []string{"context_length_exceeded", "exceed_context_size_error"} // the second: llama.cpp
	lengthWordings  = []string{"context length", "context size", "context window", "prompt is too long"}
	contentWords    = []string{"content_filter", "content_policy", "moderation"}
	contentWordings = []string{"content management policy"} // Azure
)

// quota reports whether c says that the account is used up. Waiting does not help
// then, whatever the status says.
func (c complaint) quota() bool {
	return slices.Contains(quotaWords, strings.ToLower(c.code)) || slices.Contains(quotaWords, strings.ToLower(c.kind))
}

// rejection returns why the upstream will not have the request.
func (c complaint) rejection(status int) fault.Reason {
	names := strings.ToLower(c.code + " " + c.kind)
	has := func(text string) func(string) bool {
		return func(word string) bool { return strings.Contains(text, word) }
	}
	switch {
	case slices.ContainsFunc(contentWords, has(names)), slices.ContainsFunc(contentWordings, has(c.message)):
		return fault.ContentRejected
	case status == http.StatusRequestEntityTooLarge,
		slices.ContainsFunc(lengthWords, has(names)), slices.ContainsFunc(lengthWordings, has(c.message)):
		return fault.ContextLengthExceeded
	}
	return fault.UpstreamRejected
}

// What may be told: to callers, and in the log. A closed form keeps prompts out.
var (
	callerForm = regexp.MustCompile(`^[a-z0-9_.\[\]]{1,64}$`)
	logForm    = regexp.MustCompile(`^[A-Za-z0-9_.\[\]-]{1,64}$`)
)

// metadata returns what callers are told of c.
func (c complaint) metadata() map[string]string {
	told := make(map[string]string, 3)
	if callerForm.MatchString(c.code) {
		told["code"] = c.code
	}
	if callerForm.MatchString(c.param) {
		told["param"] = c.param
	}
	return told
}

// err returns what the log is told of c. A status of 0 means that the complaint
// came inside a stream.
func (c complaint) err(status int) error {
	text := "openai: error in the stream"
	if status != 0 {
		text = fmt.Sprintf("openai: status %d", status)
	}
	if logForm.MatchString(c.kind) {
		text += ", type " + c.kind
	}
	if logForm.MatchString(c.code) {
		text += ", code " + c.code
	}
	return errors.New(text)
}
