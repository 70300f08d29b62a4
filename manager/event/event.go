// Package event holds what a generation yields, in plain Go: the streamers make
// these values, the manager logs them, the server encodes them. The words are
// those of the contract in proto/sauron/v1.
package event

// An Event is one thing that a generation yields. Kind says which of the other
// fields means something. Events are values: nobody changes one that was handed
// on.
type Event struct {
	Kind     Kind
	Stage    Stage          // KindStage
	Text     string         // the deltas, and the JSON of KindExtension
	ToolCall *ToolCallDelta // KindToolCall
	Usage    *Usage         // KindUsage
	Finish   *Finish        // KindFinished
}

// Kind tells events apart.
type Kind uint8

// The kinds of event.
const (
	// KindAlive is never logged: the upstream showed that it works on the answer
	// without yielding any of it. It feeds the idle limit.
	KindAlive     Kind = iota
	KindStage          // the generation entered a stage; appended by the manager alone
	KindText           // more of the answer
	KindReasoning      // more of the reasoning
	KindRefusal        // more of the refusal
	KindToolCall       // more of a tool call
	KindExtension      // members of the upstream's chunk that have no field, a JSON object
	KindUsage          // the token counts
	KindFinished       // the answer is whole; always the last
)

// IsToken reports whether e is a part of the answer itself.
func (e Event) IsToken() bool {
	switch e.Kind {
	case KindText, KindReasoning, KindRefusal, KindToolCall:
		return true
	case KindAlive, KindStage, KindExtension, KindUsage, KindFinished:
		return false
	}
	return false
}

// Text returns a delta of the answer.
func Text(s string) Event { return Event{Kind: KindText, Text: s} }

// Stage is where a generation is in its life, in order.
type Stage uint8

// The stages of a generation.
const (
	StageQueued    Stage = iota + 1 // in the admission queue
	StagePreparing                  // holds a prepare permit
	StageWaiting                    // ready, waits for a stream slot
	StageStreaming                  // holds a stream slot
	StageEnded                      // never an event: the log's end says it
)

// String returns the stage as metrics and logs name it.
func (s Stage) String() string {
	switch s {
	case StageQueued:
		return "queued"
	case StagePreparing:
		return "preparing"
	case StageWaiting:
		return "waiting"
	case StageStreaming:
		return "streaming"
	case StageEnded:
		return "ended"
	}
	return "unknown"
}

// A ToolCallDelta is a piece of one tool call.
type ToolCallDelta struct {
	Index     int32
	ID        string // on the first piece
	Name      string // on the first piece
	Arguments string // more of the JSON text
}

// Usage is what the upstream counted, in tokens. Cached is part of Prompt,
// Reasoning of Completion.
type Usage struct {
	Prompt, Completion, Cached, Reasoning int64
}

// A Finish says how a whole answer ended.
type Finish struct {
	Reason      FinishReason
	Raw         string // the upstream's own word for Reason
	Model       string // the upstream's name of the model
	ResponseID  string
	Fingerprint string
}

// FinishReason is why the upstream stopped generating.
type FinishReason uint8

// The reasons to stop.
const (
	FinishOther         FinishReason = iota // Finish.Raw has the upstream's word
	FinishStop                              // its end, or a stop text
	FinishLength                            // the token limit
	FinishToolCalls                         // it asks for tool calls
	FinishContentFilter                     // the upstream's filter cut it
)
