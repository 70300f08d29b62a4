package server

import (
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"pgregory.net/rapid"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
	"github.com/sauron-stream/sauron/manager"
)

// keyFields is every field that a request can have, and whether it is part of the
// key. A field that can change what the upstream answers is in.
const keyFields = `
google.protobuf.Duration.nanos out
google.protobuf.Duration.seconds out
google.protobuf.ListValue.values in
google.protobuf.Struct.fields in
google.protobuf.Value.bool_value in
google.protobuf.Value.list_value in
google.protobuf.Value.null_value in
google.protobuf.Value.number_value in
google.protobuf.Value.string_value in
google.protobuf.Value.struct_value in
sauron.v1.ContentPart.image in
sauron.v1.ContentPart.text in
sauron.v1.GenerateRequest.coalescing out
sauron.v1.GenerateRequest.extensions in
sauron.v1.GenerateRequest.include_upstream_extensions in
sauron.v1.GenerateRequest.messages in
sauron.v1.GenerateRequest.model in
sauron.v1.GenerateRequest.orphan_grace out
sauron.v1.GenerateRequest.request_id out
sauron.v1.GenerateRequest.response_format in
sauron.v1.GenerateRequest.resume out
sauron.v1.GenerateRequest.sampling in
sauron.v1.GenerateRequest.tool_choice in
sauron.v1.GenerateRequest.tools in
sauron.v1.Image.data in
sauron.v1.Image.detail in
sauron.v1.Image.mime_type in
sauron.v1.Image.uri in
sauron.v1.JsonSchema.description in
sauron.v1.JsonSchema.name in
sauron.v1.JsonSchema.schema_json in
sauron.v1.JsonSchema.strict in
sauron.v1.Message.content in
sauron.v1.Message.name in
sauron.v1.Message.parts in
sauron.v1.Message.role in
sauron.v1.Message.tool_call_id in
sauron.v1.Message.tool_calls in
sauron.v1.ResponseFormat.json_object in
sauron.v1.ResponseFormat.json_schema in
sauron.v1.ResumePoint.after_sequence out
sauron.v1.ResumePoint.generation_id out
sauron.v1.Sampling.frequency_penalty in
sauron.v1.Sampling.max_tokens in
sauron.v1.Sampling.presence_penalty in
sauron.v1.Sampling.seed in
sauron.v1.Sampling.stop in
sauron.v1.Sampling.temperature in
sauron.v1.Sampling.top_k in
sauron.v1.Sampling.top_p in
sauron.v1.Tool.description in
sauron.v1.Tool.name in
sauron.v1.Tool.parameters_json in
sauron.v1.Tool.strict in
sauron.v1.ToolCall.arguments_json in
sauron.v1.ToolCall.id in
sauron.v1.ToolCall.name in
sauron.v1.ToolChoice.mode in
sauron.v1.ToolChoice.name in
`

// secret is in every text of a fullRequest that is a caller's own: no status quotes
// it.
const secret = "s3cret"

// fullRequest returns a valid request with every field set to what is not its
// default, but for the members of oneofs that otherRequest has.
func fullRequest() *sauronv1.GenerateRequest {
	return &sauronv1.GenerateRequest{
		RequestId: "Az09._:-" + secret,
		Model:     "model-" + secret,
		Messages: []*sauronv1.Message{
			{Role: sauronv1.Role_ROLE_SYSTEM, Content: "system " + secret, Name: "name " + secret},
			{Role: sauronv1.Role_ROLE_USER, Parts: []*sauronv1.ContentPart{
				{Part: &sauronv1.ContentPart_Text{Text: "text " + secret}},
				{Part: &sauronv1.ContentPart_Image{Image: &sauronv1.Image{
					Source: &sauronv1.Image_Uri{Uri: "https://example.com/" + secret}, Detail: "low " + secret,
				}}},
				{Part: &sauronv1.ContentPart_Image{Image: &sauronv1.Image{
					Source: &sauronv1.Image_Data{Data: []byte(secret)}, MimeType: "image/" + secret,
				}}},
			}},
			{Role: sauronv1.Role_ROLE_ASSISTANT, ToolCalls: []*sauronv1.ToolCall{
				{Id: "call " + secret, Name: "tool " + secret, ArgumentsJson: `{"` + secret + `":1}`},
				{Id: "call-2", Name: "tool"},
			}},
			{Role: sauronv1.Role_ROLE_TOOL, Content: "result " + secret, ToolCallId: "call " + secret},
		},
		Sampling: &sauronv1.Sampling{
			Temperature: new(0.5), TopP: new(0.9), MaxTokens: new(int32(100)), Stop: []string{"stop " + secret, "b"},
			Seed: new(int64(-7)), PresencePenalty: new(-0.5), FrequencyPenalty: new(1.5), TopK: new(int32(40)),
		},
		Tools: []*sauronv1.Tool{
			{Name: "tool " + secret, Description: "does " + secret, ParametersJson: ` {"` + secret + `": []} `, Strict: new(true)},
			{Name: "tool"},
		},
		ToolChoice: &sauronv1.ToolChoice{Choice: &sauronv1.ToolChoice_Mode_{Mode: sauronv1.ToolChoice_MODE_REQUIRED}},
		ResponseFormat: &sauronv1.ResponseFormat{Format: &sauronv1.ResponseFormat_JsonSchema{JsonSchema: &sauronv1.JsonSchema{
			Name: "schema " + secret, Description: "is " + secret, SchemaJson: `{"` + secret + `":{}}`, Strict: new(true),
		}}},
		Coalescing: sauronv1.Coalescing_COALESCING_LIVE,
		Resume:     &sauronv1.ResumePoint{GenerationId: "generation", AfterSequence: 3},
		Extensions: &structpb.Struct{Fields: map[string]*structpb.Value{
			"null":   structpb.NewNullValue(),
			"number": structpb.NewNumberValue(1.5),
			"string": structpb.NewStringValue(secret),
			"bool":   structpb.NewBoolValue(true),
			"struct": structpb.NewStructValue(&structpb.Struct{Fields: map[string]*structpb.Value{
				"member": structpb.NewNumberValue(2), "other": structpb.NewStringValue(secret),
			}}),
			"list": structpb.NewListValue(&structpb.ListValue{Values: []*structpb.Value{
				structpb.NewNumberValue(3), structpb.NewStringValue(secret),
			}}),
		}},
		OrphanGrace:               &durationpb.Duration{Seconds: 2, Nanos: 5},
		IncludeUpstreamExtensions: true,
	}
}

// otherRequest is fullRequest with the other members of oneofs.
func otherRequest() *sauronv1.GenerateRequest {
	req := fullRequest()
	req.ToolChoice = &sauronv1.ToolChoice{Choice: &sauronv1.ToolChoice_Name{Name: "tool " + secret}}
	req.ResponseFormat = &sauronv1.ResponseFormat{Format: &sauronv1.ResponseFormat_JsonObject{JsonObject: &sauronv1.JsonObject{}}}
	return req
}

// visit calls f with each message inside m and its path as violations have it, m
// itself first.
func visit(m protoreflect.Message, path string, f func(path string, m protoreflect.Message)) {
	f(path, m)
	m.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		at := fieldPath(path, field)
		switch {
		case field.IsMap():
			if field.MapValue().Message() != nil {
				v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
					visit(v.Message(), at+"."+k.String(), f)
					return true
				})
			}
		case field.Message() == nil:
		case field.IsList():
			for i := range v.List().Len() {
				visit(v.List().Get(i).Message(), fmt.Sprintf("%s[%d]", at, i), f)
			}
		default:
			visit(v.Message(), at, f)
		}
		return true
	})
}

// fieldPath returns the path of a field of the message at path. The messages that
// stand for JSON show none of their own fields.
func fieldPath(path string, f protoreflect.FieldDescriptor) string {
	switch {
	case f.FullName().Parent().Parent() == "google.protobuf":
		return path
	case path == "":
		return string(f.Name())
	}
	return path + "." + string(f.Name())
}

// visitFields calls f with each field that is set in m or in a message inside.
func visitFields(m protoreflect.Message, f func(path string, m protoreflect.Message, field protoreflect.FieldDescriptor)) {
	visit(m, "", func(path string, m protoreflect.Message) {
		var fields []protoreflect.FieldDescriptor // f may change m
		m.Range(func(field protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
			fields = append(fields, field)
			return true
		})
		for _, field := range fields {
			f(fieldPath(path, field), m, field)
		}
	})
}

// without calls do while m has not the field f.
func without(m protoreflect.Message, f protoreflect.FieldDescriptor, do func()) {
	kept := proto.Clone(m.Interface()).ProtoReflect()
	m.Clear(f)
	do()
	m.Set(f, kept.Get(f))
}

// reachable collects every field of m and of the messages inside.
func reachable(m protoreflect.MessageDescriptor, all map[protoreflect.FullName]protoreflect.FieldDescriptor) {
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		if m.IsMapEntry() {
			if f.Message() != nil {
				reachable(f.Message(), all)
			}
			continue
		}
		if all[f.FullName()] != nil {
			continue
		}
		all[f.FullName()] = f
		if f.Message() != nil {
			reachable(f.Message(), all)
		}
	}
}

func requestFields() map[protoreflect.FullName]protoreflect.FieldDescriptor {
	all := make(map[protoreflect.FullName]protoreflect.FieldDescriptor)
	reachable((&sauronv1.GenerateRequest{}).ProtoReflect().Descriptor(), all)
	return all
}

var testRevision = [32]byte{1, 2, 3, 31: 32}

func testKey(req *sauronv1.GenerateRequest) manager.Key { return keyOf("tenant", testRevision, req) }

// Whoever adds a field to a request, at any depth, decides whether it is part of the
// key, and keyOf does as was decided.
func TestKeyFieldsAreDecided(t *testing.T) {
	decided := make(map[protoreflect.FullName]string)
	for line := range strings.Lines(strings.TrimSpace(keyFields)) {
		name, decision, _ := strings.Cut(strings.TrimSpace(line), " ")
		decided[protoreflect.FullName(name)] = decision
	}
	fields := requestFields()
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if decided[name] == "" {
			t.Errorf(`%s is new. Decide: can it change what the upstream answers? If so, nothing is to be done in
key.go: list it as "in" in keyFields. If not, name it in outsideKey (fields of GenerateRequest) or teach keyWriter to
leave it out (deeper ones), and list it as "out". Then set it in fullRequest or otherRequest.`, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(decided)) {
		if fields[name] == nil {
			t.Errorf("%s is listed in keyFields, but no request has it any more", name)
		}
	}

	// What keyOf does: a field is in if a request without it has another key.
	found := make(map[protoreflect.FullName]string)
	for _, req := range []*sauronv1.GenerateRequest{fullRequest(), otherRequest()} {
		key := testKey(req)
		visitFields(req.ProtoReflect(), func(_ string, m protoreflect.Message, f protoreflect.FieldDescriptor) {
			without(m, f, func() {
				switch {
				case testKey(req) != key:
					found[f.FullName()] = "in"
				case found[f.FullName()] == "":
					found[f.FullName()] = "out"
				}
			})
		})
		if testKey(req) != key {
			t.Fatal("the test did not restore the request")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		switch got := found[name]; {
		case got == "":
			t.Errorf("%s is set neither in fullRequest nor in otherRequest: set it", name)
		case decided[name] != "" && got != decided[name]:
			t.Errorf("%s is %s the key, keyFields says %s", name, got, decided[name])
		}
	}
}

// What keyWriter takes for granted of the contract's shape.
func TestKeyHandlesTheContract(t *testing.T) {
	for name, f := range requestFields() {
		if f.IsMap() && f.MapKey().Kind() != protoreflect.StringKind {
			t.Errorf("%s: mapEntries handles only string keys", name)
		}
		if (f.Kind() == protoreflect.DoubleKind || f.Kind() == protoreflect.FloatKind) && !f.HasPresence() && !f.IsList() {
			t.Errorf("%s: without presence, 0 is absent and -0 is present: keyWriter must skip both. Or make it optional", name)
		}
		if f.Message() != nil && f.HasOptionalKeyword() {
			t.Errorf("%s: isEmptySubmessage takes it for a member of a oneof, so the empty message is not absent", name)
		}
	}
}

// The encoding can't change unnoticed: a key outlives a release and may be shared by
// replicas of two.
func TestKeyIsStable(t *testing.T) {
	unknown := fullRequest()
	unknown.Messages[1].ProtoReflect().SetUnknown(unknownField(77, "new"))
	for _, tt := range []struct {
		name string
		req  *sauronv1.GenerateRequest
		want string
	}{
		{"empty", &sauronv1.GenerateRequest{}, "3cf349c68bf0c2e6f513f6c6a5b96ee29826d3bc5ef85bb2e90ec9d8c3094ec1"},
		{"contents", contents("a", "b"), "ff3344cd8d471e11d15afcb2fe4a5895cbd355dc182e776f4bbf2c0d0f1adfbc"},
		{"extensions", extensions(t, map[string]any{"b": []any{true, nil}, "a": -0.5}), "e7b82a7c6afbb87fdd527dc908070e7316c2b4630a8415d8aa8d1fa61f181ea5"},
		{"full", fullRequest(), "1d6f18343def6b2eba9870a5342eec9dcddc65ed42d5390ed5e4be801c8748c4"},
		{"other", otherRequest(), "f4cf4b7726617c5f7d32442c1724cd913d852da16e217800fdcd797c3b3f12f4"},
		{"unknown", unknown, "1366f585ae7141e935cb50f636ece94629b5edddadc1c7a837a647e9b6660582"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			key := testKey(tt.req)
			if got := hex.EncodeToString(key[:]); got != tt.want {
				t.Errorf("key = %s, want %s.\nIf the encoding changed on purpose, raise keyVersion too. "+
					"If only fullRequest changed, give it its new key.", got, tt.want)
			}
		})
	}
}

func TestKeyCoversTenantAndRevision(t *testing.T) {
	req := fullRequest()
	seen := make(map[manager.Key]string)
	add := func(name string, key manager.Key) {
		t.Helper()
		if other, ok := seen[key]; ok {
			t.Errorf("%s and %s have the same key", name, other)
		}
		seen[key] = name
	}
	add("base", keyOf("tenant", testRevision, req))
	add("other tenant", keyOf("tenant2", testRevision, req))
	add("no tenant", keyOf("", testRevision, req))
	for i := range testRevision {
		revision := testRevision
		revision[i] ^= 1
		add(fmt.Sprintf("revision with another byte %d", i), keyOf("tenant", revision, req))
	}
	// The same bytes, cut elsewhere.
	var shifted [32]byte
	copy(shifted[:], testRevision[1:])
	add("tenant with a byte of the revision", keyOf("tenant\x01", shifted, req))
}

// unknownField returns a field that the contract has not.
func unknownField(number protowire.Number, text string) []byte {
	return protowire.AppendString(protowire.AppendTag(nil, number, protowire.BytesType), text)
}

func value(tb testing.TB, v any) *structpb.Value {
	tb.Helper()
	p, err := structpb.NewValue(v)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func extensions(tb testing.TB, members map[string]any) *sauronv1.GenerateRequest {
	tb.Helper()
	return &sauronv1.GenerateRequest{Extensions: value(tb, members).GetStructValue()}
}

func contents(texts ...string) *sauronv1.GenerateRequest {
	req := &sauronv1.GenerateRequest{}
	for _, text := range texts {
		req.Messages = append(req.Messages, &sauronv1.Message{Role: sauronv1.Role_ROLE_USER, Content: text})
	}
	return req
}

func sampling(s *sauronv1.Sampling) *sauronv1.GenerateRequest {
	return &sauronv1.GenerateRequest{Sampling: s}
}

func withUnknown[M proto.Message](m M, unknown ...[]byte) M {
	m.ProtoReflect().SetUnknown(slices.Concat(unknown...))
	return m
}

func textPart(text string) *sauronv1.ContentPart {
	return &sauronv1.ContentPart{Part: &sauronv1.ContentPart_Text{Text: text}}
}

// Requests that are written differently and mean the same.
func TestKeyIgnores(t *testing.T) {
	negative := math.Copysign(0, -1)
	for _, tt := range []struct {
		name string
		a, b *sauronv1.GenerateRequest
	}{
		{"empty_sampling", sampling(&sauronv1.Sampling{}), sampling(nil)},
		{"empty_stop", sampling(&sauronv1.Sampling{Stop: []string{}}), sampling(nil)},
		{"empty_extensions", extensions(t, map[string]any{}), &sauronv1.GenerateRequest{}},
		{"empty_tool_choice", &sauronv1.GenerateRequest{ToolChoice: &sauronv1.ToolChoice{}}, &sauronv1.GenerateRequest{}},
		{"empty_response_format", &sauronv1.GenerateRequest{ResponseFormat: &sauronv1.ResponseFormat{}}, &sauronv1.GenerateRequest{}},
		{"empty_lists", &sauronv1.GenerateRequest{Messages: []*sauronv1.Message{}, Tools: []*sauronv1.Tool{}}, &sauronv1.GenerateRequest{}},
		{
			"no_form_and_empty_form",
			&sauronv1.GenerateRequest{ResponseFormat: &sauronv1.ResponseFormat{Format: &sauronv1.ResponseFormat_JsonObject{}}},
			&sauronv1.GenerateRequest{ResponseFormat: &sauronv1.ResponseFormat{Format: &sauronv1.ResponseFormat_JsonObject{JsonObject: &sauronv1.JsonObject{}}}},
		},
		{"negative_zero_temperature", sampling(&sauronv1.Sampling{Temperature: &negative}), sampling(&sauronv1.Sampling{Temperature: new(0.0)})},
		{"negative_zero_in_a_struct", extensions(t, map[string]any{"a": []any{negative}}), extensions(t, map[string]any{"a": []any{0}})},
		{
			"order_of_members",
			extensions(t, map[string]any{"a": 1, "b": map[string]any{"c": 2, "d": 3, "e": 4}, "f": nil, "": true}),
			extensions(t, map[string]any{"": true, "f": nil, "b": map[string]any{"e": 4, "d": 3, "c": 2}, "a": 1}),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := testKey(tt.a)
			for range 20 { // maps have another order each time
				if got := testKey(tt.b); got != want {
					t.Fatalf("other keys for\n%v\n%v", tt.a, tt.b)
				}
			}
		})
	}
}

// Every double, wherever it stands: -0 is 0.
func TestKeyOfNegativeZero(t *testing.T) {
	req, doubles := fullRequest(), 0
	visitFields(req.ProtoReflect(), func(path string, m protoreflect.Message, f protoreflect.FieldDescriptor) {
		if f.Kind() != protoreflect.DoubleKind || f.IsList() {
			return
		}
		doubles++
		old := m.Get(f)
		m.Set(f, protoreflect.ValueOfFloat64(0))
		zero := testKey(req)
		m.Set(f, protoreflect.ValueOfFloat64(math.Copysign(0, -1)))
		if testKey(req) != zero {
			t.Errorf("%s: -0 is not 0", path)
		}
		m.Set(f, old)
	})
	if doubles < 7 {
		t.Errorf("%d doubles tried, want all four of Sampling and three of extensions", doubles)
	}
}

// Every optional field, wherever it stands: left out is not its default.
func TestKeyOfOmittedOptional(t *testing.T) {
	req, tried := fullRequest(), make(map[protoreflect.FullName]bool)
	visitFields(req.ProtoReflect(), func(path string, m protoreflect.Message, f protoreflect.FieldDescriptor) {
		if !f.HasOptionalKeyword() {
			return
		}
		tried[f.FullName()] = true
		without(m, f, func() {
			omitted := testKey(req)
			m.Set(f, f.Default())
			if testKey(req) == omitted {
				t.Errorf("%s: left out is as its default", path)
			}
		})
	})
	for name, f := range requestFields() {
		if f.HasOptionalKeyword() && !tried[name] {
			t.Errorf("%s was not tried", name)
		}
	}
}

// Fields that this build does not know count at every depth, byte for byte and in
// their order, but not inside what is outside.
func TestKeyOfUnknownFields(t *testing.T) {
	a, b := unknownField(200, "a"), unknownField(201, "b")
	for _, req := range []*sauronv1.GenerateRequest{fullRequest(), otherRequest()} {
		visit(req.ProtoReflect(), "", func(path string, m protoreflect.Message) {
			keys := make(map[manager.Key]bool)
			for _, unknown := range [][]byte{nil, a, b, slices.Concat(a, b), slices.Concat(b, a), slices.Concat(a, a)} {
				m.SetUnknown(unknown)
				keys[testKey(req)] = true
			}
			m.SetUnknown(nil)
			want := 6
			if path == "resume" || path == "orphan_grace" {
				want = 1
			}
			if len(keys) != want {
				t.Errorf("unknown fields in %q: %d keys, want %d", path, len(keys), want)
			}
		})
	}
}

// Requests that are nearly the same, or the same bytes cut or nested elsewhere: no
// two have the same key.
func nearRequests(tb testing.TB) map[string]*sauronv1.GenerateRequest {
	tb.Helper()
	user := sauronv1.Role_ROLE_USER
	message := func(m *sauronv1.Message) *sauronv1.GenerateRequest {
		return &sauronv1.GenerateRequest{Messages: []*sauronv1.Message{m}}
	}
	parts := func(messages ...[]*sauronv1.ContentPart) *sauronv1.GenerateRequest {
		req := &sauronv1.GenerateRequest{}
		for _, p := range messages {
			req.Messages = append(req.Messages, &sauronv1.Message{Role: user, Parts: p})
		}
		return req
	}
	image := func(i *sauronv1.Image) *sauronv1.GenerateRequest {
		return parts([]*sauronv1.ContentPart{{Part: &sauronv1.ContentPart_Image{Image: i}}})
	}
	tools := func(tools ...*sauronv1.Tool) *sauronv1.GenerateRequest {
		return &sauronv1.GenerateRequest{Tools: tools}
	}
	choice := func(c *sauronv1.ToolChoice) *sauronv1.GenerateRequest {
		return &sauronv1.GenerateRequest{ToolChoice: c}
	}
	format := func(f *sauronv1.ResponseFormat) *sauronv1.GenerateRequest {
		return &sauronv1.GenerateRequest{ResponseFormat: f}
	}
	schema := func(s *sauronv1.JsonSchema) *sauronv1.GenerateRequest {
		return format(&sauronv1.ResponseFormat{Format: &sauronv1.ResponseFormat_JsonSchema{JsonSchema: s}})
	}
	calls := func(calls ...*sauronv1.ToolCall) *sauronv1.GenerateRequest {
		return message(&sauronv1.Message{Role: user, ToolCalls: calls})
	}
	ext := func(members map[string]any) *sauronv1.GenerateRequest {
		tb.Helper()
		return extensions(tb, members)
	}
	return map[string]*sauronv1.GenerateRequest{
		"nothing": {},
		"model":   {Model: "a"},
		"chunks":  {IncludeUpstreamExtensions: true},

		// Texts cut elsewhere.
		"abc":              contents("abc"),
		"a,bc":             contents("a", "bc"),
		"ab,c":             contents("ab", "c"),
		"c,ab":             contents("c", "ab"),
		",abc":             contents("", "abc"),
		"abc,":             contents("abc", ""),
		"abc,,":            contents("abc", "", ""),
		"one empty":        contents(""),
		"no message":       {Messages: []*sauronv1.Message{{}}},
		"two no messages":  {Messages: []*sauronv1.Message{{}, {}}},
		"model a, b":       {Model: "a", Messages: contents("b").GetMessages()},
		"model ab, ":       {Model: "ab", Messages: contents("").GetMessages()},
		"length in text":   contents("a\x00\x00\x00\x00\x00\x00\x00\x01b"),
		"encoding in text": contents("a\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x01b"),

		// Texts in the next field.
		"content":      message(&sauronv1.Message{Role: user, Content: "x"}),
		"tool_call_id": message(&sauronv1.Message{Role: user, ToolCallId: "x"}),
		"name":         message(&sauronv1.Message{Role: user, Name: "x"}),
		"id a, name b": message(&sauronv1.Message{Role: user, ToolCallId: "a", Name: "b"}),
		"id ab":        message(&sauronv1.Message{Role: user, ToolCallId: "ab"}),
		"name ab":      message(&sauronv1.Message{Role: user, Name: "ab"}),
		"other role":   message(&sauronv1.Message{Role: sauronv1.Role_ROLE_SYSTEM, Content: "x"}),
		"unknown role": message(&sauronv1.Message{Role: user + 1<<8, Content: "x"}),
		"minus role":   message(&sauronv1.Message{Role: -1, Content: "x"}),

		// Parts.
		"part x":         parts([]*sauronv1.ContentPart{textPart("x")}),
		"part empty":     parts([]*sauronv1.ContentPart{textPart("")}),
		"part of none":   parts([]*sauronv1.ContentPart{{}}),
		"parts x y, z":   parts([]*sauronv1.ContentPart{textPart("x"), textPart("y")}, []*sauronv1.ContentPart{textPart("z")}),
		"parts x, y z":   parts([]*sauronv1.ContentPart{textPart("x")}, []*sauronv1.ContentPart{textPart("y"), textPart("z")}),
		"parts x y z":    parts([]*sauronv1.ContentPart{textPart("x"), textPart("y"), textPart("z")}),
		"parts x y z, -": parts([]*sauronv1.ContentPart{textPart("x"), textPart("y"), textPart("z")}, nil),
		"parts y x z":    parts([]*sauronv1.ContentPart{textPart("y"), textPart("x"), textPart("z")}),
		"image uri":      image(&sauronv1.Image{Source: &sauronv1.Image_Uri{Uri: "x"}}),
		"image data":     image(&sauronv1.Image{Source: &sauronv1.Image_Data{Data: []byte("x")}}),
		"image no uri":   image(&sauronv1.Image{Source: &sauronv1.Image_Uri{}}),
		"image no data":  image(&sauronv1.Image{Source: &sauronv1.Image_Data{}}),
		"image of none":  image(&sauronv1.Image{}),
		"image mime":     image(&sauronv1.Image{MimeType: "x"}),
		"image detail":   image(&sauronv1.Image{Detail: "x"}),

		// Sampling.
		"temperature 0":    sampling(&sauronv1.Sampling{Temperature: new(0.0)}),
		"top_p 0":          sampling(&sauronv1.Sampling{TopP: new(0.0)}),
		"temperature 1":    sampling(&sauronv1.Sampling{Temperature: new(1.0)}),
		"temperature 1+":   sampling(&sauronv1.Sampling{Temperature: new(math.Nextafter(1, 2))}),
		"seed 0":           sampling(&sauronv1.Sampling{Seed: new(int64(0))}),
		"seed 1":           sampling(&sauronv1.Sampling{Seed: new(int64(1))}),
		"seed -1":          sampling(&sauronv1.Sampling{Seed: new(int64(-1))}),
		"seed 2^32-1":      sampling(&sauronv1.Sampling{Seed: new(int64(math.MaxUint32))}),
		"max_tokens 1":     sampling(&sauronv1.Sampling{MaxTokens: new(int32(1))}),
		"top_k 1":          sampling(&sauronv1.Sampling{TopK: new(int32(1))}),
		"top_k -1":         sampling(&sauronv1.Sampling{TopK: new(int32(-1))}),
		"stop abc":         sampling(&sauronv1.Sampling{Stop: []string{"abc"}}),
		"stop a bc":        sampling(&sauronv1.Sampling{Stop: []string{"a", "bc"}}),
		"stop ab c":        sampling(&sauronv1.Sampling{Stop: []string{"ab", "c"}}),
		"stop c ab":        sampling(&sauronv1.Sampling{Stop: []string{"c", "ab"}}),
		"stop empty":       sampling(&sauronv1.Sampling{Stop: []string{""}}),
		"stop empty empty": sampling(&sauronv1.Sampling{Stop: []string{"", ""}}),
		"unknown sampling": sampling(withUnknown(&sauronv1.Sampling{}, unknownField(99, "x"))),

		// Tools and JSON text.
		"tool a":            tools(&sauronv1.Tool{Name: "a"}),
		"tools a a":         tools(&sauronv1.Tool{Name: "a"}, &sauronv1.Tool{Name: "a"}),
		"tool a, a":         tools(&sauronv1.Tool{Name: "a", Description: "a"}),
		"tools a b":         tools(&sauronv1.Tool{Name: "a"}, &sauronv1.Tool{Name: "b"}),
		"tools b a":         tools(&sauronv1.Tool{Name: "b"}, &sauronv1.Tool{Name: "a"}),
		"tool {}":           tools(&sauronv1.Tool{Name: "a", ParametersJson: "{}"}),
		"tool { }":          tools(&sauronv1.Tool{Name: "a", ParametersJson: "{ }"}),
		"tool 1 2":          tools(&sauronv1.Tool{Name: "a", ParametersJson: `{"a":1,"b":2}`}),
		"tool 2 1":          tools(&sauronv1.Tool{Name: "a", ParametersJson: `{"b":2,"a":1}`}),
		"tool 1.0":          tools(&sauronv1.Tool{Name: "a", ParametersJson: `{"a":1.0,"b":2}`}),
		"tool escape":       tools(&sauronv1.Tool{Name: "a", ParametersJson: `{"\u0061":1,"b":2}`}),
		"tool strict":       tools(&sauronv1.Tool{Name: "a", Strict: new(true)}),
		"tool not strict":   tools(&sauronv1.Tool{Name: "a", Strict: new(false)}),
		"calls a, b":        calls(&sauronv1.ToolCall{Id: "a", Name: "b"}),
		"calls ab":          calls(&sauronv1.ToolCall{Id: "ab"}),
		"calls ,ab":         calls(&sauronv1.ToolCall{Name: "ab"}),
		"call {}":           calls(&sauronv1.ToolCall{Id: "a", ArgumentsJson: "{}"}),
		"call {} ":          calls(&sauronv1.ToolCall{Id: "a", ArgumentsJson: "{} "}),
		"choice auto":       choice(&sauronv1.ToolChoice{Choice: &sauronv1.ToolChoice_Mode_{Mode: sauronv1.ToolChoice_MODE_AUTO}}),
		"choice 0":          choice(&sauronv1.ToolChoice{Choice: &sauronv1.ToolChoice_Mode_{}}),
		"choice name":       choice(&sauronv1.ToolChoice{Choice: &sauronv1.ToolChoice_Name{Name: "\x00\x00\x00\x00\x00\x00\x00\x01"}}),
		"choice no name":    choice(&sauronv1.ToolChoice{Choice: &sauronv1.ToolChoice_Name{}}),
		"format object":     format(&sauronv1.ResponseFormat{Format: &sauronv1.ResponseFormat_JsonObject{JsonObject: &sauronv1.JsonObject{}}}),
		"format schema":     schema(&sauronv1.JsonSchema{}),
		"format {}":         schema(&sauronv1.JsonSchema{SchemaJson: "{}"}),
		"format {\\n}":      schema(&sauronv1.JsonSchema{SchemaJson: "{\n}"}),
		"format strict":     schema(&sauronv1.JsonSchema{Strict: new(true)}),
		"format not strict": schema(&sauronv1.JsonSchema{Strict: new(false)}),

		// Extensions.
		"ext null":       ext(map[string]any{"a": nil}),
		"ext no value":   {Extensions: &structpb.Struct{Fields: map[string]*structpb.Value{"a": {}}}},
		"ext 0":          ext(map[string]any{"a": 0}),
		"ext 1":          ext(map[string]any{"a": 1}),
		"ext '1'":        ext(map[string]any{"a": "1"}),
		"ext ''":         ext(map[string]any{"a": ""}),
		"ext false":      ext(map[string]any{"a": false}),
		"ext true":       ext(map[string]any{"a": true}),
		"ext {}":         ext(map[string]any{"a": map[string]any{}}),
		"ext []":         ext(map[string]any{"a": []any{}}),
		"ext [null]":     ext(map[string]any{"a": []any{nil}}),
		"ext [{}]":       ext(map[string]any{"a": []any{map[string]any{}}}),
		"ext [[]]":       ext(map[string]any{"a": []any{[]any{}}}),
		"ext [1 2]":      ext(map[string]any{"a": []any{1, 2}}),
		"ext [2 1]":      ext(map[string]any{"a": []any{2, 1}}),
		"ext [[1] [2]]":  ext(map[string]any{"a": []any{[]any{1}, []any{2}}}),
		"ext [[1 2]]":    ext(map[string]any{"a": []any{[]any{1, 2}}}),
		"ext [[1 2] []]": ext(map[string]any{"a": []any{[]any{1, 2}, []any{}}}),
		"ext a:b":        ext(map[string]any{"a": "b"}),
		"ext b:a":        ext(map[string]any{"b": "a"}),
		"ext ab:":        ext(map[string]any{"ab": ""}),
		"ext :ab":        ext(map[string]any{"": "ab"}),
		"ext a:{b:1}":    ext(map[string]any{"a": map[string]any{"b": 1}}),
		"ext a.b:1":      ext(map[string]any{"a.b": 1}),
		"ext a:{b:1},c":  ext(map[string]any{"a": map[string]any{"b": 1}, "c": 2}),
		"ext a:{b:1,c}":  ext(map[string]any{"a": map[string]any{"b": 1, "c": 2}}),
		"ext a:1,b:2":    ext(map[string]any{"a": 1, "b": 2}),
		"ext a:2,b:1":    ext(map[string]any{"a": 2, "b": 1}),

		// Unknown fields in one message or the other, and as what is known.
		"unknown":         withUnknown(contents("x", "y"), unknownField(99, "u")),
		"unknown number":  withUnknown(contents("x", "y"), unknownField(98, "u")),
		"unknown in x":    {Messages: []*sauronv1.Message{withUnknown(contents("x").GetMessages()[0], unknownField(99, "u")), contents("y").GetMessages()[0]}},
		"unknown in y":    {Messages: []*sauronv1.Message{contents("x").GetMessages()[0], withUnknown(contents("y").GetMessages()[0], unknownField(99, "u"))}},
		"x, y":            contents("x", "y"),
		"unknown in json": format(&sauronv1.ResponseFormat{Format: &sauronv1.ResponseFormat_JsonObject{JsonObject: withUnknown(&sauronv1.JsonObject{}, unknownField(99, "u"))}}),
	}
}

func TestKeyTellsApart(t *testing.T) {
	seen := make(map[manager.Key]string)
	for name, req := range nearRequests(t) {
		key := testKey(req)
		if other, ok := seen[key]; ok {
			t.Errorf("%q and %q have the same key", name, other)
		}
		seen[key] = name
	}
}

// canonical returns a text that is the same for two requests if and only if they ask
// for the same. It knows the rules, and nothing of how keyOf follows them.
func canonical(req *sauronv1.GenerateRequest) string {
	c := proto.CloneOf(req)
	c.RequestId, c.Coalescing, c.Resume, c.OrphanGrace = "", 0, nil, nil
	normalise(c.ProtoReflect())
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(c)
	if err != nil {
		panic(err) // requests came from the wire, or could have
	}
	return string(b)
}

func normalise(m protoreflect.Message) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap():
			if f.MapValue().Message() != nil {
				v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
					normalise(v.Message())
					return true
				})
			}
		case f.IsList():
			for i := range v.List().Len() {
				if f.Message() != nil {
					normalise(v.List().Get(i).Message())
				}
			}
		case f.Message() != nil:
			normalise(v.Message())
			if proto.Size(v.Message().Interface()) == 0 && f.ContainingOneof() == nil {
				m.Clear(f)
			}
		case f.Kind() == protoreflect.DoubleKind && v.Float() == 0:
			m.Set(f, protoreflect.ValueOfFloat64(0))
		}
		return true
	})
}

// A family is a set of requests of which those, and only those, that are
// canonically the same may have the same key.
type family struct {
	fatalf func(format string, args ...any)
	byKey  map[manager.Key]relative
	byText map[string]relative
}

type relative struct {
	name, text string
	key        manager.Key
}

func newFamily(fatalf func(string, ...any)) *family {
	return &family{fatalf, make(map[manager.Key]relative), make(map[string]relative)}
}

func (f *family) add(name string, req *sauronv1.GenerateRequest) {
	r := relative{name, canonical(req), testKey(req)}
	if other, ok := f.byKey[r.key]; ok && other.text != r.text {
		f.fatalf("a collision:\n%s\n%s", other, r)
	}
	if other, ok := f.byText[r.text]; ok && other.key != r.key {
		f.fatalf("two keys for what is the same:\n%s\n%s", other, r)
	}
	f.byKey[r.key], f.byText[r.text] = r, r
}

// String describes the request, as far as it counts.
func (r relative) String() string {
	req := &sauronv1.GenerateRequest{}
	err := proto.Unmarshal([]byte(r.text), req)
	return fmt.Sprintf("%s: {%v} %v", r.name, req, err)
}

// scalars returns values to try in a field.
func scalars(f protoreflect.FieldDescriptor) []protoreflect.Value {
	switch f.Kind() { //nolint:exhaustive // the default tells what to do
	case protoreflect.BoolKind:
		return []protoreflect.Value{protoreflect.ValueOfBool(false), protoreflect.ValueOfBool(true)}
	case protoreflect.EnumKind:
		return []protoreflect.Value{protoreflect.ValueOfEnum(0), protoreflect.ValueOfEnum(1), protoreflect.ValueOfEnum(-1)}
	case protoreflect.Int32Kind:
		return []protoreflect.Value{protoreflect.ValueOfInt32(0), protoreflect.ValueOfInt32(1), protoreflect.ValueOfInt32(-1)}
	case protoreflect.Int64Kind:
		return []protoreflect.Value{protoreflect.ValueOfInt64(0), protoreflect.ValueOfInt64(1), protoreflect.ValueOfInt64(-1)}
	case protoreflect.DoubleKind:
		return []protoreflect.Value{
			protoreflect.ValueOfFloat64(0), protoreflect.ValueOfFloat64(math.Copysign(0, -1)), protoreflect.ValueOfFloat64(0.1),
		}
	case protoreflect.StringKind:
		return []protoreflect.Value{
			protoreflect.ValueOfString(""), protoreflect.ValueOfString("a"), protoreflect.ValueOfString("ab"),
			protoreflect.ValueOfString("\x00\x00\x00\x00\x00\x00\x00\x01a"),
		}
	case protoreflect.BytesKind:
		return []protoreflect.Value{protoreflect.ValueOfBytes(nil), protoreflect.ValueOfBytes([]byte("a")), protoreflect.ValueOfBytes([]byte("ab"))}
	default:
		panic("give values for fields like " + f.FullName())
	}
}

// draw fills m. Structs are at most depth deep.
func draw(t *rapid.T, m protoreflect.Message, depth int) {
	coin := rapid.IntRange(0, 2)
	drawValue := func(f protoreflect.FieldDescriptor, empty protoreflect.Value) protoreflect.Value {
		if f.Message() != nil {
			draw(t, empty.Message(), depth-1)
			return empty
		}
		return rapid.SampledFrom(scalars(f)).Draw(t, string(f.Name()))
	}
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if coin.Draw(t, "has "+string(f.Name())) == 0 || f.Message() != nil && depth == 0 {
			continue
		}
		switch {
		case f.IsMap():
			entries := m.Mutable(f).Map()
			for range coin.Draw(t, "entries") {
				key := rapid.SampledFrom([]string{"", "a", "b", "ab"}).Draw(t, "key")
				entries.Set(protoreflect.ValueOfString(key).MapKey(), drawValue(f.MapValue(), entries.NewValue()))
			}
		case f.IsList():
			list := m.Mutable(f).List()
			for range coin.Draw(t, "elements") {
				list.Append(drawValue(f, list.NewElement()))
			}
		default:
			m.Set(f, drawValue(f, m.NewField(f)))
		}
	}
	if coin.Draw(t, "unknown") == 0 {
		m.SetUnknown(unknownField(99, "u"))
	}
}

// neighbours changes m and the messages inside in one place at a time, calls try
// after each change and takes it back.
func neighbours(m protoreflect.Message, path string, try func(path string)) {
	unknown := m.GetUnknown()
	m.SetUnknown(slices.Concat(unknown, unknownField(100, "n")))
	try(path + " unknown")
	m.SetUnknown(unknown)

	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		path := path + "." + string(f.Name())
		switch {
		case f.IsMap():
			mapNeighbours(m.Mutable(f).Map(), path, try)
		case f.IsList():
			listNeighbours(f, m.Mutable(f).List(), path, try)
		default:
			singularNeighbours(m, f, path, try)
		}
	}
}

func mapNeighbours(entries protoreflect.Map, path string, try func(path string)) {
	added := protoreflect.ValueOfString("added").MapKey()
	entries.Set(added, entries.NewValue())
	try(path + " with a member")
	entries.Clear(added)
	var keys []protoreflect.MapKey
	entries.Range(func(k protoreflect.MapKey, _ protoreflect.Value) bool {
		keys = append(keys, k)
		return true
	})
	for _, k := range keys {
		at, v := path+"."+k.String(), entries.Get(k)
		neighbours(v.Message(), at, try)
		entries.Clear(k)
		try(at + " removed")
		entries.Set(added, v)
		try(at + " renamed")
		entries.Clear(added)
		entries.Set(k, v)
	}
}

func listNeighbours(f protoreflect.FieldDescriptor, list protoreflect.List, path string, try func(path string)) {
	n := list.Len()
	list.Append(list.NewElement())
	try(path + " longer")
	list.Truncate(n)
	for i := range n {
		at, old := fmt.Sprintf("%s[%d]", path, i), list.Get(i)
		if f.Message() != nil {
			neighbours(old.Message(), at, try)
		} else {
			for _, v := range scalars(f) {
				list.Set(i, v)
				try(at)
			}
			list.Set(i, old)
		}
		if i > 0 {
			before := list.Get(i - 1)
			list.Set(i-1, old)
			list.Set(i, before)
			try(at + " swapped")
			list.Set(i-1, before)
			list.Set(i, old)
		}
	}
	if n > 0 {
		last := list.Get(n - 1)
		list.Truncate(n - 1)
		try(path + " shorter")
		list.Append(last)
	}
}

func singularNeighbours(m protoreflect.Message, f protoreflect.FieldDescriptor, path string, try func(path string)) {
	was := f // what is set, of a oneof
	if oneof := f.ContainingOneof(); oneof != nil {
		was = m.WhichOneof(oneof)
	}
	restore := func() { m.Clear(f) }
	if was != nil && m.Has(was) {
		old := m.Get(was)
		restore = func() { m.Set(was, old) }
	}
	switch {
	case f.Message() == nil:
		for _, v := range scalars(f) {
			m.Set(f, v)
			try(path)
			restore()
		}
	case m.Has(f):
		neighbours(m.Get(f).Message(), path, try)
	default:
		m.Set(f, m.NewField(f))
		try(path + " empty")
		m.Clear(f)
		restore()
	}
	if m.Has(f) {
		m.Clear(f)
		try(path + " cleared")
		restore()
	}
}

// Any change in one place of any request gives another key, unless it is one that
// the rules call none; and the wire changes nothing.
func TestKeyProperty(t *testing.T) {
	tried := 0
	rapid.Check(t, func(t *rapid.T) {
		req := &sauronv1.GenerateRequest{}
		draw(t, req.ProtoReflect(), 5)
		before := canonical(req)
		f := newFamily(t.Fatalf)
		f.add("base", req)
		neighbours(req.ProtoReflect(), "", func(path string) {
			f.add(path, req)
			tried++
		})
		if canonical(req) != before {
			t.Fatal("the test did not restore the request")
		}
		f.add("from the wire", sentOn(t.Fatal, req))
	})
	if tried < 1000 {
		t.Errorf("%d changes tried, want thousands", tried)
	}
}

// hasNaN reports whether there is a double that is no number. Validation refuses
// those, and the key of one means nothing.
func hasNaN(req *sauronv1.GenerateRequest) bool {
	found := false
	visitFields(req.ProtoReflect(), func(_ string, m protoreflect.Message, f protoreflect.FieldDescriptor) {
		found = found || f.Kind() == protoreflect.DoubleKind && math.IsNaN(m.Get(f).Float())
	})
	return found
}

// Whatever comes from the wire: keys are equal if and only if the requests are
// canonically the same.
func FuzzKey(f *testing.F) {
	marshal := func(req *sauronv1.GenerateRequest) []byte {
		b, err := proto.MarshalOptions{Deterministic: true}.Marshal(req)
		if err != nil {
			f.Fatal(err)
		}
		return b
	}
	f.Add(marshal(fullRequest()), marshal(otherRequest()), 0)
	near := nearRequests(f)
	last := &sauronv1.GenerateRequest{}
	for _, name := range slices.Sorted(maps.Keys(near)) {
		f.Add(marshal(last), marshal(near[name]), 3)
		last = near[name]
	}
	f.Fuzz(func(t *testing.T, a, b []byte, cut int) {
		all := newFamily(t.Fatalf)
		if cut < 0 || cut > len(a) {
			cut = len(a) / 2
		}
		// Messages laid end to end are one message: that makes relatives of two.
		for i, wire := range [][]byte{
			a, b, slices.Concat(a, b), slices.Concat(b, a), slices.Concat(a, a), a[cut:], slices.Concat(a[cut:], a[:cut]), slices.Concat(a[:cut], b, a[cut:]),
		} {
			req := &sauronv1.GenerateRequest{}
			if proto.Unmarshal(wire, req) != nil || hasNaN(req) {
				continue
			}
			all.add(fmt.Sprint(i), req)
			all.add(fmt.Sprint(i, " again"), sentOn(t.Fatal, req))
		}
	})
}

// sentOn returns req as it comes out of the wire.
func sentOn(fatal func(...any), req *sauronv1.GenerateRequest) *sauronv1.GenerateRequest {
	wire, err := proto.Marshal(req)
	if err != nil {
		fatal(err)
	}
	again := &sauronv1.GenerateRequest{}
	if err := proto.Unmarshal(wire, again); err != nil {
		fatal(err)
	}
	return again
}
