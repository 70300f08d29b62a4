package sim_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"pgregory.net/rapid"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
	"github.com/sauron-stream/sauron/manager"
	"github.com/sauron-stream/sauron/manager/event"
	"github.com/sauron-stream/sauron/manager/fault"
)

// The whole of a small answer, event by event. The words and ids are part of the
// test: the same request has them on any machine.
func TestAnswer(t *testing.T) {
	cfg := config()
	cfg.MaxStreams = 3
	s := newSim(t, cfg).Streamer(request("one two  three"), "m")
	if got, want := s.Upstream(), (manager.Upstream{Name: "sim", MaxStreams: 3}); got != want {
		t.Errorf("Upstream() = %+v, want %+v", got, want)
	}
	want := []event.Event{
		event.Text("Simulator:"), event.Text(" mountain"), event.Text(" mountain"), event.Text(" basin"), event.Text(" april"),
		{Kind: event.KindUsage, Usage: &event.Usage{Prompt: 3, Completion: 5}},
		{Kind: event.KindFinished, Finish: &event.Finish{
			Reason: event.FinishStop, Raw: "stop", Model: "sauron-simulator",
			ResponseID: "sim-f32d17c3e7ba16347d9a640d", Fingerprint: "simulator",
		}},
	}
	for attempt := range 2 {
		got := collect(t.Context(), t, s)
		if got.err != nil {
			t.Fatalf("attempt %d: %v", attempt, got.err)
		}
		if diff := cmp.Diff(want, got.events); diff != "" {
			t.Errorf("attempt %d: (-want +got)\n%s", attempt, diff)
		}
	}
}

// What chooses the words, and what does not.
func TestWhatChoosesTheWords(t *testing.T) {
	base := func() *sauronv1.GenerateRequest {
		r := request("hello")
		r.Sampling = &sauronv1.Sampling{Seed: new(int64(1))}
		return r
	}
	text := func(r *sauronv1.GenerateRequest, model string) string {
		got := collect(t.Context(), t, newSim(t, config()).Streamer(r, model))
		if got.err != nil {
			t.Fatalf("stream: %v", got.err)
		}
		text, _, _ := got.text()
		return text
	}
	want := text(base(), "m")

	tests := []struct {
		name   string
		change func(*sauronv1.GenerateRequest)
		same   bool
	}{
		{"nothing", func(*sauronv1.GenerateRequest) {}, true},
		{"request_id", func(r *sauronv1.GenerateRequest) { r.RequestId = "other" }, true},
		{"coalescing", func(r *sauronv1.GenerateRequest) { r.Coalescing = sauronv1.Coalescing_COALESCING_OFF }, true},
		{"resume", func(r *sauronv1.GenerateRequest) { r.Resume = &sauronv1.ResumePoint{GenerationId: "g"} }, true},
		{"orphan_grace", func(r *sauronv1.GenerateRequest) { r.OrphanGrace = &durationpb.Duration{Seconds: 1} }, true},
		{"route", func(r *sauronv1.GenerateRequest) { r.Model = "other" }, true},
		{"max_tokens", func(r *sauronv1.GenerateRequest) { r.Sampling.MaxTokens = new(int32(100)) }, true},
		{"sim", func(r *sauronv1.GenerateRequest) {
			r.Extensions = object(t, map[string]any{"sim": map[string]any{"first_token": "0s"}})
		}, true},
		{"content", func(r *sauronv1.GenerateRequest) { r.Messages[0].Content = "hello!" }, false},
		{"role", func(r *sauronv1.GenerateRequest) { r.Messages[0].Role = sauronv1.Role_ROLE_SYSTEM }, false},
		{"seed", func(r *sauronv1.GenerateRequest) { r.Sampling.Seed = new(int64(2)) }, false},
		{"stop", func(r *sauronv1.GenerateRequest) { r.Sampling.Stop = []string{"x"} }, false},
		{"tools", func(r *sauronv1.GenerateRequest) { r.Tools = []*sauronv1.Tool{{Name: "f"}} }, false},
		{"other_extension", func(r *sauronv1.GenerateRequest) {
			r.Extensions = object(t, map[string]any{"guided": "x"})
		}, false},
		{"unknown_field", func(r *sauronv1.GenerateRequest) {
			r.ProtoReflect().SetUnknown([]byte{0xf8, 0x07, 1}) // field 127
		}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := base()
			tt.change(r)
			before := proto.CloneOf(r)
			if got := text(r, "m"); (got == want) != tt.same {
				t.Errorf("text %q, unchanged request %q, want the same: %v", got, want, tt.same)
			}
			if !proto.Equal(r, before) {
				t.Errorf("the request was changed to %v from %v", r, before)
			}
		})
	}
	if got := text(base(), "other"); got == want {
		t.Errorf("another model gives the same text %q", got)
	}
}

// Members of extensions have no order, so their order chooses no words.
func TestExtensionOrder(t *testing.T) {
	r := request("hello")
	r.Extensions = object(t, map[string]any{"a": 1, "b": map[string]any{"x": 1, "y": 2, "z": 3}, "c": 3, "d": 4})
	var want string
	for range 50 { // a map's order differs from run to run
		text, _, _ := collect(t.Context(), t, newSim(t, config()).Streamer(r, "m")).text()
		if want == "" {
			want = text
		}
		if text != want {
			t.Fatalf("text %q, before %q", text, want)
		}
	}
}

func object(t *testing.T, members map[string]any) *structpb.Struct {
	t.Helper()
	s, err := structpb.NewStruct(members)
	if err != nil {
		t.Fatalf("NewStruct: %v", err)
	}
	return s
}

// What only cuts an answer (max_tokens, tokens, a fault) leaves its beginning as
// it is, whatever the request.
func TestCutAnswerIsABeginning(t *testing.T) {
	cfg := config()
	cfg.Tokens = 40
	u := newSim(t, cfg)
	rapid.Check(t, func(rt *rapid.T) {
		r := request(rapid.String().Draw(rt, "content"))
		if rapid.Bool().Draw(rt, "sampling") {
			r.Sampling = &sauronv1.Sampling{Temperature: new(rapid.Float64().Draw(rt, "temperature"))}
		}
		whole, n, _ := collect(t.Context(), t, u.Streamer(r, "m")).text()
		if n != 40 {
			rt.Fatalf("whole answer has %d tokens, want 40", n)
		}

		cut := proto.CloneOf(r)
		limit := rapid.IntRange(1, 39).Draw(rt, "limit")
		want := limit
		switch rapid.IntRange(0, 2).Draw(rt, "how") {
		case 0:
			if cut.Sampling == nil {
				cut.Sampling = &sauronv1.Sampling{}
			}
			cut.Sampling.MaxTokens = new(int32(limit))
		case 1:
			cut.Extensions = object(t, map[string]any{"sim": map[string]any{"tokens": limit}})
		case 2:
			cut.Extensions = object(t, map[string]any{"sim": map[string]any{"fault": "break", "after_tokens": limit}})
		}
		text, got, _ := collect(t.Context(), t, u.Streamer(cut, "m")).text()
		if got != want || !strings.HasPrefix(whole, text) {
			rt.Fatalf("cut to %d: %d tokens, %q, which should begin %q", want, got, text, whole)
		}
	})
}

// max_tokens cuts, and says so, only if it is lower than the answer is long.
func TestMaxTokens(t *testing.T) {
	for _, tt := range []struct {
		name   string
		limit  int32
		tokens int
		reason event.FinishReason
		raw    string
	}{
		{"lower", 4, 4, event.FinishLength, "length"},
		{"equal", 5, 5, event.FinishStop, "stop"},
		{"higher", 6, 5, event.FinishStop, "stop"},
		{"negative", -1, 0, event.FinishLength, "length"}, // the server refuses it before
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := request("hello")
			r.Sampling = &sauronv1.Sampling{MaxTokens: &tt.limit}
			got := collect(t.Context(), t, newSim(t, config()).Streamer(r, "m"))
			_, tokens, rest := got.text()
			if got.err != nil || len(rest) != 2 {
				t.Fatalf("end = %v, %v; want usage and the finish", rest, got.err)
			}
			finish := rest[1].Finish
			if tokens != tt.tokens || finish.Reason != tt.reason || finish.Raw != tt.raw {
				t.Errorf("%d tokens, %v %q; want %d, %v %q", tokens, finish.Reason, finish.Raw, tt.tokens, tt.reason, tt.raw)
			}
			if rest[0].Usage.Completion != int64(tt.tokens) {
				t.Errorf("completion tokens = %d, want %d", rest[0].Usage.Completion, tt.tokens)
			}
		})
	}
}

// Words of content and of text parts count; other parts do not.
func TestPromptTokens(t *testing.T) {
	r := &sauronv1.GenerateRequest{Messages: []*sauronv1.Message{
		{Role: sauronv1.Role_ROLE_SYSTEM, Content: " be  brief\n"},
		{Role: sauronv1.Role_ROLE_USER, Parts: []*sauronv1.ContentPart{
			{Part: &sauronv1.ContentPart_Text{Text: "what is this"}},
			{Part: &sauronv1.ContentPart_Image{Image: &sauronv1.Image{MimeType: "image/png"}}},
		}},
	}}
	got := collect(t.Context(), t, newSim(t, config()).Streamer(r, "m"))
	_, _, rest := got.text()
	if len(rest) != 2 || rest[0].Usage.Prompt != 5 {
		t.Errorf("end = %+v, want usage with 5 prompt tokens", rest)
	}
}

// A required or named tool is called in two pieces, and max_tokens cuts a call
// as it cuts a text.
func TestToolCall(t *testing.T) {
	tools := []*sauronv1.Tool{{Name: "first"}, {Name: "second"}}
	required := &sauronv1.ToolChoice{Choice: &sauronv1.ToolChoice_Mode_{Mode: sauronv1.ToolChoice_MODE_REQUIRED}}
	named := &sauronv1.ToolChoice{Choice: &sauronv1.ToolChoice_Name{Name: "second"}}
	call := func(name string) []event.ToolCallDelta {
		return []event.ToolCallDelta{{ID: "call", Name: name, Arguments: "{"}, {Arguments: "}"}}
	}
	for _, tt := range []struct {
		name   string
		choice *sauronv1.ToolChoice
		limit  *int32
		want   []event.ToolCallDelta
		reason event.FinishReason
		raw    string
	}{
		{"required", required, nil, call("first"), event.FinishToolCalls, "tool_calls"},
		{"named", named, nil, call("second"), event.FinishToolCalls, "tool_calls"},
		{"cut", named, new(int32(1)), call("second")[:1], event.FinishLength, "length"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := request("hello")
			r.Tools, r.ToolChoice = tools, tt.choice
			r.Sampling = &sauronv1.Sampling{MaxTokens: tt.limit}
			got := collect(t.Context(), t, newSim(t, config()).Streamer(r, "m"))
			if got.err != nil || len(got.events) != len(tt.want)+2 {
				t.Fatalf("events = %v, %v; want %d pieces and the end", got.events, got.err, len(tt.want))
			}
			var pieces []event.ToolCallDelta
			for _, e := range got.events[:len(tt.want)] {
				piece := *e.ToolCall
				if piece.ID != "" {
					if !strings.HasPrefix(piece.ID, "call-sim-") || len(piece.ID) < 20 {
						t.Errorf("id = %q, want call-sim-...", piece.ID)
					}
					piece.ID = "call"
				}
				pieces = append(pieces, piece)
			}
			if diff := cmp.Diff(tt.want, pieces); diff != "" {
				t.Errorf("pieces (-want +got)\n%s", diff)
			}
			usage, finish := got.events[len(tt.want)].Usage, got.events[len(tt.want)+1].Finish
			if finish.Reason != tt.reason || finish.Raw != tt.raw || usage.Completion != int64(len(tt.want)) {
				t.Errorf("finish = %v %q, %d tokens; want %v %q, %d", finish.Reason, finish.Raw, usage.Completion,
					tt.reason, tt.raw, len(tt.want))
			}
		})
	}
}

// Tools that need not be called are not.
func TestToolsNotCalled(t *testing.T) {
	for _, mode := range []sauronv1.ToolChoice_Mode{
		sauronv1.ToolChoice_MODE_UNSPECIFIED, sauronv1.ToolChoice_MODE_AUTO, sauronv1.ToolChoice_MODE_NONE,
	} {
		t.Run(mode.String(), func(t *testing.T) {
			r := request("hello")
			r.Tools = []*sauronv1.Tool{{Name: "f"}}
			r.ToolChoice = &sauronv1.ToolChoice{Choice: &sauronv1.ToolChoice_Mode_{Mode: mode}}
			got := collect(t.Context(), t, newSim(t, config()).Streamer(r, "m"))
			if _, tokens, rest := got.text(); tokens != 5 || rest[1].Finish.Reason != event.FinishStop {
				t.Errorf("%d tokens, end %v; want a text of 5", tokens, rest)
			}
		})
	}
}

// What no upstream could do is refused with the member that is wrong.
func TestRefusals(t *testing.T) {
	noTools := request("hello")
	noTools.ToolChoice = &sauronv1.ToolChoice{Choice: &sauronv1.ToolChoice_Mode_{Mode: sauronv1.ToolChoice_MODE_REQUIRED}}
	unknownTool := request("hello")
	unknownTool.Tools = []*sauronv1.Tool{{Name: "f"}}
	unknownTool.ToolChoice = &sauronv1.ToolChoice{Choice: &sauronv1.ToolChoice_Name{Name: "g"}}

	for _, tt := range []struct {
		name    string
		request *sauronv1.GenerateRequest
		want    map[string]string
	}{
		{"no_tools", noTools, map[string]string{"param": "tool_choice"}},
		{"unknown_tool", unknownTool, map[string]string{"param": "tool_choice"}},
		{"not_utf8", request("\xff"), nil},
		{"extension", withExtension(t, map[string]any{"tokens": -1}), map[string]string{"param": "extensions.sim.tokens"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := collect(t.Context(), t, newSim(t, config()).Streamer(tt.request, "m"))
			f, ok := errors.AsType[*fault.Error](got.err)
			if !ok || len(got.events) != 0 {
				t.Fatalf("got %v, %v; want a fault and no event", got.events, got.err)
			}
			if f.Reason != fault.UpstreamRejected || f.Kind != fault.Invalid {
				t.Errorf("fault = %v of kind %v, want UPSTREAM_REJECTED of kind %v", f.Reason, f.Kind, fault.Invalid)
			}
			if diff := cmp.Diff(tt.want, f.Metadata); diff != "" {
				t.Errorf("metadata (-want +got)\n%s", diff)
			}
		})
	}
}
