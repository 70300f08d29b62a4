// Package openai streams answers from servers that speak OpenAI's chat
// completions over server-sent events: vLLM, llama.cpp, Ollama, the hosted APIs,
// gateways before them.
//
// It imports the generated messages although it stands below the manager, which
// must not: the generated GenerateRequest is the one neutral form of a request. A
// second copy of its fifteen types here would add nothing but converters, and a
// converter can forget a field.
//
// # What is asked
//
// One POST to {base}/chat/completions with stream and stream_options.include_usage
// set. The body of a request is always the same bytes: members in a fixed order,
// extensions sorted. JSON text of the caller (parameters_json, schema_json) stands
// in it byte for byte. An extension never replaces a member of the service's own.
//
// The token limit is sent as max_tokens, which every compatible server knows, but
// as max_completion_tokens to OpenAI and Azure OpenAI themselves: their reasoning
// models refuse the older name, while other servers ignore the newer one or refuse
// it. Both at once is an error at OpenAI. Nothing but the host decides, so that one
// upstream always gets one spelling.
//
// # What counts as an answer
//
// The official client libraries report success for a stream that was cut off and
// for an HTML page with status 200. A service that shares answers must know a whole
// one from a cut one, so the parser is our own and these are its rules.
//
//   - The answer is whole if and only if a finish_reason came for choice 0 and no
//     error did. The reasons "abort" and "error" are errors: engines send them, and
//     then [DONE], when they stop an answer half way (vllm-project/vllm#57082).
//     [DONE] alone is no success, its absence no failure.
//   - An error is a chunk with an error member that is not null or with object
//     "error", an event named error, or an `error:` line (old llama.cpp). It fails
//     the answer wherever it comes before [DONE], after a finish_reason too. So do a
//     chunk that can't be parsed and an event over 4 MiB.
//   - After a finish_reason the rest of the stream has 2 s, counted anew from each
//     token that still comes. It may end there in any way but with an error: by the
//     end of the body, a reset, silence, or the end of the context. Whatever limit
//     ended the context, the answer is whole.
//   - An event that the body's end cuts short does not count. What follows [DONE] is
//     ignored.
//   - Choices other than 0 are dropped and logged, once per stream.
//   - A text that is neither string nor null, an index that is no int32, and choices,
//     a delta or tool calls of the wrong type can't be parsed. In members that only
//     describe the answer (id, model, system_fingerprint, usage) what has the wrong
//     type is taken as absent.
//   - A rune split over two deltas of one kind is joined, be it by its bytes or by its
//     \u escapes; a rest that is never continued is one U+FFFD, as are other bytes
//     that are no UTF-8.
//   - Of a tool call, id and name are yielded once, when they first come. Over 1 KiB
//     they break the stream, as do over 1024 calls.
//
// Usage is what came last (some servers count along in every chunk); it is yielded
// once, right before KindFinished.
//
// KindAlive stands for the response's headers, for every chunk that yields nothing
// else, and for comment lines and empty events before the first token.
//
// # Extension events
//
// When the request asks for them, the members of a chunk that have no field here
// are one KindExtension event after the chunk's deltas: a JSON object with the
// chunk's own members at its top, those of choice 0 in `choice` and those of its
// delta in `delta`:
//
//	{"provider":"p","choice":{"logprobs":{...}},"delta":{"annotations":[...]}}
//
// Values keep their bytes, but that bytes which are no UTF-8 become U+FFFD. Left out
// are nulls, members of a chunk's top level that are called choice or delta, and
// whatever is inside members that are known (usage, tool_calls). An event over 48 KiB
// is dropped and logged, once per stream: the transport bounds an event.
//
// # What fails, and how
//
// Before the stream: no connection, no HTTP answer, 408 and 5xx are
// UPSTREAM_UNAVAILABLE and tried again; so is 429, UPSTREAM_RATE_LIMITED, unless the
// upstream says that a quota is used up. A redirect is UPSTREAM_UNAVAILABLE too, but
// is neither followed nor tried again: it would carry the key and the prompt to a
// place that nobody configured. status.go has the whole table. A 200 whose content
// type is HTML or JSON is UPSTREAM_BROKEN, as is everything that goes wrong inside
// a stream; that is never tried again, with or without a token.
//
// A streamer counts its own attempts. The wait before the next one is random around
// an exponential, and at least what Retry-After asks for; if it does not fit into
// what is left of the budget, the failure is final at once.
//
// No error holds text of a prompt, a key or an upstream's body: an upstream's message
// may quote the prompt. Of what the upstream said, the log gets the status and, if
// they look like identifiers, type and code.
//
// # Concurrency
//
// An Upstream is safe for concurrent use and holds nothing of any generation. A
// streamer belongs to one goroutine. That goroutine reads the body, parses and yields;
// over HTTP/1.1 it is also the one that reads the socket, over HTTP/2 net/http has one
// for each connection. No other is between the socket and the log, so a manager that
// takes long to log slows down its own upstream and nothing else.
package openai
