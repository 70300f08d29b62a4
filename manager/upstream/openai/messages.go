package openai

import (
	"encoding/base64"
	"errors"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// roles are the roles' names on the wire.
var roles = map[sauronv1.Role]string{
	sauronv1.Role_ROLE_SYSTEM:    "system",
	sauronv1.Role_ROLE_USER:      "user",
	sauronv1.Role_ROLE_ASSISTANT: "assistant",
	sauronv1.Role_ROLE_TOOL:      "tool",
	sauronv1.Role_ROLE_DEVELOPER: "developer",
}

// Why a message has no form on the wire. The service refuses such requests; what
// comes here was made by a hook.
var (
	errRole = errors.New("openai: a message without a role")
	errPart = errors.New("openai: a content part that is neither text nor image")
)

// writeMessages writes the conversation.
func writeMessages(w *jsonWriter, messages []*sauronv1.Message) {
	w.array(func() {
		for _, m := range messages {
			w.object(func() { writeMessage(w, m) })
		}
	})
}

// writeMessage writes the members of one turn.
func writeMessage(w *jsonWriter, m *sauronv1.Message) {
	role, ok := roles[m.GetRole()]
	if !ok {
		w.fail(errRole)
	}
	w.member("role", role)
	switch {
	case len(m.GetParts()) > 0:
		w.key("content")
		w.array(func() {
			for _, part := range m.GetParts() {
				w.object(func() { writePart(w, part) })
			}
		})
	case m.GetContent() == "" && len(m.GetToolCalls()) > 0:
		// As OpenAI itself writes such a turn; several servers insist on the member.
		w.member("content", nil)
	default:
		w.member("content", m.GetContent())
	}
	if calls := m.GetToolCalls(); len(calls) > 0 {
		w.key("tool_calls")
		w.array(func() {
			for _, call := range calls {
				w.object(func() { writeToolCall(w, call) })
			}
		})
	}
	w.text("tool_call_id", m.GetToolCallId())
	w.text("name", m.GetName())
}

// writePart writes the members of one piece of a turn.
func writePart(w *jsonWriter, part *sauronv1.ContentPart) {
	switch p := part.GetPart().(type) {
	case *sauronv1.ContentPart_Text:
		w.member("type", "text")
		w.member("text", p.Text)
	case *sauronv1.ContentPart_Image:
		w.member("type", "image_url")
		w.key("image_url")
		w.object(func() {
			w.member("url", imageURL(p.Image))
			w.text("detail", p.Image.GetDetail())
		})
	default:
		w.fail(errPart)
	}
}

// imageURL returns where an image is: its address, or itself as a data URI.
func imageURL(image *sauronv1.Image) string {
	if data, ok := image.GetSource().(*sauronv1.Image_Data); ok {
		return "data:" + image.GetMimeType() + ";base64," + base64.StdEncoding.EncodeToString(data.Data)
	}
	return image.GetUri()
}

// writeToolCall writes the members of a call that an earlier turn asked for.
func writeToolCall(w *jsonWriter, call *sauronv1.ToolCall) {
	w.member("id", call.GetId())
	w.member("type", "function")
	w.key("function")
	w.object(func() {
		w.member("name", call.GetName())
		w.member("arguments", call.GetArgumentsJson())
	})
}
