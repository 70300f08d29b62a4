package openai_test

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
	"github.com/sauron-stream/sauron/manager/prepare"
	"github.com/sauron-stream/sauron/manager/upstream/openai"
)

var _ prepare.Upstream = (*openai.Upstream)(nil)

// asked returns the request that a server gets for req.
func asked(t *testing.T, cfg openai.Config, req *sauronv1.GenerateRequest) (*http.Request, string) {
	t.Helper()
	var got *http.Request
	var body []byte
	path := strings.TrimPrefix(cfg.BaseURL, "http://up")
	cfg.BaseURL = strings.TrimSuffix(serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		stream(hello, stop, done)(w, r)
	}), "/v1") + path
	before := proto.Clone(req)
	check(t, collect(t.Context(), t, newUpstream(t, cfg).Streamer(req, "up/model")), "alive", `text "Hello"`, "alive", finished)
	if !proto.Equal(before, req) {
		t.Error("the request was changed")
	}
	if !json.Valid(body) {
		t.Errorf("the body is no JSON: %s", body)
	}
	return got, string(body)
}

// Every field of a request in one body, byte by byte, with all that JSON must and must
// not escape. Texts of JSON are sent as they came, white space and all.
func TestBody(t *testing.T) {
	extensions, err := structpb.NewStruct(map[string]any{
		"logprobs": true, "chat_template_kwargs": map[string]any{"b": 1.5, "a": []any{"<x>", nil, 10}}, "zeta": 1e21,
		// A hook's, which must not replace what is the service's.
		"model": "other", "stream": false, "n": 2, "max_tokens": 1, "max_completion_tokens": 1, "top_k": 7,
	})
	if err != nil {
		t.Fatal(err)
	}
	req := &sauronv1.GenerateRequest{
		RequestId: "never sent",
		Model:     "never sent",
		Messages: []*sauronv1.Message{
			{Role: sauronv1.Role_ROLE_SYSTEM, Content: "a < b && c > d \"\\\n\x00é😀"},
			{Role: sauronv1.Role_ROLE_DEVELOPER, Content: ""},
			{Role: sauronv1.Role_ROLE_USER, Name: "ann", Parts: []*sauronv1.ContentPart{
				{Part: &sauronv1.ContentPart_Text{Text: "see"}},
				{Part: &sauronv1.ContentPart_Image{Image: &sauronv1.Image{Source: &sauronv1.Image_Uri{Uri: "https://x/y?a=1&b=2"}, Detail: "low"}}},
				{Part: &sauronv1.ContentPart_Image{Image: &sauronv1.Image{Source: &sauronv1.Image_Data{Data: []byte{0xff, 0, 1}}, MimeType: "image/png"}}},
			}},
			{Role: sauronv1.Role_ROLE_ASSISTANT, ToolCalls: []*sauronv1.ToolCall{
				{Id: "c1", Name: "f", ArgumentsJson: `{ "a" : 1 }`}, {Id: "c2", Name: "g"},
			}},
			{Role: sauronv1.Role_ROLE_ASSISTANT, Content: "both", ToolCalls: []*sauronv1.ToolCall{{Id: "c3", Name: "h", ArgumentsJson: "{}"}}},
			{Role: sauronv1.Role_ROLE_TOOL, Content: "4", ToolCallId: "c1"},
		},
		Sampling: &sauronv1.Sampling{
			Temperature: proto.Float64(0), TopP: new(0.1), MaxTokens: proto.Int32(9), Stop: []string{"</s>", "b"},
			Seed: proto.Int64(math.MaxInt64), PresencePenalty: new(-0.5), FrequencyPenalty: proto.Float64(2), TopK: proto.Int32(40),
		},
		Tools: []*sauronv1.Tool{
			{Name: "f", Description: "does <it>", ParametersJson: " {\n \"type\" : \"object\", \"x\": 1.00, \"u\":\"\\u003c\" }\t", Strict: new(false)},
			{Name: "g"},
		},
		ToolChoice: &sauronv1.ToolChoice{Choice: &sauronv1.ToolChoice_Name{Name: "f"}},
		ResponseFormat: &sauronv1.ResponseFormat{Format: &sauronv1.ResponseFormat_JsonSchema{JsonSchema: &sauronv1.JsonSchema{
			Name: "s", Description: "d", SchemaJson: "{ \"a\":{},\n\"a\":{} }", Strict: new(true),
		}}},
		Extensions: extensions,
	}
	want := `{"model":"up/model","messages":[` +
		`{"role":"system","content":"a < b && c > d \"\\\n\u0000é😀"},` +
		`{"role":"developer","content":""},` +
		`{"role":"user","content":[{"type":"text","text":"see"},{"type":"image_url","image_url":{"url":"https://x/y?a=1&b=2","detail":"low"}},` +
		`{"type":"image_url","image_url":{"url":"data:image/png;base64,/wAB"}}],"name":"ann"},` +
		`{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{ \"a\" : 1 }"}},` +
		`{"id":"c2","type":"function","function":{"name":"g","arguments":""}}]},` +
		`{"role":"assistant","content":"both","tool_calls":[{"id":"c3","type":"function","function":{"name":"h","arguments":"{}"}}]},` +
		`{"role":"tool","content":"4","tool_call_id":"c1"}],` +
		`"temperature":0,"top_p":0.1,"max_tokens":9,"stop":["</s>","b"],"seed":9223372036854775807,"presence_penalty":-0.5,"frequency_penalty":2,"top_k":40,` +
		`"tools":[{"type":"function","function":{"name":"f","description":"does <it>","parameters": {` + "\n" + ` "type" : "object", "x": 1.00, "u":"\u003c" }` + "\t" + `,"strict":false}},` +
		`{"type":"function","function":{"name":"g"}}],` +
		`"tool_choice":{"type":"function","function":{"name":"f"}},` +
		`"response_format":{"type":"json_schema","json_schema":{"name":"s","description":"d","schema":{ "a":{},` + "\n" + `"a":{} },"strict":true}},` +
		`"chat_template_kwargs":{"a":["<x>",null,10],"b":1.5},"logprobs":true,"zeta":1e+21,` +
		`"stream":true,"stream_options":{"include_usage":true}}`
	for range 5 { // maps have no order
		if _, got := asked(t, config("http://up/v1"), req); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
}

// What is left out is not sent, and the choices that have a word.
func TestSmallBodies(t *testing.T) {
	const head, tail = `{"model":"up/model","messages":[{"role":"user","content":"Say s3cr3t."}]`, `,"stream":true,"stream_options":{"include_usage":true}}`
	mode := func(m sauronv1.ToolChoice_Mode) *sauronv1.ToolChoice {
		return &sauronv1.ToolChoice{Choice: &sauronv1.ToolChoice_Mode_{Mode: m}}
	}
	for name, test := range map[string]struct {
		change func(*sauronv1.GenerateRequest)
		want   string
	}{
		"nothing": {func(*sauronv1.GenerateRequest) {}, ""},
		"empty": {func(r *sauronv1.GenerateRequest) {
			r.Sampling, r.ToolChoice, r.ResponseFormat, r.Extensions = &sauronv1.Sampling{}, &sauronv1.ToolChoice{}, &sauronv1.ResponseFormat{}, &structpb.Struct{}
		}, ""},
		"auto":     {func(r *sauronv1.GenerateRequest) { r.ToolChoice = mode(sauronv1.ToolChoice_MODE_AUTO) }, `,"tool_choice":"auto"`},
		"none":     {func(r *sauronv1.GenerateRequest) { r.ToolChoice = mode(sauronv1.ToolChoice_MODE_NONE) }, `,"tool_choice":"none"`},
		"required": {func(r *sauronv1.GenerateRequest) { r.ToolChoice = mode(sauronv1.ToolChoice_MODE_REQUIRED) }, `,"tool_choice":"required"`},
		"json_object": {func(r *sauronv1.GenerateRequest) {
			r.ResponseFormat = &sauronv1.ResponseFormat{Format: &sauronv1.ResponseFormat_JsonObject{}}
		}, `,"response_format":{"type":"json_object"}`},
		"json_schema": {
			func(r *sauronv1.GenerateRequest) {
				r.ResponseFormat = &sauronv1.ResponseFormat{Format: &sauronv1.ResponseFormat_JsonSchema{JsonSchema: &sauronv1.JsonSchema{Name: "n", SchemaJson: "{}"}}}
			},
			`,"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{}}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req := request()
			test.change(req)
			if _, got := asked(t, config("http://up/v1"), req); got != head+test.want+tail {
				t.Errorf("got\n%s\nwant\n%s", got, head+test.want+tail)
			}
		})
	}
}

// A request that can't be said is refused without asking anybody: a text that is no
// JSON object could end the body early and add members to it.
func TestRequestsWithoutABody(t *testing.T) {
	for name, change := range map[string]func(*sauronv1.GenerateRequest){
		"role": func(r *sauronv1.GenerateRequest) { r.Messages[0].Role = 0 },
		"part": func(r *sauronv1.GenerateRequest) { r.Messages[0].Parts = []*sauronv1.ContentPart{{}} },
		"mode": func(r *sauronv1.GenerateRequest) {
			r.ToolChoice = &sauronv1.ToolChoice{Choice: &sauronv1.ToolChoice_Mode_{}}
		},
		"number": func(r *sauronv1.GenerateRequest) { r.Sampling = &sauronv1.Sampling{TopP: new(math.NaN())} },
		"parameters": func(r *sauronv1.GenerateRequest) {
			r.Tools = []*sauronv1.Tool{{Name: "f", ParametersJson: `{}}}],"model":"s3cr3t","x":[{"y":{"z":{}`}}
		},
		"array_parameters": func(r *sauronv1.GenerateRequest) { r.Tools = []*sauronv1.Tool{{Name: "f", ParametersJson: `[]`}} },
		"schema": func(r *sauronv1.GenerateRequest) {
			r.ResponseFormat = &sauronv1.ResponseFormat{Format: &sauronv1.ResponseFormat_JsonSchema{JsonSchema: &sauronv1.JsonSchema{Name: "n"}}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("asked") })
			cfg := config(url)
			cfg.Tries, cfg.Within = 3, mustHappen
			req := request()
			change(req)
			check(t, collect(t.Context(), t, newUpstream(t, cfg).Streamer(req, "m")), "fault UPSTREAM_REJECTED")
		})
	}
}

// A test that fails when the request has a field that nobody decided about: whether it
// is sent.
func TestEveryFieldIsDecided(t *testing.T) {
	sent := map[string]string{
		"GenerateRequest": "messages sampling tools tool_choice response_format extensions", "Message": "role content parts tool_calls tool_call_id name",
		"ContentPart": "text image", "Image": "uri data mime_type detail", "ToolCall": "id name arguments_json",
		"Sampling": "temperature top_p max_tokens stop seed presence_penalty frequency_penalty top_k",
		"Tool":     "name description parameters_json strict", "ToolChoice": "mode name", "ResponseFormat": "json_object json_schema",
		"JsonSchema": "name description schema_json strict",
	}
	kept := map[string]string{
		// model is the route's name, the upstream's is given beside it.
		"GenerateRequest": "request_id model coalescing resume orphan_grace include_upstream_extensions",
	}
	for _, m := range []proto.Message{
		&sauronv1.GenerateRequest{}, &sauronv1.Message{}, &sauronv1.ContentPart{}, &sauronv1.Image{}, &sauronv1.ToolCall{},
		&sauronv1.Sampling{}, &sauronv1.Tool{}, &sauronv1.ToolChoice{}, &sauronv1.ResponseFormat{}, &sauronv1.JsonObject{}, &sauronv1.JsonSchema{},
	} {
		d := m.ProtoReflect().Descriptor()
		decided := strings.Fields(sent[string(d.Name())] + " " + kept[string(d.Name())])
		if n := d.Fields().Len(); n != len(decided) {
			t.Errorf("%s has %d fields, %d are decided", d.Name(), n, len(decided))
		}
		for _, name := range decided {
			found := false
			for i := range d.Fields().Len() {
				found = found || string(d.Fields().Get(i).Name()) == name
			}
			if !found {
				t.Errorf("%s has no field %s", d.Name(), name)
			}
		}
	}
}

// What a request says besides its body.
func TestRequestHead(t *testing.T) {
	cfg := config("http://up/base/v1/?api-version=1")
	cfg.Headers = map[string]string{"X-Team": "search", "user-agent": "other", "Host": "virtual"}
	got, body := asked(t, cfg, request())
	for name, want := range map[string]string{
		"Accept": "text/event-stream", "Content-Type": "application/json", "Authorization": "Bearer " + secret,
		"X-Team": "search", "User-Agent": "other", "Accept-Encoding": "", "Content-Length": fmt.Sprint(len(body)),
	} {
		if value := got.Header.Get(name); value != want {
			t.Errorf("%s: %q, want %q", name, value, want)
		}
	}
	if got.Method != http.MethodPost || got.RequestURI != "/base/v1/chat/completions?api-version=1" || got.Host != "virtual" {
		t.Errorf("got %s %s for host %s", got.Method, got.RequestURI, got.Host)
	}

	cfg = openai.Config{BaseURL: "http://up/v1"}
	got, _ = asked(t, cfg, request())
	if _, ok := got.Header["Authorization"]; ok || got.UserAgent() != "sauron" || got.RequestURI != "/v1/chat/completions" {
		t.Errorf("got %s with %v", got.RequestURI, got.Header)
	}
}
