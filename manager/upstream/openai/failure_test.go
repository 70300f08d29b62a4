package openai_test

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/sauron-stream/sauron/manager/fault"
	"github.com/sauron-stream/sauron/manager/upstream/openai"
)

// What each status means, with the bodies that servers are known to send. Whatever of
// a body holds the secret must not come out of the package.
func TestRefusals(t *testing.T) {
	const quoting = `"message":"you said s3cr3t"`
	for name, test := range map[string]struct {
		status int
		header map[string]string
		body   string
		want   string
	}{
		"400":              {400, nil, `{"error":{` + quoting + `,"type":"invalid_request_error","param":"messages.[0].content","code":"bad_thing"}}`, "fault UPSTREAM_REJECTED code=bad_thing param=messages.[0].content upstream_status=400"},
		"400_number":       {400, nil, `{"error":{"code":400,"param":null}}`, "fault UPSTREAM_REJECTED code=400 upstream_status=400"},
		"400_odd_names":    {400, nil, `{"error":{"code":"s3cr3t word","param":"Messages"}}`, "fault UPSTREAM_REJECTED upstream_status=400"},
		"400_long_names":   {400, nil, `{"error":{"code":"` + strings.Repeat("x", 65) + `","param":"` + strings.Repeat("y", 64) + `"}}`, "fault UPSTREAM_REJECTED param=" + strings.Repeat("y", 64) + " upstream_status=400"},
		"400_wrong_types":  {400, nil, `{"error":{"code":{"s3cr3t":1},"param":["s3cr3t"],"message":7}}`, "fault UPSTREAM_REJECTED upstream_status=400"},
		"400_no_body":      {400, nil, ``, "fault UPSTREAM_REJECTED upstream_status=400"},
		"400_html":         {400, nil, `<html>s3cr3t</html>`, "fault UPSTREAM_REJECTED upstream_status=400"},
		"400_text_error":   {400, nil, `{"error":"s3cr3t"}`, "fault UPSTREAM_REJECTED upstream_status=400"},
		"400_old_vllm":     {400, nil, `{"object":"error",` + quoting + `,"type":"BadRequestError","param":"top_p","code":400}`, "fault UPSTREAM_REJECTED code=400 param=top_p upstream_status=400"},
		"422_fastapi":      {422, nil, `{"detail":[{"loc":["body","s3cr3t"],"msg":"field required"}]}`, "fault UPSTREAM_REJECTED upstream_status=422"},
		"409":              {409, nil, `{}`, "fault UPSTREAM_REJECTED upstream_status=409"},
		"413":              {413, nil, `<html>`, "fault CONTEXT_LENGTH_EXCEEDED upstream_status=413"},
		"length_code":      {400, nil, `{"error":{"code":"context_length_exceeded","param":"messages"}}`, "fault CONTEXT_LENGTH_EXCEEDED code=context_length_exceeded param=messages upstream_status=400"},
		"length_llamacpp":  {400, nil, `{"error":{"code":400,"message":"the request exceeds the available context size, try increasing it","type":"exceed_context_size_error"}}`, "fault CONTEXT_LENGTH_EXCEEDED code=400 upstream_status=400"},
		"length_wording":   {400, nil, `{"error":{"message":"This model's Maximum Context Length is 4 tokens. s3cr3t"}}`, "fault CONTEXT_LENGTH_EXCEEDED upstream_status=400"},
		"length_text":      {400, nil, `{"error":"input exceeds the context window"}`, "fault CONTEXT_LENGTH_EXCEEDED upstream_status=400"},
		"length_detail":    {422, nil, `{"detail":"prompt is too long"}`, "fault CONTEXT_LENGTH_EXCEEDED upstream_status=422"},
		"content_filter":   {400, nil, `{"error":{"code":"content_filter","param":"prompt"}}`, "fault CONTENT_REJECTED code=content_filter param=prompt upstream_status=400"},
		"content_policy":   {400, nil, `{"error":{"type":"content_policy_violation"}}`, "fault CONTENT_REJECTED upstream_status=400"},
		"content_moderate": {422, nil, `{"error":{"code":"moderation_blocked"}}`, "fault CONTENT_REJECTED code=moderation_blocked upstream_status=422"},
		"content_wording":  {400, nil, `{"error":{"message":"triggering Azure OpenAI's content management policy"}}`, "fault CONTENT_REJECTED upstream_status=400"},
		"401":              {401, nil, `{"error":{` + quoting + `}}`, "fault UPSTREAM_UNAUTHORIZED upstream_status=401"},
		"403":              {403, nil, `{}`, "fault UPSTREAM_UNAUTHORIZED upstream_status=403"},
		"404":              {404, nil, `{"error":{` + quoting + `}}`, "fault UPSTREAM_MODEL_NOT_FOUND upstream_status=404"},
		"402":              {402, map[string]string{"Retry-After": "9"}, `{}`, "fault UPSTREAM_QUOTA upstream_status=402"},
		"429_quota":        {429, map[string]string{"Retry-After": "9"}, `{"error":{"code":"insufficient_quota"}}`, "fault UPSTREAM_QUOTA upstream_status=429"},
		"429_quota_type":   {429, nil, `{"error":{"type":"insufficient_quota","code":null}}`, "fault UPSTREAM_QUOTA upstream_status=429"},
		"403_quota":        {403, nil, `{"error":{"code":"Billing_not_active"}}`, "fault UPSTREAM_QUOTA upstream_status=403"},
		"429":              {429, nil, `{"error":{` + quoting + `}}`, "fault UPSTREAM_RATE_LIMITED upstream_status=429"},
		"429_seconds":      {429, map[string]string{"Retry-After": "7"}, ``, "fault UPSTREAM_RATE_LIMITED upstream_status=429 retry_after=7s"},
		"429_milliseconds": {429, map[string]string{"Retry-After": "7", "Retry-After-Ms": "6500"}, ``, "fault UPSTREAM_RATE_LIMITED upstream_status=429 retry_after=6.5s"},
		"429_no_number":    {429, map[string]string{"Retry-After": "NaN"}, ``, "fault UPSTREAM_RATE_LIMITED upstream_status=429"},
		"408":              {408, nil, ``, "fault UPSTREAM_UNAVAILABLE upstream_status=408"},
		"500":              {500, nil, `{"error":{"code":"insufficient_quota"}}`, "fault UPSTREAM_UNAVAILABLE upstream_status=500"},
		"503":              {503, map[string]string{"Retry-After": "7"}, ``, "fault UPSTREAM_UNAVAILABLE upstream_status=503"},
		"529":              {529, nil, `s3cr3t`, "fault UPSTREAM_UNAVAILABLE upstream_status=529"},
		"304":              {304, nil, ``, "fault UPSTREAM_UNAVAILABLE upstream_status=304"},
		"500_endless_body": {500, nil, strings.Repeat("s3cr3t", 1<<20), "fault UPSTREAM_UNAVAILABLE upstream_status=500"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, ask(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
				for name, value := range test.header {
					w.Header().Set(name, value)
				}
				w.WriteHeader(test.status)
				write(w, test.body)
			})), test.want)
		})
	}
}

// The log is told status, type and code, if they look like names.
func TestRefusalsAreNamed(t *testing.T) {
	for body, want := range map[string]string{
		`{"error":{"message":"s3cr3t","type":"invalid_request_error","code":"bad"}}`:         "UPSTREAM_REJECTED: openai: status 400, type invalid_request_error, code bad",
		`{"error":{"type":"s3cr3t and more","code":"` + strings.Repeat("s3cr3t", 20) + `"}}`: "UPSTREAM_REJECTED: openai: status 400",
	} {
		url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			write(w, body)
		})
		for _, err := range newUpstream(t, config(url)).Streamer(request(), "m").Stream(t.Context()) {
			if err == nil || err.Error() != want {
				t.Errorf("got %v, want %s", err, want)
			}
		}
	}
}

// A redirect is not followed: it would carry the key and the prompt elsewhere.
func TestRedirectsAreNotFollowed(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		elsewhere := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") })
		url := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere, status) })
		cfg := config(url)
		cfg.Tries, cfg.Within = 3, mustHappen
		check(t, collect(t.Context(), t, newUpstream(t, cfg).Streamer(request(), "m")),
			fmt.Sprintf("fault UPSTREAM_UNAVAILABLE upstream_status=%d", status))
	}
}

// Which content types of a 200 may be a stream: no page and no JSON text, even if what
// they hold would do.
func TestContentTypes(t *testing.T) {
	whole := []string{"alive", `text "Hello"`, "alive", finished}
	for contentType, want := range map[string][]string{
		"text/event-stream":                 whole,
		"text/event-stream; charset=utf-8":  whole,
		"Text/Event-Stream":                 whole,
		"":                                  whole,
		"text/plain":                        whole,
		"application/octet-stream":          whole,
		"text/html":                         {broke},
		"Text/HTML; charset=utf-8":          {broke},
		"application/json":                  {broke},
		"application/json; charset=utf-8":   {broke},
		"application/problem+json":          {broke},
		" application/json ;charset=latin1": {broke},
	} {
		t.Run(strings.ReplaceAll(contentType, " ", "_"), func(t *testing.T) {
			t.Parallel()
			check(t, ask(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["Content-Type"] = nil
				if contentType != "" {
					w.Header().Set("Content-Type", contentType)
				}
				write(w, hello, stop, done)
			})), want...)
		})
	}
}

// Any status of the 200s may carry a stream; one without a body carries none.
func TestOtherSuccesses(t *testing.T) {
	check(t, ask(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(http.StatusCreated)
		write(w, hello, stop, done)
	})), "alive", `text "Hello"`, "alive", finished)
	check(t, ask(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })), "alive", broke)
}

// Servers that do not speak HTTP, or stop in the middle of it. Each answers a request
// that it has read; whatever comes before the headers' end is no answer, whatever comes
// after it is a broken one.
func TestBrokenConnections(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
	chunked := func(s string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(s), s) }
	for name, test := range map[string]struct {
		answer string
		reset  bool
		want   []string
		err    string
	}{
		"closed_at_once":         {"", false, []string{"fault UPSTREAM_UNAVAILABLE"}, "the connection ended: EOF"},
		"reset_before_headers":   {"", true, []string{"fault UPSTREAM_UNAVAILABLE"}, "connection reset by peer"},
		"closed_in_the_headers":  {"HTTP/1.1 200 OK\r\n", false, []string{"fault UPSTREAM_UNAVAILABLE"}, "the connection ended: unexpected EOF"},
		"no_http":                {"s3cr3t s3cr3t\r\n\r\n", false, []string{"fault UPSTREAM_UNAVAILABLE"}, "the HTTP exchange failed"},
		"broken_header":          {"HTTP/1.1 200 OK\r\ns3cr3t\r\n\r\n", false, []string{"fault UPSTREAM_UNAVAILABLE"}, "the HTTP exchange failed"},
		"closed_after_headers":   {head, false, []string{"alive", broke}, "the connection ended: unexpected EOF"},
		"reset_after_headers":    {head, true, []string{"alive", broke}, "connection reset by peer"},
		"closed_mid_stream":      {head + chunked(hello), false, []string{"alive", `text "Hello"`, broke}, "the connection ended: unexpected EOF"},
		"closed_mid_chunk":       {head + "fff\r\n" + hello, false, []string{"alive", `text "Hello"`, broke}, "the connection ended: unexpected EOF"},
		"broken_chunk_size":      {head + chunked(hello) + "s3cr3t\r\n", false, []string{"alive", `text "Hello"`, broke}, "the HTTP exchange failed"},
		"broken_chunk_end":       {head + "1\r\n" + hello, false, []string{"alive", broke}, "the HTTP exchange failed"},
		"short_content_length":   {"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n" + hello, false, []string{"alive", `text "Hello"`, broke}, "the connection ended: unexpected EOF"},
		"closed_after_finish":    {head + chunked(hello) + chunked(stop), false, []string{"alive", `text "Hello"`, "alive", finished}, ""},
		"broken_after_finish":    {head + chunked(hello) + chunked(stop) + "s3cr3t\r\n", false, []string{"alive", `text "Hello"`, "alive", finished}, ""},
		"http_1_0_without_limit": {"HTTP/1.0 200 OK\r\n\r\n" + hello + stop, false, []string{"alive", `text "Hello"`, "alive", finished}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := serve(t, raw(t, test.answer, test.reset))
			check(t, ask(t, url), test.want...)
			for _, err := range newUpstream(t, config(url)).Streamer(request(), "m").Stream(t.Context()) {
				if err != nil && !strings.HasSuffix(err.Error(), test.err) {
					t.Errorf("error %q, want one that ends in %q", err, test.err)
				}
			}
		})
	}
}

// A reset after the finish reason is as good as an end. The server waits until the
// client has it all: a reset may overtake what was sent.
func TestResetAfterFinish(t *testing.T) {
	got := make(chan struct{})
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		write(w, hello, stop)
		<-got
		reset(t, w)
	})
	s := newUpstream(t, config(url)).Streamer(request(), "m")
	var lines []string
	for e, err := range s.Stream(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if lines = append(lines, eventLine(e)); len(lines) == 3 {
			close(got)
		}
	}
	check(t, lines, "alive", `text "Hello"`, "alive", finished)
}

// Nobody listens.
func TestUnreachable(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	check(t, ask(t, s.URL), "fault UPSTREAM_UNAVAILABLE")
	for _, err := range newUpstream(t, config(s.URL+"/?key="+secret)).Streamer(request(), "m").Stream(t.Context()) {
		checkError(t, err)
		if op, ok := errors.AsType[*net.OpError](err); !ok || op.Op != "dial" {
			t.Errorf("%v does not say what failed", err)
		}
	}
}

// A transport that gives up in its own time, as it does with a handshake.
func TestTransportTimeout(t *testing.T) {
	u, err := openai.NewWithTransport(config("http://up"), roundTrip(func(*http.Request) (*http.Response, error) {
		return nil, os.ErrDeadlineExceeded
	}))
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range u.Streamer(request(), "m").Stream(t.Context()) {
		if want := "UPSTREAM_UNAVAILABLE: openai: timeout"; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// A server whose certificate nobody vouches for is not asked.
func TestUntrustedCertificate(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was asked") }))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	for _, err := range newUpstream(t, config(s.URL)).Streamer(request(), "m").Stream(t.Context()) {
		f, ok := errors.AsType[*fault.Error](err)
		if !ok || f.Reason != fault.UpstreamUnavailable || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("got %v", err)
		}
	}
}

// raw answers with those bytes on the connection, whatever they are, once the request
// was read, and closes it.
func raw(t *testing.T, answer string, andReset bool) http.HandlerFunc {
	t.Helper()
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(conn, answer)
		if andReset {
			_ = conn.(*net.TCPConn).SetLinger(0)
		}
		_ = conn.Close()
	}
}

// reset resets the connection of a running answer.
func reset(t *testing.T, w http.ResponseWriter) {
	t.Helper()
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
}
