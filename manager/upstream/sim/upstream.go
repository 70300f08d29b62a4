// Package sim is the embedded simulator: an upstream that needs no LLM server
// and calls itself a simulator wherever it can.
//
// # Answers
//
// The same request gets the same answer on any machine: words of a fixed
// vocabulary, chosen by a digest of all that a real model would see. What only
// cuts an answer short or changes how it arrives (max_tokens, the `sim`
// extension) does not choose the words, so a limited or broken answer is the
// beginning of the whole one. Each word is one token and one event. Stop texts
// are ignored.
//
// If tool_choice is REQUIRED or names a tool, the answer is one call of the first
// or of the named tool with the arguments `{}` in two pieces, each a token. A
// choice that the request's tools cannot meet is refused, as LLM servers do.
//
// # The extension
//
// The member `sim` of GenerateRequest.extensions, an object, overrides the
// configuration for one request. All of its members are optional:
//
//	tokens       length of the text, 0 to 1000000
//	first_token  time to the first token, such as "50ms", up to "1h"
//	inter_token  time between tokens, up to "1h"
//	fault        "none", "error", "break", "stall", "rate_limit" or "garbage"; see Fault
//	after_tokens tokens before the fault "break", "stall" or "garbage", 0 to 1000000
//	status       the HTTP status that the fault "error" stands for, 400 to 599
//	retry_after  what the fault "rate_limit" asks for, up to "1h"
//
// A bad one fails the generation as UPSTREAM_REJECTED with the member's path as
// `param`. Other extensions are ignored, but choose the words.
//
// # Time
//
// Token n is due at the first token's time plus n times the time between tokens,
// counted from the start of the stream: a late token does not delay the next. A
// fault comes when the next token was due. The end comes with the last token.
//
// # Concurrency
//
// An Upstream is immutable. Each stream runs in the goroutine that ranges over
// it and starts no other.
package sim

import (
	"errors"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
	"github.com/sauron-stream/sauron/manager"
	"github.com/sauron-stream/sauron/manager/fault"
)

// An Upstream is a simulated LLM server. It is safe for concurrent use. Use New.
type Upstream struct {
	cfg Config
}

// New returns the simulator that cfg describes. The error joins all that is wrong
// with cfg.
func New(cfg Config) (*Upstream, error) {
	if err := errors.Join(cfg.problems()...); err != nil {
		return nil, err
	}
	return &Upstream{cfg: cfg}, nil
}

// Streamer returns the streamer of one answer to req, which is not changed.
// model chooses the words, as the model of a real server would; the answer names
// the simulator all the same. A request that the simulator refuses is refused by
// the stream.
func (u *Upstream) Streamer(req *sauronv1.GenerateRequest, model string) manager.Streamer {
	s := &streamer{upstream: manager.Upstream{Name: u.cfg.Name, MaxStreams: u.cfg.MaxStreams}}
	cfg, err := u.cfg.with(req.GetExtensions().GetFields()[extensionName])
	if err != nil {
		s.refusal = rejected(err.Field, err)
		return s
	}
	s.cfg = cfg
	s.answer, s.refusal = newAnswer(req, model, cfg.Tokens)
	return s
}

// rejected returns the refusal of a request whose member at the path param is
// wrong. param must have the closed form that metadata for callers has.
func rejected(param string, err error) *fault.Error {
	f := fault.New(fault.UpstreamRejected, err)
	f.Metadata = map[string]string{"param": param}
	return f
}
