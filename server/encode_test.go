package server

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"
	"pgregory.net/rapid"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
	"github.com/sauron-stream/sauron/manager/event"
)

// constants returns the exported constants of a type by name, as the sources in dir
// declare them: nobody can add one unseen.
func constants(t *testing.T, dir, typeName string) map[string]constant.Value {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	// Imports are not resolved and errors not reported: constants need neither.
	cfg := types.Config{Error: func(error) {}}
	pkg, _ := cfg.Check(dir, fset, files, nil)
	all := make(map[string]constant.Value)
	for _, name := range pkg.Scope().Names() {
		c, ok := pkg.Scope().Lookup(name).(*types.Const)
		if !ok || !c.Exported() {
			continue
		}
		if named, ok := c.Type().(*types.Named); ok && named.Obj().Name() == typeName {
			all[name] = c.Val()
		}
	}
	if len(all) == 0 {
		t.Fatalf("no constants of %s in %s", typeName, dir)
	}
	return all
}

// numbers returns the constants of a numeric type.
func numbers[T ~uint8](t *testing.T, dir, typeName string) map[string]T {
	t.Helper()
	all := make(map[string]T)
	for name, v := range constants(t, dir, typeName) {
		n, ok := constant.Uint64Val(v)
		if !ok {
			t.Fatalf("%s is no number", name)
		}
		all[name] = T(n)
	}
	return all
}

const eventDir = "../manager/event"

// Every kind of event, with every field, as the contract has it.
func TestEncodeKinds(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   event.Event
		want *sauronv1.Event // without its sequence
	}{
		{
			"KindStage",
			event.Event{Kind: event.KindStage, Stage: event.StageWaiting},
			&sauronv1.Event{Kind: &sauronv1.Event_StageChanged{StageChanged: &sauronv1.StageChanged{Stage: sauronv1.Stage_STAGE_WAITING}}},
		},
		{"KindText", event.Text("a text"), &sauronv1.Event{Kind: &sauronv1.Event_TextDelta{TextDelta: "a text"}}},
		{
			"KindReasoning",
			event.Event{Kind: event.KindReasoning, Text: "a reason"},
			&sauronv1.Event{Kind: &sauronv1.Event_ReasoningDelta{ReasoningDelta: "a reason"}},
		},
		{
			"KindRefusal",
			event.Event{Kind: event.KindRefusal, Text: "no"},
			&sauronv1.Event{Kind: &sauronv1.Event_RefusalDelta{RefusalDelta: "no"}},
		},
		{
			"KindToolCall",
			event.Event{Kind: event.KindToolCall, ToolCall: &event.ToolCallDelta{Index: 3, ID: "id", Name: "name", Arguments: "{"}},
			&sauronv1.Event{Kind: &sauronv1.Event_ToolCallDelta{ToolCallDelta: &sauronv1.ToolCallDelta{
				Index: 3, Id: "id", Name: "name", ArgumentsDelta: "{",
			}}},
		},
		{
			"KindExtension",
			event.Event{Kind: event.KindExtension, Text: `{"a":1}`},
			&sauronv1.Event{Kind: &sauronv1.Event_UpstreamExtensionJson{UpstreamExtensionJson: `{"a":1}`}},
		},
		{
			"KindUsage",
			event.Event{Kind: event.KindUsage, Usage: &event.Usage{Prompt: 1, Completion: 2, Cached: 3, Reasoning: 4}},
			&sauronv1.Event{Kind: &sauronv1.Event_Usage{Usage: &sauronv1.Usage{
				PromptTokens: 1, CompletionTokens: 2, CachedTokens: 3, ReasoningTokens: 4,
			}}},
		},
		{
			"KindFinished",
			event.Event{Kind: event.KindFinished, Finish: &event.Finish{
				Reason: event.FinishLength, Raw: "raw", Model: "model", ResponseID: "response", Fingerprint: "fingerprint",
			}},
			&sauronv1.Event{Kind: &sauronv1.Event_Finished{Finished: &sauronv1.Finished{
				Outcome: sauronv1.Outcome_OUTCOME_COMPLETED, FinishReason: sauronv1.FinishReason_FINISH_REASON_LENGTH,
				UpstreamFinishReason: "raw", UpstreamModel: "model", UpstreamResponseId: "response", SystemFingerprint: "fingerprint",
			}}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := []byte("what is there stays")
			data, found := bytes.CutPrefix(encode(slices.Clone(before), 7, tt.in), before)
			if !found {
				t.Fatal("encode did not append")
			}
			tt.want.Sequence = 7
			want := &sauronv1.GenerateResponse{Events: []*sauronv1.Event{tt.want}}
			if diff := cmp.Diff(want, decode(t.Fatal, data), protocmp.Transform()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			// The same as gRPC would have made of the message.
			if wire, err := proto.Marshal(want); err != nil || !bytes.Equal(wire, data) {
				t.Errorf("encoded as %x, proto has %x, %v", data, wire, err)
			}
		})
	}
}

func decode(fatal func(...any), data []byte) *sauronv1.GenerateResponse {
	m := &sauronv1.GenerateResponse{}
	if err := proto.Unmarshal(data, m); err != nil {
		fatal(err)
	}
	return m
}

// Whoever adds a kind, a stage or a reason to package event, or a kind to the
// contract, maps it.
func TestEverythingIsMapped(t *testing.T) {
	sample := func(kind event.Kind) event.Event {
		return event.Event{
			Kind: kind, Stage: event.StageQueued, Text: "text",
			ToolCall: &event.ToolCallDelta{}, Usage: &event.Usage{}, Finish: &event.Finish{},
		}
	}
	members := make(map[protoreflect.Name]string) // by what of the contract's oneof
	oneof := (&sauronv1.Event{}).ProtoReflect().Descriptor().Oneofs().ByName("kind")
	for name, kind := range numbers[event.Kind](t, eventDir, "Kind") {
		if kind == event.KindAlive { // never logged
			continue
		}
		m := toProto(1, sample(kind)).ProtoReflect()
		member := m.WhichOneof(oneof)
		if member == nil {
			t.Errorf("toProto does not map %s", name)
			continue
		}
		if other, ok := members[member.Name()]; ok {
			t.Errorf("%s and %s are both %s", name, other, member.Name())
		}
		members[member.Name()] = name
	}
	for i := range oneof.Fields().Len() {
		if name := oneof.Fields().Get(i).Name(); members[name] == "" && name != "started" { // private to a stream
			t.Errorf("no event.Kind is %s", name)
		}
	}

	stageOf := make(map[sauronv1.Stage]string)
	for name, stage := range numbers[event.Stage](t, eventDir, "Stage") {
		if stage == event.StageEnded { // never an event
			continue
		}
		e := toProto(1, event.Event{Kind: event.KindStage, Stage: stage})
		stageOf[e.GetStageChanged().GetStage()] = name
	}
	wantAll(t, stageOf)

	reasonOf := make(map[sauronv1.FinishReason]string)
	for name, reason := range numbers[event.FinishReason](t, eventDir, "FinishReason") {
		e := toProto(1, event.Event{Kind: event.KindFinished, Finish: &event.Finish{Reason: reason}})
		reasonOf[e.GetFinished().GetFinishReason()] = name
	}
	wantAll(t, reasonOf)
}

// wantAll fails unless the keys are each value of an enum but UNSPECIFIED, once, and
// each stands for the constant of its name.
func wantAll[E interface {
	comparable
	protoreflect.Enum
}](t *testing.T, names map[E]string) {
	t.Helper()
	byNumber := make(map[protoreflect.EnumNumber]string)
	var enum E
	for e, name := range names {
		byNumber[e.Number()] = name
	}
	if name := byNumber[0]; name != "" {
		t.Errorf("%s is not mapped", name)
	}
	values := enum.Descriptor().Values()
	for i := 1; i < values.Len(); i++ {
		v := values.Get(i)
		// STAGE_QUEUED is StageQueued, FINISH_REASON_TOOL_CALLS is FinishToolCalls.
		want := strings.ToLower(strings.NewReplacer("REASON_", "", "_", "").Replace(string(v.Name())))
		if got := strings.ToLower(byNumber[v.Number()]); got != want {
			t.Errorf("%s is made of %q", v.Name(), byNumber[v.Number()])
		}
	}
}

// drawEvent returns any event that a log may have.
func drawEvent(t *rapid.T) event.Event {
	text := rapid.OneOf(rapid.Just(""), rapid.String(), rapid.Just(strings.Repeat("日本語", 6000)))
	kind := rapid.SampledFrom([]event.Kind{
		event.KindStage, event.KindText, event.KindReasoning, event.KindRefusal, event.KindToolCall,
		event.KindExtension, event.KindUsage, event.KindFinished,
	}).Draw(t, "kind")
	e := event.Event{Kind: kind}
	switch kind {
	case event.KindStage:
		e.Stage = event.Stage(rapid.IntRange(int(event.StageQueued), int(event.StageStreaming)).Draw(t, "stage"))
	case event.KindToolCall:
		e.ToolCall = &event.ToolCallDelta{
			Index: rapid.Int32().Draw(t, "index"), ID: text.Draw(t, "id"), Name: text.Draw(t, "name"), Arguments: text.Draw(t, "arguments"),
		}
	case event.KindUsage:
		count := rapid.Int64()
		e.Usage = &event.Usage{
			Prompt: count.Draw(t, "prompt"), Completion: count.Draw(t, "completion"),
			Cached: count.Draw(t, "cached"), Reasoning: count.Draw(t, "reasoning"),
		}
	case event.KindFinished:
		e.Finish = &event.Finish{
			Reason: event.FinishReason(rapid.IntRange(int(event.FinishOther), int(event.FinishContentFilter)).Draw(t, "reason")),
			Raw:    text.Draw(t, "raw"), Model: text.Draw(t, "model"),
			ResponseID: text.Draw(t, "response"), Fingerprint: text.Draw(t, "fingerprint"),
		}
	case event.KindText, event.KindReasoning, event.KindRefusal, event.KindExtension:
		e.Text = text.Draw(t, "text")
	case event.KindAlive:
	}
	return e
}

// fromProto is the inverse of toProto, written from the contract.
func fromProto(p *sauronv1.Event) (event.Event, error) {
	switch k := p.GetKind().(type) {
	case *sauronv1.Event_StageChanged:
		return event.Event{Kind: event.KindStage, Stage: event.Stage(k.StageChanged.GetStage())}, nil // the same numbers
	case *sauronv1.Event_TextDelta:
		return event.Event{Kind: event.KindText, Text: k.TextDelta}, nil
	case *sauronv1.Event_ReasoningDelta:
		return event.Event{Kind: event.KindReasoning, Text: k.ReasoningDelta}, nil
	case *sauronv1.Event_RefusalDelta:
		return event.Event{Kind: event.KindRefusal, Text: k.RefusalDelta}, nil
	case *sauronv1.Event_UpstreamExtensionJson:
		return event.Event{Kind: event.KindExtension, Text: k.UpstreamExtensionJson}, nil
	case *sauronv1.Event_ToolCallDelta:
		d := k.ToolCallDelta
		return event.Event{Kind: event.KindToolCall, ToolCall: &event.ToolCallDelta{
			Index: d.GetIndex(), ID: d.GetId(), Name: d.GetName(), Arguments: d.GetArgumentsDelta(),
		}}, nil
	case *sauronv1.Event_Usage:
		u := k.Usage
		return event.Event{Kind: event.KindUsage, Usage: &event.Usage{
			Prompt: u.GetPromptTokens(), Completion: u.GetCompletionTokens(), Cached: u.GetCachedTokens(), Reasoning: u.GetReasoningTokens(),
		}}, nil
	case *sauronv1.Event_Finished:
		f := k.Finished
		if f.GetOutcome() != sauronv1.Outcome_OUTCOME_COMPLETED {
			return event.Event{}, fmt.Errorf("outcome %v in a log", f.GetOutcome())
		}
		reason := map[sauronv1.FinishReason]event.FinishReason{
			sauronv1.FinishReason_FINISH_REASON_STOP:           event.FinishStop,
			sauronv1.FinishReason_FINISH_REASON_LENGTH:         event.FinishLength,
			sauronv1.FinishReason_FINISH_REASON_TOOL_CALLS:     event.FinishToolCalls,
			sauronv1.FinishReason_FINISH_REASON_CONTENT_FILTER: event.FinishContentFilter,
			sauronv1.FinishReason_FINISH_REASON_OTHER:          event.FinishOther,
		}[f.GetFinishReason()]
		return event.Event{Kind: event.KindFinished, Finish: &event.Finish{
			Reason: reason, Raw: f.GetUpstreamFinishReason(), Model: f.GetUpstreamModel(),
			ResponseID: f.GetUpstreamResponseId(), Fingerprint: f.GetSystemFingerprint(),
		}}, nil
	}
	return event.Event{}, fmt.Errorf("no event of a log: %v", p)
}

// Any run of entries laid end to end is one GenerateResponse with those events in
// that order: that is what a batch is.
func TestEntriesLaidEndToEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events := rapid.SliceOfN(rapid.Custom(drawEvent), 0, 20).Draw(t, "events")
		var log []byte // all entries in one buffer, as a batch has them
		ends := []int{0}
		for i, e := range events {
			log = encode(log, int64(i+1), e)
			ends = append(ends, len(log))
		}
		from := rapid.IntRange(0, len(events)).Draw(t, "from")
		to := rapid.IntRange(from, len(events)).Draw(t, "to")

		m := decode(t.Fatal, log[ends[from]:ends[to]])
		if len(m.GetEvents()) != to-from || len(m.ProtoReflect().GetUnknown()) > 0 {
			t.Fatalf("%d events and %d unknown bytes, want %d and none", len(m.GetEvents()), len(m.ProtoReflect().GetUnknown()), to-from)
		}
		for i, p := range m.GetEvents() {
			if got, want := p.GetSequence(), int64(from+i+1); got != want {
				t.Errorf("event %d has sequence %d, want %d", i, got, want)
			}
			got, err := fromProto(p)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(events[from+i], got); diff != "" {
				t.Errorf("event %d (-sent +received)\n%s", i, diff)
			}
		}
	})
}

// The events that belong to one stream alone lie between those of the log.
func TestPrivateEventsLieInBetween(t *testing.T) {
	started := &sauronv1.Event{Kind: &sauronv1.Event_Started{Started: &sauronv1.Started{
		RequestId: "id", GenerationId: "generation", Participation: sauronv1.Participation_PARTICIPATION_FOLLOWER,
	}}}
	finished := &sauronv1.Event{Kind: &sauronv1.Event_Finished{Finished: &sauronv1.Finished{Outcome: sauronv1.Outcome_OUTCOME_CANCELLED}}}
	data := appendEvent(nil, started)
	data = encode(data, 1, event.Text("a"))
	data = appendEvent(data, finished)
	want := &sauronv1.GenerateResponse{Events: []*sauronv1.Event{
		started, {Sequence: 1, Kind: &sauronv1.Event_TextDelta{TextDelta: "a"}}, finished,
	}}
	if diff := cmp.Diff(want, decode(t.Fatal, data), protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// The number of the field is the contract's, and it is the only one: another field
// of GenerateResponse would be lost in batches.
func TestEventsField(t *testing.T) {
	fields := (&sauronv1.GenerateResponse{}).ProtoReflect().Descriptor().Fields()
	if f := fields.ByName("events"); fields.Len() != 1 || f.Number() != eventsField || !f.IsList() {
		t.Errorf("GenerateResponse has %d fields, events is %v", fields.Len(), f)
	}
}
