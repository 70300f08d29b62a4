package server

import (
	"encoding/base64"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unicode"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// violated returns the fields that err, of Validate, names. It fails unless err is
// nil or an INVALID_ARGUMENT as the contract has it: with a BadRequest alone, a
// description for each field, and nothing of what the caller wrote.
func violated(tb testing.TB, err error) []string {
	tb.Helper()
	if err == nil {
		return nil
	}
	s, ok := status.FromError(err)
	if !ok || s.Code() != codes.InvalidArgument || len(s.Details()) != 1 {
		tb.Fatalf("got %v with %d details, want INVALID_ARGUMENT with one", err, len(s.Details()))
	}
	var fields []string
	for _, v := range detail[*errdetails.BadRequest](s).GetFieldViolations() {
		if v.GetField() == "" || v.GetDescription() == "" {
			tb.Errorf("violation %v, want a field and a description", v)
		}
		fields = append(fields, v.GetField())
	}
	if len(fields) == 0 {
		tb.Fatal("no violations")
	}
	// The text is logged: of extensions it names no key.
	first := fields[0]
	if strings.HasPrefix(first, "extensions.") {
		first = "extensions"
	}
	if !strings.HasPrefix(s.Message(), "invalid request: "+first+": ") {
		tb.Errorf("text %q, want it to begin with the first of %q", s.Message(), fields)
	}
	if text := s.Proto().String(); strings.Contains(text, secret) {
		tb.Errorf("the status quotes the request: %s", text)
	}
	return fields
}

// wantViolated fails unless Validate finds want, in that order.
func wantViolated(tb testing.TB, req *sauronv1.GenerateRequest, want ...string) {
	tb.Helper()
	if got := violated(tb, Validate(req)); !slices.Equal(got, want) {
		tb.Errorf("violations at %q, want %q", got, want)
	}
}

func TestValidRequests(t *testing.T) {
	for name, req := range map[string]*sauronv1.GenerateRequest{
		"full":    fullRequest(),
		"other":   otherRequest(),
		"minimal": ask("", "hello"),
		"no text": ask("", ""),
		"from the wire": sentOn(t.Fatal, withUnknown(
			fullRequest(), unknownField(99, "new"))),
	} {
		t.Run(name, func(t *testing.T) { wantViolated(t, req) })
	}
}

// Every row of the contract's table of bad fields, each in a request that is valid
// otherwise.
func TestInvalidRequests(t *testing.T) {
	image := func(i *sauronv1.Image) *sauronv1.ContentPart {
		return &sauronv1.ContentPart{Part: &sauronv1.ContentPart_Image{Image: i}}
	}
	number := structpb.NewNumberValue
	list := func(values ...*structpb.Value) *structpb.Value {
		return structpb.NewListValue(&structpb.ListValue{Values: values})
	}
	object := func(key string, v *structpb.Value) *structpb.Value {
		return structpb.NewStructValue(&structpb.Struct{Fields: map[string]*structpb.Value{key: v}})
	}
	extension := func(key string, v *structpb.Value) func(*sauronv1.GenerateRequest) {
		return func(r *sauronv1.GenerateRequest) { r.Extensions.Fields[key] = v }
	}
	schema := func(r *sauronv1.GenerateRequest) *sauronv1.JsonSchema { return r.GetResponseFormat().GetJsonSchema() }
	for _, tt := range []struct {
		name  string
		spoil func(*sauronv1.GenerateRequest)
		want  []string // nil: still valid
	}{
		{"no_model", func(r *sauronv1.GenerateRequest) { r.Model = "" }, []string{"model"}},
		{"no_messages", func(r *sauronv1.GenerateRequest) { r.Messages = nil }, []string{"messages"}},
		{"nil_message", func(r *sauronv1.GenerateRequest) { r.Messages[2] = nil }, []string{"messages[2].role"}},

		{"request_id_empty", func(r *sauronv1.GenerateRequest) { r.RequestId = "" }, nil},
		{"request_id_longest", func(r *sauronv1.GenerateRequest) { r.RequestId = strings.Repeat("a", 128) }, nil},
		{"request_id_too_long", func(r *sauronv1.GenerateRequest) { r.RequestId = strings.Repeat("a", 129) }, []string{"request_id"}},
		{"request_id_space", func(r *sauronv1.GenerateRequest) { r.RequestId = "a " + secret }, []string{"request_id"}},
		{"request_id_line", func(r *sauronv1.GenerateRequest) { r.RequestId = secret + "\n" }, []string{"request_id"}},
		{"request_id_letter", func(r *sauronv1.GenerateRequest) { r.RequestId = secret + "é" }, []string{"request_id"}},

		{"content_and_parts", func(r *sauronv1.GenerateRequest) { r.Messages[1].Content = secret }, []string{"messages[1].parts"}},
		{"neither_content_nor_parts", func(r *sauronv1.GenerateRequest) { r.Messages[0].Content = "" }, nil},
		{"no_part", func(r *sauronv1.GenerateRequest) { r.Messages[1].Parts[0].Part = nil }, []string{"messages[1].parts[0].part"}},
		{"nil_part", func(r *sauronv1.GenerateRequest) { r.Messages[1].Parts[2] = nil }, []string{"messages[1].parts[2].part"}},
		{"empty_text", func(r *sauronv1.GenerateRequest) { r.Messages[1].Parts[0] = textPart("") }, nil},
		{"no_image", func(r *sauronv1.GenerateRequest) { r.Messages[1].Parts[1] = image(nil) }, []string{"messages[1].parts[1].image.source"}},
		{
			"no_image_source",
			func(r *sauronv1.GenerateRequest) { r.Messages[1].Parts[1] = image(&sauronv1.Image{MimeType: secret}) },
			[]string{"messages[1].parts[1].image.source"},
		},
		{
			"no_image_uri",
			func(r *sauronv1.GenerateRequest) {
				r.Messages[1].Parts[1] = image(&sauronv1.Image{Source: &sauronv1.Image_Uri{}})
			},
			[]string{"messages[1].parts[1].image.uri"},
		},
		{
			"image_data_of_no_type",
			func(r *sauronv1.GenerateRequest) { r.Messages[1].Parts[2].GetImage().MimeType = "" },
			[]string{"messages[1].parts[2].image.mime_type"},
		},
		{"nil_tool_call", func(r *sauronv1.GenerateRequest) { r.Messages[2].ToolCalls[1] = nil }, []string{"messages[2].tool_calls[1].id", "messages[2].tool_calls[1].name"}},
		{"no_tool_call_id", func(r *sauronv1.GenerateRequest) { r.Messages[2].ToolCalls[0].Id = "" }, []string{"messages[2].tool_calls[0].id"}},
		{"no_tool_call_name", func(r *sauronv1.GenerateRequest) { r.Messages[2].ToolCalls[0].Name = "" }, []string{"messages[2].tool_calls[0].name"}},

		{"no_sampling", func(r *sauronv1.GenerateRequest) { r.Sampling = nil }, nil},
		{"temperature_0", func(r *sauronv1.GenerateRequest) { r.Sampling.Temperature = new(0.0) }, nil},
		{"temperature_-0", func(r *sauronv1.GenerateRequest) { r.Sampling.Temperature = new(math.Copysign(0, -1)) }, nil},
		{"temperature_high", func(r *sauronv1.GenerateRequest) { r.Sampling.Temperature = new(math.MaxFloat64) }, nil},
		{"temperature_low", func(r *sauronv1.GenerateRequest) { r.Sampling.Temperature = new(-0.1) }, []string{"sampling.temperature"}},
		{"top_p_1", func(r *sauronv1.GenerateRequest) { r.Sampling.TopP = new(1.0) }, nil},
		{"top_p_high", func(r *sauronv1.GenerateRequest) { r.Sampling.TopP = new(math.Nextafter(1, 2)) }, []string{"sampling.top_p"}},
		{"top_p_low", func(r *sauronv1.GenerateRequest) { r.Sampling.TopP = new(-0.1) }, []string{"sampling.top_p"}},
		{"max_tokens_1", func(r *sauronv1.GenerateRequest) { r.Sampling.MaxTokens = new(int32(1)) }, nil},
		{"max_tokens_0", func(r *sauronv1.GenerateRequest) { r.Sampling.MaxTokens = new(int32(0)) }, []string{"sampling.max_tokens"}},
		{"max_tokens_low", func(r *sauronv1.GenerateRequest) { r.Sampling.MaxTokens = new(int32(-1)) }, []string{"sampling.max_tokens"}},
		{"empty_stop", func(r *sauronv1.GenerateRequest) { r.Sampling.Stop[1] = "" }, []string{"sampling.stop[1]"}},

		{"nil_tool", func(r *sauronv1.GenerateRequest) { r.Tools[1] = nil }, []string{"tools[1].name"}},
		{"no_tool_name", func(r *sauronv1.GenerateRequest) { r.Tools[0].Name = "" }, []string{"tools[0].name"}},
		{"no_tool_choice", func(r *sauronv1.GenerateRequest) { r.ToolChoice = nil }, nil},
		{"tool_choice_of_no_name", func(r *sauronv1.GenerateRequest) { r.ToolChoice.Choice = &sauronv1.ToolChoice_Name{} }, []string{"tool_choice.name"}},
		{"no_response_format", func(r *sauronv1.GenerateRequest) { r.ResponseFormat = nil }, nil},
		{"no_schema_name", func(r *sauronv1.GenerateRequest) { schema(r).Name = "" }, []string{"response_format.json_schema.name"}},
		{"no_schema", func(r *sauronv1.GenerateRequest) { schema(r).SchemaJson = "" }, []string{"response_format.json_schema.schema_json"}},
		{
			"nil_schema",
			func(r *sauronv1.GenerateRequest) { r.ResponseFormat.Format = &sauronv1.ResponseFormat_JsonSchema{} },
			[]string{"response_format.json_schema.name", "response_format.json_schema.schema_json"},
		},
		{"nil_json_object", func(r *sauronv1.GenerateRequest) { r.ResponseFormat.Format = &sauronv1.ResponseFormat_JsonObject{} }, nil},

		{"no_resume", func(r *sauronv1.GenerateRequest) { r.Resume = nil }, nil},
		{"no_generation_id", func(r *sauronv1.GenerateRequest) { r.Resume.GenerationId = "" }, []string{"resume.generation_id"}},
		{"after_sequence_0", func(r *sauronv1.GenerateRequest) { r.Resume.AfterSequence = 0 }, nil},
		{"after_sequence_low", func(r *sauronv1.GenerateRequest) { r.Resume.AfterSequence = -1 }, []string{"resume.after_sequence"}},
		{"orphan_grace_0", func(r *sauronv1.GenerateRequest) { r.OrphanGrace = &durationpb.Duration{} }, nil},
		{"orphan_grace_negative", func(r *sauronv1.GenerateRequest) { r.OrphanGrace = &durationpb.Duration{Nanos: -1} }, []string{"orphan_grace"}},
		{"orphan_grace_longest", func(r *sauronv1.GenerateRequest) { r.OrphanGrace = &durationpb.Duration{Seconds: 315576000000} }, nil},
		{"orphan_grace_too_long", func(r *sauronv1.GenerateRequest) { r.OrphanGrace = &durationpb.Duration{Seconds: 315576000001} }, []string{"orphan_grace"}},
		{"orphan_grace_mixed", func(r *sauronv1.GenerateRequest) { r.OrphanGrace = &durationpb.Duration{Seconds: 1, Nanos: -1} }, []string{"orphan_grace"}},
		{"orphan_grace_nanos", func(r *sauronv1.GenerateRequest) { r.OrphanGrace = &durationpb.Duration{Nanos: 1e9} }, []string{"orphan_grace"}},

		{"no_extensions", func(r *sauronv1.GenerateRequest) { r.Extensions = nil }, nil},
		{"nil_extension", extension("x", nil), []string{"extensions.x"}},
		{"extension_without_value", extension("x", &structpb.Value{}), []string{"extensions.x"}},
		{"extension_nan", extension("x", number(math.NaN())), []string{"extensions.x"}},
		{"extension_inf", extension("x", number(math.Inf(1))), []string{"extensions.x"}},
		{"extension_minus_inf", extension("x", number(math.Inf(-1))), []string{"extensions.x"}},
		{"extension_high", extension("x", number(math.MaxFloat64)), nil},
		{"nested_nan", extension("x", object("y", list(number(1), object("z", number(math.NaN()))))), []string{"extensions.x.y[1].z"}},
		{"nested_inf", extension("x", list(list(), list(number(0), number(math.Inf(1))))), []string{"extensions.x[1][1]"}},
		{"nested_nil", extension("x", list(nil, object("y", nil))), []string{"extensions.x[0]", "extensions.x[1].y"}},
		{"nil_struct", extension("x", &structpb.Value{Kind: &structpb.Value_StructValue{}}), nil},
		{"nil_list", extension("x", &structpb.Value{Kind: &structpb.Value_ListValue{}}), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req := fullRequest()
			tt.spoil(req)
			wantViolated(t, req, tt.want...)
		})
	}
}

// Every enum of a request, wherever it stands: numbers that the server does not know
// are refused, and so is 0, except where the contract lets it stand for a default.
func TestValidateEnums(t *testing.T) {
	tried := make(map[protoreflect.FullName]bool)
	req := fullRequest()
	visitFields(req.ProtoReflect(), func(path string, m protoreflect.Message, f protoreflect.FieldDescriptor) {
		if f.Enum() == nil || f.Enum().FullName() == "google.protobuf.NullValue" {
			return
		}
		tried[f.FullName()] = true
		old := m.Get(f)
		for _, number := range []protoreflect.EnumNumber{-1, 0, protoreflect.EnumNumber(f.Enum().Values().Len()), 1000, math.MaxInt32} {
			m.Set(f, protoreflect.ValueOfEnum(number))
			if number == 0 && path == "coalescing" {
				wantViolated(t, req)
			} else {
				wantViolated(t, req, path)
			}
		}
		for i := 1; i < f.Enum().Values().Len(); i++ {
			m.Set(f, protoreflect.ValueOfEnum(f.Enum().Values().Get(i).Number()))
			wantViolated(t, req)
		}
		m.Set(f, old)
	})
	for name, f := range requestFields() {
		if f.Enum() != nil && f.Enum().FullName() != "google.protobuf.NullValue" && !tried[name] {
			t.Errorf("%s was not tried", name)
		}
	}
}

// Every oneof of a request, wherever it stands: one of it must be set.
func TestValidateOneofs(t *testing.T) {
	tried := make(map[protoreflect.FullName]bool)
	req := fullRequest()
	visitFields(req.ProtoReflect(), func(path string, m protoreflect.Message, f protoreflect.FieldDescriptor) {
		oneof := f.ContainingOneof()
		if oneof == nil || oneof.IsSynthetic() {
			return
		}
		tried[oneof.FullName()] = true
		want := path // of a Value
		if above, found := strings.CutSuffix(path, "."+string(f.Name())); found && f.FullName().Parent() != "google.protobuf.Value" {
			want = above + "." + string(oneof.Name())
		}
		without(m, f, func() { wantViolated(t, req, want) })
	})
	for _, f := range requestFields() {
		if o := f.ContainingOneof(); o != nil && !o.IsSynthetic() && !tried[o.FullName()] {
			t.Errorf("%s was not tried", o.FullName())
		}
	}
}

// Every double of a request, wherever it stands: JSON has neither NaN nor Inf.
func TestValidateDoubles(t *testing.T) {
	tried := make(map[protoreflect.FullName]bool)
	req := fullRequest()
	visitFields(req.ProtoReflect(), func(path string, m protoreflect.Message, f protoreflect.FieldDescriptor) {
		if f.Kind() != protoreflect.DoubleKind {
			return
		}
		tried[f.FullName()] = true
		old := m.Get(f)
		for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
			m.Set(f, protoreflect.ValueOfFloat64(bad))
			wantViolated(t, req, path)
		}
		m.Set(f, old)
	})
	for name, f := range requestFields() {
		if (f.Kind() == protoreflect.DoubleKind || f.Kind() == protoreflect.FloatKind) && !tried[name] {
			t.Errorf("%s was not tried", name)
		}
	}
}

// Every JSON text of a request, wherever it stands: it is an object.
func TestValidateJSON(t *testing.T) {
	tried := make(map[protoreflect.FullName]bool)
	isJSON := func(f protoreflect.FieldDescriptor) bool { return strings.HasSuffix(string(f.Name()), "_json") }
	req := fullRequest()
	visitFields(req.ProtoReflect(), func(path string, m protoreflect.Message, f protoreflect.FieldDescriptor) {
		if !isJSON(f) {
			return
		}
		tried[f.FullName()] = true
		old := m.Get(f)
		for _, good := range []string{"{}", " \t\r\n{ } ", `{"a":{"b":[1,2.5e3,null]}}`, `{"a":1,"a":2}`} {
			m.Set(f, protoreflect.ValueOfString(good))
			wantViolated(t, req)
		}
		for _, bad := range []string{
			" ", "{", "}", "[]", "null", "1", "true", `"` + secret + `"`, `"{}"`, secret, "{" + secret + "}",
			"{}{}", "{},", "{} x", `{"a":1,}`, `{'a':1}`, `{"a":NaN}`, "{a:1}", "{/**/}", "\ufeff{}", "\v{}", "\u00a0{}", "\x00{}", "[{}]",
		} {
			m.Set(f, protoreflect.ValueOfString(bad))
			if got := violated(t, Validate(req)); !slices.Equal(got, []string{path}) {
				t.Errorf("%q at %s: violations at %q", bad, path, got)
			}
		}
		m.Set(f, old)
	})
	for name, f := range requestFields() {
		if isJSON(f) && !tried[name] {
			t.Errorf("%s was not tried", name)
		}
	}
}

// No extension may be a member that the service writes itself, however it is
// written: servers in Go take names without regard to case.
func TestReservedExtensions(t *testing.T) {
	reserved := []string{
		"model", "messages", "stream", "stream_options", "tools", "tool_choice", "response_format", "n", "max_completion_tokens",
	}
	fields := (&sauronv1.Sampling{}).ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		reserved = append(reserved, string(fields.Get(i).Name()))
	}
	for _, name := range reserved {
		fancy := strings.NewReplacer("s", "\u017f", "k", "\u212a").Replace(name) // fold to s and k
		for _, key := range []string{name, strings.ToUpper(name), strings.ToUpper(name[:1]) + name[1:], fancy} {
			req := ask("", "hello")
			req.Extensions = &structpb.Struct{Fields: map[string]*structpb.Value{key: structpb.NewStringValue(secret)}}
			if got, want := violated(t, Validate(req)), []string{"extensions." + key}; !slices.Equal(got, want) {
				t.Errorf("%q: violations at %q, want %q. A new field of Sampling belongs in bodyMembers", key, got, want)
			}
		}
		// Only there: what stands deeper is the upstream's own.
		wantViolated(t, &sauronv1.GenerateRequest{
			Model: "m", Messages: contents("a").GetMessages(),
			Extensions: value(t, map[string]any{
				"options": map[string]any{name: 1}, name + "_": 1, "_" + name: 1, "x." + name: 1, "": 1,
			}).GetStructValue(),
		})
	}
	for name := range bodyMembers {
		if !slices.Contains(reserved, name) {
			t.Errorf("%q is refused, but the contract does not say so", name)
		}
	}
}

// All that is wrong is said at once, one violation a field, each time in the same
// order.
func TestAllViolations(t *testing.T) {
	nan := structpb.NewNumberValue(math.NaN())
	members := map[string]*structpb.Value{}
	for i := range 5 {
		members[fmt.Sprint("m", i)] = nan
	}
	req := &sauronv1.GenerateRequest{
		RequestId: "no good",
		Messages: []*sauronv1.Message{
			{Content: secret, Parts: []*sauronv1.ContentPart{{}, {}}},
			nil,
			{Role: 99, ToolCalls: []*sauronv1.ToolCall{{ArgumentsJson: secret}}},
		},
		Sampling:       &sauronv1.Sampling{Temperature: new(-1.0), TopP: new(2.0), MaxTokens: new(int32(0)), Stop: []string{""}},
		Tools:          []*sauronv1.Tool{{ParametersJson: secret}},
		ToolChoice:     &sauronv1.ToolChoice{},
		ResponseFormat: &sauronv1.ResponseFormat{},
		Coalescing:     99,
		Resume:         &sauronv1.ResumePoint{AfterSequence: -1},
		Extensions: &structpb.Struct{Fields: map[string]*structpb.Value{
			"a": nan, "b": structpb.NewStructValue(&structpb.Struct{Fields: members}), "model": nan, "c": nan,
		}},
		OrphanGrace: durationpb.New(-1),
	}
	want := []string{
		"request_id", "model",
		"messages[0].role", "messages[0].parts", "messages[0].parts[0].part", "messages[0].parts[1].part",
		"messages[1].role",
		"messages[2].role", "messages[2].tool_calls[0].id", "messages[2].tool_calls[0].name", "messages[2].tool_calls[0].arguments_json",
		"sampling.temperature", "sampling.top_p", "sampling.max_tokens", "sampling.stop[0]",
		"tools[0].name", "tools[0].parameters_json",
		"tool_choice.choice", "response_format.format", "coalescing", "resume.generation_id", "resume.after_sequence",
		"extensions.a", "extensions.b.m0", "extensions.b.m1", "extensions.b.m2", "extensions.b.m3", "extensions.b.m4",
		"extensions.c", "extensions.model",
		"orphan_grace",
	}
	for range 20 { // maps have another order each time
		err := Validate(req)
		if got := violated(t, err); !slices.Equal(got, want) {
			t.Fatalf("violations at\n%q, want\n%q", got, want)
		}
		text := "invalid request: request_id: must match [A-Za-z0-9._:-]{1,128} (and 30 more)"
		if got := status.Convert(err).Message(); got != text {
			t.Fatalf("text %q, want %q", got, text)
		}
	}
}

// A refusal travels in a trailer, of which grpc-java takes 8 KiB by default: however
// much is wrong, and however long the names of extensions are, the caller gets it.
func TestRefusalsAreSmall(t *testing.T) {
	nan := structpb.NewNumberValue(math.NaN())
	long := strings.Repeat("\u00e9", 1000)
	wide := &structpb.Struct{Fields: map[string]*structpb.Value{}}
	for i := range 200 {
		wide.Fields[fmt.Sprint(long, i)] = nan
		wide.Fields[fmt.Sprintf("%03d%s", i, long)] = structpb.NewListValue(&structpb.ListValue{Values: []*structpb.Value{nan, nan}})
	}
	deep := nan
	for range 1000 {
		deep = structpb.NewStructValue(&structpb.Struct{Fields: map[string]*structpb.Value{"member": deep}})
	}
	many := ask("", "")
	for range 10_000 {
		many.Messages = append(many.Messages, &sauronv1.Message{Role: 7})
	}
	for _, tt := range []struct {
		name string
		req  *sauronv1.GenerateRequest
		more string
	}{
		{"long_names", &sauronv1.GenerateRequest{Model: "m", Messages: contents("").GetMessages(), Extensions: wide}, "(and 599 more)"},
		{"deep", &sauronv1.GenerateRequest{
			Model: "m", Messages: contents("").GetMessages(),
			Extensions: &structpb.Struct{Fields: map[string]*structpb.Value{"x": deep}},
		}, "must be a finite number"},
		{"many", many, "(and 9999 more)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := Validate(tt.req)
			violated(t, err)
			s := status.Convert(err)
			if !strings.HasSuffix(s.Message(), tt.more) {
				t.Errorf("text %q, want it to end with %q", s.Message(), tt.more)
			}
			wantSmall(t, s)
		})
	}
}

// wantSmall fails if s is more than clients take.
func wantSmall(t *testing.T, s *status.Status) {
	t.Helper()
	wire, err := proto.Marshal(s.Proto())
	if err != nil {
		t.Fatal(err)
	}
	// gRPC sends the text once more, with anything but ASCII in three letters a byte.
	if size := base64.RawStdEncoding.EncodedLen(len(wire)) + 3*len(s.Message()); size > 8<<10-512 {
		t.Errorf("the trailer has %d bytes, too many", size)
	}
}

// Checking costs no more than a request's size: a long name with many values inside
// is not copied for each of them.
func TestValidateIsLinear(t *testing.T) {
	values := &structpb.ListValue{}
	for range 4000 {
		values.Values = append(values.Values, structpb.NewNullValue())
	}
	req := ask("", "hello")
	req.Extensions = &structpb.Struct{Fields: map[string]*structpb.Value{strings.Repeat("k", 256<<10): structpb.NewListValue(values)}}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	wantViolated(t, req)
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 16<<20 {
		t.Errorf("%d bytes allocated for a request of 256 KiB", got)
	}
}

// A long path is cut, between runes: a status could not be sent with half of one.
func TestLongPathsAreText(t *testing.T) {
	for n := range 200 {
		name := strings.Repeat("a", n) + "\U0001f600\U0001f600"
		req := ask("", "hello")
		req.Extensions = &structpb.Struct{Fields: map[string]*structpb.Value{name: {
			Kind: &structpb.Value_ListValue{ListValue: &structpb.ListValue{Values: []*structpb.Value{{}, {}}}},
		}}}
		got := violated(t, Validate(req))
		if len(got) != 2 {
			t.Fatalf("%q: violations at %q, want 2", name, got)
		}
		for i, path := range got {
			want := fmt.Sprintf("extensions.%s[%d]", name, i)
			begin, cut := strings.CutSuffix(path, " ...")
			good := path == want
			if cut {
				good = len(begin) > 92 && strings.HasPrefix(want, begin)
			}
			if !good {
				t.Errorf("violation at %q, want %q, cut if it is long", path, want)
			}
		}
	}
}

func isRequestID(id string) bool {
	for _, r := range id {
		letter := r <= unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r))
		if !letter && !strings.ContainsRune("._:-", r) {
			return false
		}
	}
	return len(id) > 0 && len(id) <= 128
}

func FuzzRequestID(f *testing.F) {
	for _, id := range []string{
		"", "a", "Az09._:-", "a b", "a\n", "\na", "a\x00", "é", "[", "^", "_", "`", "@", "/", ";", "\u0130", "\u212a", "\xff",
		strings.Repeat("a", 128), strings.Repeat("a", 129), strings.Repeat("é", 64),
	} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		good := isRequestID(id)
		if got := violated(t, Validate(ask(id, "hello"))); len(got) == 0 != (good || id == "") {
			t.Errorf("Generate with id %q: %q", id, got)
		}
		if got := violated(t, validateCancel(&sauronv1.CancelRequest{RequestId: id})); len(got) == 0 != good {
			t.Errorf("Cancel of id %q: %q", id, got)
		}
	})
}

// Whatever comes from the wire: no panic, the same answer each time, never too
// large; and what is valid can be sent to an upstream.
func FuzzValidate(f *testing.F) {
	for _, req := range nearRequests(f) {
		f.Add(sentBytes(f, req))
		valid := proto.CloneOf(req)
		proto.Merge(valid, ask("id", "hello"))
		f.Add(sentBytes(f, valid))
	}
	f.Add(sentBytes(f, fullRequest()))
	f.Add(sentBytes(f, otherRequest()))
	f.Add(sentBytes(f, extensions(f, map[string]any{"a": []any{math.NaN(), math.Inf(1)}, "model": 1})))
	f.Fuzz(func(t *testing.T, wire []byte) {
		req := &sauronv1.GenerateRequest{}
		if proto.Unmarshal(wire, req) != nil {
			return
		}
		err := Validate(req)
		if err == nil {
			if hasNaN(req) || req.GetModel() == "" || len(req.GetMessages()) == 0 {
				t.Errorf("valid: %v", req)
			}
			if _, err := req.GetExtensions().MarshalJSON(); err != nil {
				t.Errorf("valid extensions are no JSON: %v", err)
			}
			return
		}
		s, ok := status.FromError(err)
		if !ok || s.Code() != codes.InvalidArgument || len(detail[*errdetails.BadRequest](s).GetFieldViolations()) == 0 {
			t.Fatalf("got %v", err)
		}
		wantSmall(t, s)
		if again := Validate(proto.CloneOf(req)); !proto.Equal(status.Convert(again).Proto(), s.Proto()) {
			t.Errorf("now %v, then %v", err, again)
		}
	})
}

func sentBytes(tb testing.TB, req *sauronv1.GenerateRequest) []byte {
	tb.Helper()
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(req)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}
