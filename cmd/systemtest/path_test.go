package systemtest

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/structpb"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// decoded returns a JSON text as any.
func decoded(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return v
}

// everything is a request with all that a request can hold.
func everything(t *testing.T) *sauronv1.GenerateRequest {
	t.Helper()
	extensions, err := structpb.NewStruct(map[string]any{
		"chat_template_kwargs": map[string]any{"enable_thinking": true},
		"logprobs":             true,
		"min_p":                0.25,
	})
	if err != nil {
		t.Fatal(err)
	}
	text := func(s string) *sauronv1.ContentPart {
		return &sauronv1.ContentPart{Part: &sauronv1.ContentPart_Text{Text: s}}
	}
	image := &sauronv1.Image{Source: &sauronv1.Image_Data{Data: []byte("PNG")}, MimeType: "image/png", Detail: "low"}
	return &sauronv1.GenerateRequest{
		Model: "default",
		Messages: []*sauronv1.Message{
			{Role: sauronv1.Role_ROLE_SYSTEM, Content: "Be brief."},
			{Role: sauronv1.Role_ROLE_USER, Name: "ann", Parts: []*sauronv1.ContentPart{
				text("What is it?"), {Part: &sauronv1.ContentPart_Image{Image: image}},
			}},
			{Role: sauronv1.Role_ROLE_ASSISTANT, ToolCalls: []*sauronv1.ToolCall{{Id: "c1", Name: "look", ArgumentsJson: `{"at":1}`}}},
			{Role: sauronv1.Role_ROLE_TOOL, ToolCallId: "c1", Content: "a cat"},
		},
		Sampling: &sauronv1.Sampling{
			Temperature: new(0.5), TopP: new(0.9), MaxTokens: new(int32(99)), Stop: []string{"END"}, Seed: new(int64(7)),
			PresencePenalty: new(0.1), FrequencyPenalty: new(-0.1), TopK: new(int32(40)),
		},
		Tools: []*sauronv1.Tool{{
			Name: "look", Description: "Looks.", ParametersJson: `{"type":"object", "properties":{}}`, Strict: new(true),
		}},
		ToolChoice: &sauronv1.ToolChoice{Choice: &sauronv1.ToolChoice_Mode_{Mode: sauronv1.ToolChoice_MODE_REQUIRED}},
		ResponseFormat: &sauronv1.ResponseFormat{Format: &sauronv1.ResponseFormat_JsonSchema{
			JsonSchema: &sauronv1.JsonSchema{Name: "animal", SchemaJson: `{"type":"object"}`},
		}},
		Extensions:                extensions,
		IncludeUpstreamExtensions: true,
	}
}

// everythingBody is the upstream's body for it.
const everythingBody = `{
	"model": "default",
	"messages": [
		{"role": "system", "content": "Be brief."},
		{"role": "user", "name": "ann", "content": [
			{"type": "text", "text": "What is it?"},
			{"type": "image_url", "image_url": {"url": "data:image/png;base64,UE5H", "detail": "low"}}
		]},
		{"role": "assistant", "content": null, "tool_calls": [
			{"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{\"at\":1}"}}
		]},
		{"role": "tool", "tool_call_id": "c1", "content": "a cat"}
	],
	"temperature": 0.5, "top_p": 0.9, "max_tokens": 99, "stop": ["END"], "seed": 7,
	"presence_penalty": 0.1, "frequency_penalty": -0.1, "top_k": 40,
	"tools": [{"type": "function", "function": {
		"name": "look", "description": "Looks.", "parameters": {"type": "object", "properties": {}}, "strict": true
	}}],
	"tool_choice": "required",
	"response_format": {"type": "json_schema", "json_schema": {"name": "animal", "schema": {"type": "object"}}},
	"chat_template_kwargs": {"enable_thinking": true}, "logprobs": true, "min_p": 0.25,
	"stream": true, "stream_options": {"include_usage": true}
}`

// everythingAnswer is an answer with all that an answer can hold.
const everythingAnswer = `data: {"id":"r-9","object":"chat.completion.chunk","model":"up-9","system_fingerprint":"fp-9","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}

data: {"id":"r-9","choices":[{"index":0,"delta":{"reasoning_content":"Hm."}}]}

: a comment

data: {"id":"r-9","provider":"p","choices":[{"index":0,"delta":{"content":"A "},"logprobs":{"content":[{"token":"A ","logprob":-0.5}]}}]}

data: {"id":"r-9","choices":[{"index":0,"delta":{"content":"cat."}}]}

data: {"id":"r-9","choices":[{"index":0,"delta":{"refusal":"No more."}}]}

data: {"id":"r-9","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c2","type":"function","function":{"name":"look","arguments":""}}]}}]}

data: {"id":"r-9","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"at\":"}},{"index":1,"id":"c3","function":{"name":"end","arguments":"{}"}}]}}]}

data: {"id":"r-9","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"2}"}}]}}]}

data: {"id":"r-9","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}

data: {"id":"r-9","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":20,"total_tokens":30,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":5}}}

data: [DONE]

`

// everythingEvents is what comes of it, after the stages.
func everythingEvents() []*sauronv1.Event {
	call := func(d *sauronv1.ToolCallDelta) *sauronv1.Event {
		return &sauronv1.Event{Kind: &sauronv1.Event_ToolCallDelta{ToolCallDelta: d}}
	}
	text := func(s string) *sauronv1.Event {
		return &sauronv1.Event{Kind: &sauronv1.Event_TextDelta{TextDelta: s}}
	}
	events := []*sauronv1.Event{
		{Kind: &sauronv1.Event_ReasoningDelta{ReasoningDelta: "Hm."}},
		text("A "),
		{Kind: &sauronv1.Event_UpstreamExtensionJson{
			UpstreamExtensionJson: `{"provider":"p","choice":{"logprobs":{"content":[{"token":"A ","logprob":-0.5}]}}}`,
		}},
		text("cat."),
		{Kind: &sauronv1.Event_RefusalDelta{RefusalDelta: "No more."}},
		call(&sauronv1.ToolCallDelta{Id: "c2", Name: "look"}),
		call(&sauronv1.ToolCallDelta{ArgumentsDelta: `{"at":`}),
		call(&sauronv1.ToolCallDelta{Index: 1, Id: "c3", Name: "end", ArgumentsDelta: "{}"}),
		call(&sauronv1.ToolCallDelta{ArgumentsDelta: "2}"}),
		{Kind: &sauronv1.Event_Usage{Usage: &sauronv1.Usage{
			PromptTokens: 10, CompletionTokens: 20, CachedTokens: 4, ReasoningTokens: 5,
		}}},
		{Kind: &sauronv1.Event_Finished{Finished: &sauronv1.Finished{
			Outcome: sauronv1.Outcome_OUTCOME_COMPLETED, FinishReason: sauronv1.FinishReason_FINISH_REASON_TOOL_CALLS,
			UpstreamFinishReason: "tool_calls", UpstreamModel: "up-9", UpstreamResponseId: "r-9", SystemFingerprint: "fp-9",
		}}},
	}
	for i, e := range events {
		e.Sequence = int64(i + 5)
	}
	return events
}

// All that a request can hold reaches the upstream's body, and all that an answer
// can hold comes back, in order.
func TestEverythingGoesThrough(t *testing.T) {
	t.Parallel()
	up := steered(t)
	s := serve(t, up)
	got := begin(t, s.client(t), everything(t))
	x := up.next(t)
	if diff := cmp.Diff(decoded(t, everythingBody), decoded(t, string(x.body))); diff != "" {
		t.Errorf("the upstream's body (-want +got)\n%s", diff)
	}
	if text := `"parameters":{"type":"object", "properties":{}}`; !strings.Contains(string(x.body), text) {
		t.Errorf("the schema's text was changed: %s", x.body)
	}
	x.headers()
	x.raw(everythingAnswer)
	x.end()
	if got.all().err != nil {
		t.Fatal(got.err)
	}
	if diff := cmp.Diff(everythingEvents(), got.events[5:], protocmp.Transform()); diff != "" {
		t.Errorf("events after the stages (-want +got)\n%s", diff)
	}
	var stages []sauronv1.Stage
	for _, e := range got.events[1:5] {
		stages = append(stages, e.GetStageChanged().GetStage())
	}
	want := []sauronv1.Stage{
		sauronv1.Stage_STAGE_QUEUED, sauronv1.Stage_STAGE_PREPARING, sauronv1.Stage_STAGE_WAITING, sauronv1.Stage_STAGE_STREAMING,
	}
	if diff := cmp.Diff(want, stages); diff != "" {
		t.Errorf("stages (-want +got)\n%s", diff)
	}
	if err := got.ordered(); err != nil {
		t.Error(err)
	}

	// Who does not ask for extensions gets none, and is another generation.
	req := everything(t)
	req.IncludeUpstreamExtensions = false
	got = begin(t, s.client(t), req)
	x = up.next(t)
	x.headers()
	x.raw(everythingAnswer)
	x.end()
	for _, e := range got.all().events {
		if text := e.GetUpstreamExtensionJson(); text != "" {
			t.Errorf("extension %s", text)
		}
	}
	if got.err != nil || got.last() != int64(len(everythingEvents()))+3 {
		t.Errorf("ended with %v after %d", got.err, got.last())
	}
}
