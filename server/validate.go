package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// A refusal travels in a trailer, of which grpc-java takes 8 KiB by default. What is
// beyond maxViolations is only counted, and paths, which may hold names of any
// length, are cut at maxPath bytes.
const (
	maxViolations = 32
	maxPath       = 96
)

var requestIDPattern = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,128}$`)

// bodyMembers are the members of an upstream's body that the service writes itself:
// an extension must not, in whatever case: servers in Go don't tell Model from model.
var bodyMembers = map[string]bool{
	"model": true, "messages": true, "stream": true, "stream_options": true, "tools": true,
	"tool_choice": true, "response_format": true, "n": true, "max_completion_tokens": true,
	"temperature": true, "top_p": true, "max_tokens": true, "stop": true, "seed": true,
	"presence_penalty": true, "frequency_penalty": true, "top_k": true,
}

// Validate checks all that the contract says of a request's fields. The error is an
// INVALID_ARGUMENT status with one violation a field, or nil.
func Validate(req *sauronv1.GenerateRequest) error {
	var v violations
	if id := req.GetRequestId(); id != "" && !requestIDPattern.MatchString(id) {
		v.add("request_id", "must match [A-Za-z0-9._:-]{1,128}")
	}
	if req.GetModel() == "" {
		v.add("model", "is required")
	}
	if len(req.GetMessages()) == 0 {
		v.add("messages", "at least one is required")
	}
	for i, m := range req.GetMessages() {
		v.message(fmt.Sprintf("messages[%d]", i), m)
	}
	v.sampling(req.GetSampling())
	for i, t := range req.GetTools() {
		path := fmt.Sprintf("tools[%d]", i)
		v.required(path+".name", t.GetName())
		v.jsonObject(path+".parameters_json", t.GetParametersJson())
	}
	v.toolChoice(req.GetToolChoice())
	v.responseFormat(req.GetResponseFormat())
	v.known("coalescing", req.GetCoalescing(), true)
	if resume := req.GetResume(); resume != nil {
		v.required("resume.generation_id", resume.GetGenerationId())
		if resume.GetAfterSequence() < 0 {
			v.add("resume.after_sequence", "must not be negative")
		}
	}
	for key, value := range sorted(req.GetExtensions()) {
		path := join("extensions", "."+key)
		if bodyMembers[fold(key)] {
			v.add(path, "is written by the service itself")
			continue
		}
		v.structValue(path, value)
	}
	if grace := req.GetOrphanGrace(); grace != nil && (!grace.IsValid() || grace.AsDuration() < 0) {
		v.add("orphan_grace", "must be a valid duration and not negative")
	}
	return v.err()
}

// validateCancel checks a CancelRequest.
func validateCancel(req *sauronv1.CancelRequest) error {
	var v violations
	if !requestIDPattern.MatchString(req.GetRequestId()) {
		v.add("request_id", "is required and must match [A-Za-z0-9._:-]{1,128}")
	}
	return v.err()
}

// violations collects what is wrong with a request, field by field. Descriptions
// never quote a value: it may be a prompt.
type violations struct {
	first []*errdetails.BadRequest_FieldViolation // at most maxViolations
	count int
}

func (v *violations) err() error {
	if v.count == 0 {
		return nil
	}
	return invalid(v.first, v.count)
}

func (v *violations) add(field, description string) {
	v.count++
	if len(v.first) < maxViolations {
		v.first = append(v.first, &errdetails.BadRequest_FieldViolation{Field: field, Description: description})
	}
}

func (v *violations) required(field, value string) {
	if value == "" {
		v.add(field, "is required")
	}
}

func (v *violations) message(path string, m *sauronv1.Message) {
	v.known(path+".role", m.GetRole(), false)
	if m.GetContent() != "" && len(m.GetParts()) > 0 {
		v.add(path+".parts", "either content or parts, not both")
	}
	for i, p := range m.GetParts() {
		v.part(fmt.Sprintf("%s.parts[%d]", path, i), p)
	}
	for i, c := range m.GetToolCalls() {
		call := fmt.Sprintf("%s.tool_calls[%d]", path, i)
		v.required(call+".id", c.GetId())
		v.required(call+".name", c.GetName())
		v.jsonObject(call+".arguments_json", c.GetArgumentsJson())
	}
}

func (v *violations) part(path string, p *sauronv1.ContentPart) {
	switch part := p.GetPart().(type) {
	case nil:
		v.add(path+".part", "is required")
	case *sauronv1.ContentPart_Image:
		switch source := part.Image.GetSource().(type) {
		case nil:
			v.add(path+".image.source", "is required")
		case *sauronv1.Image_Uri:
			v.required(path+".image.uri", source.Uri)
		case *sauronv1.Image_Data:
			v.required(path+".image.mime_type", part.Image.GetMimeType())
		}
	}
}

func (v *violations) sampling(s *sauronv1.Sampling) {
	if s == nil {
		return
	}
	v.between("sampling.temperature", s.Temperature, 0, math.MaxFloat64)
	v.between("sampling.top_p", s.TopP, 0, 1)
	v.between("sampling.presence_penalty", s.PresencePenalty, -math.MaxFloat64, math.MaxFloat64)
	v.between("sampling.frequency_penalty", s.FrequencyPenalty, -math.MaxFloat64, math.MaxFloat64)
	if s.MaxTokens != nil && s.GetMaxTokens() < 1 {
		v.add("sampling.max_tokens", "must be at least 1")
	}
	for i, stop := range s.GetStop() {
		v.required(fmt.Sprintf("sampling.stop[%d]", i), stop)
	}
}

func (v *violations) between(field string, value *float64, low, high float64) {
	switch {
	case value == nil:
	case math.IsNaN(*value) || math.IsInf(*value, 0):
		v.add(field, "must be a finite number")
	case *value < low || *value > high:
		description := fmt.Sprintf("must be from %g to %g", low, high)
		if high == math.MaxFloat64 {
			description = fmt.Sprintf("must be at least %g", low)
		}
		v.add(field, description)
	}
}

func (v *violations) toolChoice(c *sauronv1.ToolChoice) {
	if c == nil {
		return
	}
	switch choice := c.GetChoice().(type) {
	case nil:
		v.add("tool_choice.choice", "is required")
	case *sauronv1.ToolChoice_Mode_:
		v.known("tool_choice.mode", choice.Mode, false)
	case *sauronv1.ToolChoice_Name:
		v.required("tool_choice.name", choice.Name)
	}
}

func (v *violations) responseFormat(f *sauronv1.ResponseFormat) {
	if f == nil {
		return
	}
	switch format := f.GetFormat().(type) {
	case nil:
		v.add("response_format.format", "is required")
	case *sauronv1.ResponseFormat_JsonSchema:
		v.required("response_format.json_schema.name", format.JsonSchema.GetName())
		v.required("response_format.json_schema.schema_json", format.JsonSchema.GetSchemaJson())
		v.jsonObject("response_format.json_schema.schema_json", format.JsonSchema.GetSchemaJson())
	}
}

// known refuses a number that the server has no name for, and 0 unless it may be
// left out.
func (v *violations) known(field string, e protoreflect.Enum, optional bool) {
	switch number := e.Number(); {
	case number == 0 && !optional:
		v.add(field, "is required")
	case e.Descriptor().Values().ByNumber(number) == nil:
		v.add(field, fmt.Sprintf("%d is no value that this server knows", number))
	}
}

// jsonObject refuses text that is not one JSON object. Empty text is an omitted one.
func (v *violations) jsonObject(field, text string) {
	if text == "" {
		return
	}
	if !json.Valid([]byte(text)) || !bytes.HasPrefix(bytes.TrimLeft([]byte(text), " \t\r\n"), []byte("{")) {
		v.add(field, "must be a JSON object")
	}
}

// structValue refuses what JSON can't say.
func (v *violations) structValue(path string, value *structpb.Value) {
	switch kind := value.GetKind().(type) {
	case nil:
		v.add(path, "has no value")
	case *structpb.Value_NumberValue:
		if math.IsNaN(kind.NumberValue) || math.IsInf(kind.NumberValue, 0) {
			v.add(path, "must be a finite number")
		}
	case *structpb.Value_StructValue:
		for key, member := range sorted(kind.StructValue) {
			v.structValue(join(path, "."+key), member)
		}
	case *structpb.Value_ListValue:
		for i, item := range kind.ListValue.GetValues() {
			v.structValue(join(path, "["+strconv.Itoa(i)+"]"), item)
		}
	}
}

// sorted yields the members of s by name, so that the same request gets the same
// answer each time.
func sorted(s *structpb.Struct) iter.Seq2[string, *structpb.Value] {
	return func(yield func(string, *structpb.Value) bool) {
		for _, key := range slices.Sorted(maps.Keys(s.GetFields())) {
			if !yield(key, s.GetFields()[key]) {
				return
			}
		}
	}
}

// join returns the path of what is at step from path. A path that was cut stays as
// it is, so that what is inside a long name costs nothing more.
func join(path, step string) string {
	if len(path) > maxPath {
		return path
	}
	if path += step; len(path) <= maxPath {
		return path
	}
	return strings.ToValidUTF8(path[:maxPath], "") + " ..." // longer than maxPath, also if it lost a rune
}

// fold returns s as encoding/json compares the names of members.
func fold(s string) string { return strings.ToLower(strings.ToUpper(s)) }
