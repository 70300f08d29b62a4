package systemtest

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/sauron-stream/sauron/manager/fault"
)

// An upstreamRow is one way in which an upstream fails, and what callers see of it.
type upstreamRow struct {
	name   string
	behave func(x *exchange)
	want   failure
	text   string // what came before
	asked  int    // requests at the upstream
}

// The sequences after the stages, and after two deltas more.
const (
	afterStages = "4"
	afterDeltas = "6"
)

// refuses answers with status and body, which says the secrets too, and with headers.
func refuses(status int, body string, headers ...string) func(*exchange) {
	return func(x *exchange) {
		for i := 0; i < len(headers); i += 2 {
			x.w.Header().Set(headers[i], headers[i+1])
		}
		x.refuse(status, body)
	}
}

// complaint is the body of an error answer.
func complaint(kind, code, param string) string {
	message := fmt.Sprintf("%s: you said %q with the key %s", wordSecret, promptSecret, keySecret)
	return fmt.Sprintf(`{"error":{"message":%q,"type":%q,"code":%q,"param":%q}}`, message, kind, code, param)
}

// breaks answers two deltas and then does end.
func breaks(end func(x *exchange)) func(*exchange) {
	return func(x *exchange) {
		x.headers()
		x.text("one", " two")
		end(x)
	}
}

// says sends text as it is.
func says(text string) func(*exchange) { return func(x *exchange) { x.raw(text) } }

// page answers 200 with a body that is no stream.
func page(contentType, body string) func(*exchange) {
	return func(x *exchange) {
		x.w.Header().Set("Content-Type", contentType)
		x.raw(body)
	}
}

// refusal is what callers see of an error answer.
func refusal(code codes.Code, reason fault.Reason, status int) failure {
	return failure{code: code, reason: reason}.with("last_sequence", afterStages).with("upstream_status", fmt.Sprint(status))
}

// triedTwice is the configuration of one upstream for every model that is tried
// twice, within a time that no slow machine uses up. Its key is in UPSTREAM_KEY.
func triedTwice(base string) string {
	return `
upstreams:
- {name: fake, type: openai, base_url: "` + base + `", api_key_env: UPSTREAM_KEY, retry: {tries: 2, within: 1m}}
routes:
- {model: "*", upstream: fake}
`
}

// refusalRows are error answers of an upstream that is tried twice.
func refusalRows() []upstreamRow {
	const (
		unavailable = codes.Unavailable
		exhausted   = codes.ResourceExhausted
		invalid     = codes.InvalidArgument
		failed      = codes.FailedPrecondition
	)
	said := complaint("some_error", "", "")
	limited := refusal(exhausted, fault.UpstreamRateLimited, 429)
	later := limited
	later.retry = time.Hour
	return []upstreamRow{
		{"408", refuses(408, said), refusal(unavailable, fault.UpstreamUnavailable, 408), "", 2},
		{"500", refuses(500, said), refusal(unavailable, fault.UpstreamUnavailable, 500), "", 2},
		{"503", refuses(503, said), refusal(unavailable, fault.UpstreamUnavailable, 503), "", 2},
		{"redirect", refuses(307, said, "Location", "/v1/"+wordSecret), refusal(unavailable, fault.UpstreamUnavailable, 307), "", 1},
		{"429", refuses(429, said), limited, "", 2},
		{"429_too_long", refuses(429, said, "Retry-After", "3600"), later, "", 1},
		{"402", refuses(402, said, "Retry-After", "1"), refusal(exhausted, fault.UpstreamQuota, 402), "", 1},
		{
			"429_quota", refuses(429, complaint("x", "insufficient_quota", ""), "Retry-After", "1"),
			refusal(exhausted, fault.UpstreamQuota, 429), "", 1,
		},
		{
			"400_context_length", refuses(400, complaint("invalid_request_error", "context_length_exceeded", "messages")),
			refusal(invalid, fault.ContextLengthExceeded, 400).with("code", "context_length_exceeded").with("param", "messages"), "", 1,
		},
		{
			"400_content_filter", refuses(400, complaint("x", "content_filter", "messages[0].content")),
			refusal(invalid, fault.ContentRejected, 400).with("code", "content_filter").with("param", "messages[0].content"), "", 1,
		},
		{
			"400", refuses(400, complaint("x", "invalid_value", "temperature")),
			refusal(invalid, fault.UpstreamRejected, 400).with("code", "invalid_value").with("param", "temperature"), "", 1,
		},
		{ // A code and a param that may be anything are not passed on.
			"400_words", refuses(400, complaint("x", "a "+wordSecret, "Messages: "+promptSecret)),
			refusal(invalid, fault.UpstreamRejected, 400), "", 1,
		},
		{"400_no_json", refuses(400, wordSecret), refusal(invalid, fault.UpstreamRejected, 400), "", 1},
		{"413", refuses(413, said), refusal(invalid, fault.ContextLengthExceeded, 413), "", 1},
		{"418", refuses(418, said), refusal(invalid, fault.UpstreamRejected, 418), "", 1},
		{"422", refuses(422, `{"detail":[{"msg":"`+wordSecret+`"}]}`), refusal(invalid, fault.UpstreamRejected, 422), "", 1},
		{"401", refuses(401, said), refusal(failed, fault.UpstreamUnauthorized, 401), "", 1},
		{"403", refuses(403, said), refusal(failed, fault.UpstreamUnauthorized, 403), "", 1},
		{"404", refuses(404, said), refusal(failed, fault.UpstreamModelNotFound, 404), "", 1},
	}
}

// brokenRows are answers with status 200 that are no whole ones. They are not tried
// again.
func brokenRows() []upstreamRow {
	broken := failure{code: codes.Unavailable, reason: fault.UpstreamBroken}
	early, late := broken.with("last_sequence", afterStages), broken.with("last_sequence", afterDeltas)
	row := func(name string, end func(*exchange)) upstreamRow {
		return upstreamRow{name, breaks(end), late, "one two", 1}
	}
	inStream := "data: " + complaint("server_error", "500", "") + "\n\n"
	return []upstreamRow{
		row("closed", func(x *exchange) { _ = x.connection().Close() }),
		// A reset may overtake what was sent before it.
		{"reset", breaks((*exchange).reset), broken, "", 1},
		row("ends_without_finish_reason", func(*exchange) {}),
		row("done_without_finish_reason", says("data: [DONE]\n\n")),
		row("error_in_stream", says(inStream)),
		row("error_in_stream_and_done", says(inStream+"data: [DONE]\n\n")),
		row("error_event", says("event: error\ndata: "+wordSecret+"\n\n")),
		row("finish_reason_error", says(`data: {"choices":[{"index":0,"delta":{},"finish_reason":"error"}]}`+"\n\ndata: [DONE]\n\n")),
		row("garbage", says("data: {"+wordSecret+"\n\n")),
		row("ends_inside_an_event", says(`data: {"choices":[{"index":0,"delta":{"content":"`+wordSecret)),
		{"html", page("text/html; charset=utf-8", "<html>"+wordSecret+"</html>"), early, "", 1},
		{"json", page("application/json", `{"choices":[{"message":{"content":"`+wordSecret+`"}}]}`), early, "", 1},
		{"nothing", page("text/event-stream", ""), early, "", 1},
		{"reset_after_headers", func(x *exchange) { x.headers(); x.reset() }, early, "", 1},
		{"no_http", func(x *exchange) {
			conn := x.connection()
			fmt.Fprintf(conn, "%s %s\r\n\r\n", wordSecret, keySecret)
			_ = conn.Close()
		}, failure{code: codes.Unavailable, reason: fault.UpstreamUnavailable}.with("last_sequence", afterStages), "", 2},
		{
			"too_large", func(x *exchange) { x.headers(); x.text(flood...) },
			failure{code: codes.ResourceExhausted, reason: fault.GenerationTooLarge},
			"", 1,
		},
	}
}

// Every way in which an upstream fails by what it answers reaches the caller as the
// contract's table says, after the text that came, and tells nothing of what the
// upstream said, of the prompt or of the key.
func TestUpstreamFailures(t *testing.T) {
	t.Parallel()
	rows := append(refusalRows(), brokenRows()...)
	behave := make(map[string]func(*exchange), len(rows))
	asked := make(map[string]int, len(rows))
	for _, r := range rows {
		behave[r.name] = r.behave
	}
	up := newUpstream(t, func(x *exchange) {
		model, _ := x.member("model").(string)
		x.upstream.mu.Lock()
		asked[model]++
		x.upstream.mu.Unlock()
		behave[model](x)
	})
	s := settings{
		env:   []string{"UPSTREAM_KEY=" + keySecret},
		file:  triedTwice(up.base()),
		flags: []string{"--max-generation-bytes=1MiB"},
	}.serve(t)
	client := s.client(t)
	for _, tt := range rows {
		t.Run(tt.name, func(t *testing.T) {
			req := ask("", promptSecret)
			req.Model = tt.name
			got := open(patient(t), client, req).all()
			want := tt.want
			if want.metadata == nil { // how much comes is not sure, but that it is the last that came
				want = want.with("last_sequence", fmt.Sprint(got.last()))
			} else if got.text() != tt.text {
				t.Errorf("text %q, want %q", got.text(), tt.text)
			}
			wantStatus(t, got.err, want)
			wantNoSecrets(t, "the trailer", fmt.Sprint(got.call.Trailer()))
			if err := got.ordered(); err != nil || fmt.Sprint(got.last()) != want.metadata["last_sequence"] {
				t.Errorf("order: %v; last sequence %d", err, got.last())
			}
			up.mu.Lock()
			defer up.mu.Unlock()
			if asked[tt.name] != tt.asked {
				t.Errorf("%d upstream requests, want %d", asked[tt.name], tt.asked)
			}
		})
	}
	page, err := s.metrics(t.Context())
	if err != nil {
		t.Error(err)
	}
	wantNoSecrets(t, "the metrics", page)
}
