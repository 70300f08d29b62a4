package server

import (
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
	"github.com/sauron-stream/sauron/manager/event"
)

// eventsField is the number of GenerateResponse.events, the one field of that
// message: encoded events laid end to end are a valid GenerateResponse.
const eventsField = 1

// encode appends e as one element of GenerateResponse.events. It is the encoder
// that the server hands to the manager.
func encode(dst []byte, sequence int64, e event.Event) []byte {
	return appendEvent(dst, toProto(sequence, e))
}

func appendEvent(dst []byte, e *sauronv1.Event) []byte {
	options := proto.MarshalOptions{Deterministic: true}
	dst = protowire.AppendTag(dst, eventsField, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(options.Size(e)))
	dst, err := options.MarshalAppend(dst, e)
	if err != nil {
		// Only text that is no UTF-8 can do that, and the streamers make sure.
		panic("server: an event can't be encoded: " + err.Error())
	}
	return dst
}

// toProto returns e as the contract has it.
func toProto(sequence int64, e event.Event) *sauronv1.Event {
	p := &sauronv1.Event{Sequence: sequence}
	switch e.Kind {
	case event.KindStage:
		p.Kind = &sauronv1.Event_StageChanged{StageChanged: &sauronv1.StageChanged{Stage: stages[e.Stage]}}
	case event.KindText:
		p.Kind = &sauronv1.Event_TextDelta{TextDelta: e.Text}
	case event.KindReasoning:
		p.Kind = &sauronv1.Event_ReasoningDelta{ReasoningDelta: e.Text}
	case event.KindRefusal:
		p.Kind = &sauronv1.Event_RefusalDelta{RefusalDelta: e.Text}
	case event.KindExtension:
		p.Kind = &sauronv1.Event_UpstreamExtensionJson{UpstreamExtensionJson: e.Text}
	case event.KindToolCall:
		p.Kind = &sauronv1.Event_ToolCallDelta{ToolCallDelta: &sauronv1.ToolCallDelta{
			Index: e.ToolCall.Index, Id: e.ToolCall.ID, Name: e.ToolCall.Name, ArgumentsDelta: e.ToolCall.Arguments,
		}}
	case event.KindUsage:
		p.Kind = &sauronv1.Event_Usage{Usage: &sauronv1.Usage{
			PromptTokens: e.Usage.Prompt, CompletionTokens: e.Usage.Completion,
			CachedTokens: e.Usage.Cached, ReasoningTokens: e.Usage.Reasoning,
		}}
	case event.KindFinished:
		p.Kind = &sauronv1.Event_Finished{Finished: &sauronv1.Finished{
			Outcome:              sauronv1.Outcome_OUTCOME_COMPLETED,
			FinishReason:         finishReasons[e.Finish.Reason],
			UpstreamFinishReason: e.Finish.Raw,
			UpstreamModel:        e.Finish.Model,
			UpstreamResponseId:   e.Finish.ResponseID,
			SystemFingerprint:    e.Finish.Fingerprint,
		}}
	case event.KindAlive: // never logged
	}
	return p
}

var stages = map[event.Stage]sauronv1.Stage{
	event.StageQueued:    sauronv1.Stage_STAGE_QUEUED,
	event.StagePreparing: sauronv1.Stage_STAGE_PREPARING,
	event.StageWaiting:   sauronv1.Stage_STAGE_WAITING,
	event.StageStreaming: sauronv1.Stage_STAGE_STREAMING,
}

var finishReasons = map[event.FinishReason]sauronv1.FinishReason{
	event.FinishOther:         sauronv1.FinishReason_FINISH_REASON_OTHER,
	event.FinishStop:          sauronv1.FinishReason_FINISH_REASON_STOP,
	event.FinishLength:        sauronv1.FinishReason_FINISH_REASON_LENGTH,
	event.FinishToolCalls:     sauronv1.FinishReason_FINISH_REASON_TOOL_CALLS,
	event.FinishContentFilter: sauronv1.FinishReason_FINISH_REASON_CONTENT_FILTER,
}
