package openai

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/types/known/structpb"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// owned are the members of a request's body that are the service's affair. An
// extension of that name was refused before; one that a hook added is left out.
var owned = map[string]bool{
	"model": true, "messages": true, "stream": true, "stream_options": true, "n": true,
	"tools": true, "tool_choice": true, "response_format": true,
	"max_tokens": true, "max_completion_tokens": true,
	"temperature": true, "top_p": true, "stop": true, "seed": true,
	"presence_penalty": true, "frequency_penalty": true, "top_k": true,
}

// newBody returns the JSON text that asks for req. It is the same for equal requests.
// limit names the member for the limit of tokens.
func newBody(req *sauronv1.GenerateRequest, model, limit string) ([]byte, error) {
	w := newJSONWriter()
	w.object(func() {
		w.member("model", model)
		w.key("messages")
		writeMessages(w, req.GetMessages())
		writeSampling(w, req.GetSampling(), limit)
		if tools := req.GetTools(); len(tools) > 0 {
			w.key("tools")
			writeTools(w, tools)
		}
		writeToolChoice(w, req.GetToolChoice())
		writeResponseFormat(w, req.GetResponseFormat())
		writeExtensions(w, req.GetExtensions())
		w.member("stream", true)
		w.member("stream_options", json.RawMessage(`{"include_usage":true}`))
	})
	return w.bytes()
}

// writeSampling writes what is set of s, each as a member of its own.
func writeSampling(w *jsonWriter, s *sauronv1.Sampling, limit string) {
	if s == nil {
		return
	}
	writeSet(w, "temperature", s.Temperature)
	writeSet(w, "top_p", s.TopP)
	writeSet(w, limit, s.MaxTokens)
	if stop := s.GetStop(); len(stop) > 0 {
		w.member("stop", stop)
	}
	writeSet(w, "seed", s.Seed)
	writeSet(w, "presence_penalty", s.PresencePenalty)
	writeSet(w, "frequency_penalty", s.FrequencyPenalty)
	writeSet(w, "top_k", s.TopK)
}

// writeSet writes an optional value if it is set.
func writeSet[T any](w *jsonWriter, key string, v *T) {
	if v != nil {
		w.member(key, *v)
	}
}

// writeTools writes the functions that the model may ask for.
func writeTools(w *jsonWriter, tools []*sauronv1.Tool) {
	w.array(func() {
		for i, tool := range tools {
			w.object(func() {
				w.member("type", "function")
				w.key("function")
				w.object(func() {
					w.member("name", tool.GetName())
					w.text("description", tool.GetDescription())
					if schema := tool.GetParametersJson(); schema != "" {
						w.key("parameters")
						w.verbatim(schema, fmt.Sprintf("tools[%d].parameters_json", i))
					}
					writeSet(w, "strict", tool.Strict)
				})
			})
		}
	})
}

// writeToolChoice writes which of the tools the model may or must use.
func writeToolChoice(w *jsonWriter, choice *sauronv1.ToolChoice) {
	switch c := choice.GetChoice().(type) {
	case *sauronv1.ToolChoice_Name:
		w.key("tool_choice")
		w.object(func() {
			w.member("type", "function")
			w.key("function")
			w.object(func() { w.member("name", c.Name) })
		})
	case *sauronv1.ToolChoice_Mode_:
		switch c.Mode {
		case sauronv1.ToolChoice_MODE_AUTO:
			w.member("tool_choice", "auto")
		case sauronv1.ToolChoice_MODE_NONE:
			w.member("tool_choice", "none")
		case sauronv1.ToolChoice_MODE_REQUIRED:
			w.member("tool_choice", "required")
		case sauronv1.ToolChoice_MODE_UNSPECIFIED:
			fallthrough
		default: // both were refused before; a hook may have made one
			w.fail(errors.New("openai: a tool choice that is none"))
		}
	}
}

// writeResponseFormat writes the form that the answer must have.
func writeResponseFormat(w *jsonWriter, format *sauronv1.ResponseFormat) {
	switch f := format.GetFormat().(type) {
	case *sauronv1.ResponseFormat_JsonObject:
		w.member("response_format", json.RawMessage(`{"type":"json_object"}`))
	case *sauronv1.ResponseFormat_JsonSchema:
		w.key("response_format")
		w.object(func() {
			w.member("type", "json_schema")
			w.key("json_schema")
			w.object(func() {
				w.member("name", f.JsonSchema.GetName())
				w.text("description", f.JsonSchema.GetDescription())
				w.key("schema")
				w.verbatim(f.JsonSchema.GetSchemaJson(), "response_format.json_schema.schema_json")
				writeSet(w, "strict", f.JsonSchema.Strict)
			})
		})
	}
}

// writeExtensions writes the extra members of the body, sorted.
func writeExtensions(w *jsonWriter, extensions *structpb.Struct) {
	fields := extensions.GetFields()
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		if !owned[key] {
			w.member(key, fields[key].AsInterface())
		}
	}
}
