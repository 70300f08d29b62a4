package sim

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/structpb"
)

// extensionName is the simulator's member of GenerateRequest.extensions.
const extensionName = "sim"

// extensionMembers holds what sets each member. It returns what is wrong with
// the value, or nothing.
var extensionMembers = map[string]func(c *Config, v *structpb.Value) (problem string){
	"tokens":       func(c *Config, v *structpb.Value) string { return setCount(&c.Tokens, v, 0, maxTokens) },
	"first_token":  func(c *Config, v *structpb.Value) string { return setPause(&c.FirstToken, v) },
	"inter_token":  func(c *Config, v *structpb.Value) string { return setPause(&c.InterToken, v) },
	"fault":        func(c *Config, v *structpb.Value) string { return setFaultKind(&c.Fault.Kind, v) },
	"after_tokens": func(c *Config, v *structpb.Value) string { return setCount(&c.Fault.AfterTokens, v, 0, maxTokens) },
	"status":       func(c *Config, v *structpb.Value) string { return setCount(&c.Fault.Status, v, 400, 599) },
	"retry_after":  func(c *Config, v *structpb.Value) string { return setPause(&c.Fault.RetryAfter, v) },
}

// memberName is what a member's name must look like to be told to callers: with
// the path before it, it has the closed form of metadata.
var memberName = regexp.MustCompile(`^[a-z0-9_]{1,48}$`)

// applyExtension overrides c with the extension ext. On an error c may be half
// changed.
func applyExtension(c *Config, ext *structpb.Value) *ExtensionError {
	object, ok := ext.GetKind().(*structpb.Value_StructValue)
	if !ok {
		return newExtensionError("", "must be an object")
	}
	fields := object.StructValue.GetFields()
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		set, ok := extensionMembers[name]
		if !ok {
			return newExtensionError(name, "is not a member that the simulator knows")
		}
		if problem := set(c, fields[name]); problem != "" {
			return newExtensionError(name, problem)
		}
	}
	return nil
}

// setCount sets *to from a whole number. Every number of a Struct is a double,
// NaN and infinity included.
func setCount(to *int, v *structpb.Value, least, most int) (problem string) {
	n, ok := v.GetKind().(*structpb.Value_NumberValue)
	if !ok || n.NumberValue != math.Trunc(n.NumberValue) ||
		n.NumberValue < float64(least) || n.NumberValue > float64(most) {
		return fmt.Sprintf("must be a whole number from %d to %d", least, most)
	}
	*to = int(n.NumberValue)
	return ""
}

func setPause(to *time.Duration, v *structpb.Value) (problem string) {
	problem = fmt.Sprintf("must be a duration such as \"50ms\", from 0 to %v", maxPause)
	s, ok := v.GetKind().(*structpb.Value_StringValue)
	if !ok {
		return problem
	}
	d, err := time.ParseDuration(s.StringValue)
	if err != nil || d < 0 || d > maxPause {
		return problem
	}
	*to = d
	return ""
}

func setFaultKind(to *FaultKind, v *structpb.Value) (problem string) {
	s, ok := v.GetKind().(*structpb.Value_StringValue)
	if !ok || s.StringValue == "" || !FaultKind(s.StringValue).known() {
		return "must be the name of a fault"
	}
	*to = FaultKind(s.StringValue)
	return ""
}
