package systemtest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// An upstream is an OpenAI-compatible server that behaves as a test wants.
type upstream struct {
	t      *testing.T
	server *httptest.Server

	// Set at construction, then read-only.
	behave  func(x *exchange) // answers a request; returns when the answer ends
	arrived chan *exchange    // to next
	closing chan struct{}     // closed at the test's end

	mu        sync.Mutex // guards the fields below
	exchanges []*exchange
	open      int // requests that are not answered to their end
	peak      int // the most that were open at a time
}

// An exchange is one request and the answer to it.
type exchange struct {
	upstream *upstream
	w        http.ResponseWriter
	ctx      context.Context // ends when the client has gone
	header   http.Header
	host     string
	body     []byte

	done chan struct{} // closed by the test: the answer is as it should be
	once sync.Once

	gone   chan struct{} // closed when the client ended the request before we did
	goneAt time.Time     // set when gone is closed
}

// newUpstream returns an upstream that answers each request by behave.
func newUpstream(t *testing.T, behave func(x *exchange)) *upstream {
	t.Helper()
	u := &upstream{t: t, behave: behave, arrived: make(chan *exchange), closing: make(chan struct{})}
	u.server = httptest.NewServer(u)
	t.Cleanup(func() {
		close(u.closing)
		u.server.CloseClientConnections()
		u.server.Close()
	})
	return u
}

// steered returns an upstream whose requests the test gets from next and answers
// itself.
func steered(t *testing.T) *upstream {
	t.Helper()
	return newUpstream(t, (*exchange).steered)
}

// base returns what the configuration calls the base URL.
func (u *upstream) base() string { return u.server.URL + "/v1" }

// next returns the next request. The test must answer it, to its end by end.
func (u *upstream) next(t *testing.T) *exchange {
	t.Helper()
	return receive(t, u.arrived, "request at the upstream")
}

// count returns how many requests came, ever.
func (u *upstream) count() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.exchanges)
}

// most returns how many requests were open at a time, at most.
func (u *upstream) most() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.peak
}

// ServeHTTP implements http.Handler.
func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || r.Method != http.MethodPost || r.URL.Path != "/v1/chat/completions" {
		u.t.Errorf("request to the upstream: %s %s, %v", r.Method, r.URL, err)
		http.NotFound(w, r)
		return
	}
	x := &exchange{
		upstream: u, w: w, ctx: r.Context(), header: r.Header, host: r.Host, body: body,
		done: make(chan struct{}), gone: make(chan struct{}),
	}
	u.mu.Lock()
	u.exchanges = append(u.exchanges, x)
	u.open++
	u.peak = max(u.peak, u.open)
	u.mu.Unlock()
	leave := context.AfterFunc(r.Context(), func() {
		x.goneAt = time.Now()
		close(x.gone)
	})
	defer leave() // what ends by our own return is not the client's doing
	defer x.end()
	u.behave(x)
}

// end ends the answer. After it the test must not write any more.
func (x *exchange) end() {
	x.once.Do(func() {
		x.close()
		close(x.done)
	})
}

// close counts down what is open.
func (x *exchange) close() {
	x.upstream.mu.Lock()
	defer x.upstream.mu.Unlock()
	x.upstream.open--
}

// steered leaves the answer to the test.
func (x *exchange) steered() {
	select {
	case x.upstream.arrived <- x:
	case <-x.upstream.closing:
		return
	}
	// Not the client's leaving: until the test says so, it may write.
	select {
	case <-x.done:
	case <-x.upstream.closing:
	}
}

// wait waits for c, or until the client has gone. It reports whether c came.
func (x *exchange) wait(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	case <-x.ctx.Done():
		return false
	}
}

// member returns a member of the request's body, decoded.
func (x *exchange) member(name string) any {
	var all map[string]any
	if err := json.Unmarshal(x.body, &all); err != nil {
		x.upstream.t.Errorf("the request's body: %v", err)
	}
	return all[name]
}

// content returns the text of the request's last message.
func (x *exchange) content() string {
	var body struct {
		Messages []struct {
			Content string `json:"content"`
		} `json:"messages"`
	}
	if err := json.Unmarshal(x.body, &body); err != nil || len(body.Messages) == 0 {
		x.upstream.t.Errorf("the request's body: %v", err)
		return ""
	}
	return body.Messages[len(body.Messages)-1].Content
}

// headers sends the headers of a stream.
func (x *exchange) headers() {
	x.w.Header().Set("Content-Type", "text/event-stream")
	x.w.WriteHeader(http.StatusOK)
	x.flush()
}

// raw sends bytes as they are.
func (x *exchange) raw(text string) {
	_, _ = io.WriteString(x.w, text) // the client may have gone, as some tests want it
	x.flush()
}

func (x *exchange) flush() {
	if f, ok := x.w.(http.Flusher); ok {
		f.Flush()
	}
}

// chunk sends one event with choice 0 as given, a JSON object.
func (x *exchange) chunk(choice string) {
	x.raw(fmt.Sprintf(`data: {"id":"r-1","object":"chat.completion.chunk","model":"up-1","choices":[%s]}`+"\n\n", choice))
}

// text sends deltas.
func (x *exchange) text(deltas ...string) {
	for _, d := range deltas {
		text, _ := json.Marshal(d) // a string always can be
		x.chunk(`{"index":0,"delta":{"content":` + string(text) + `}}`)
	}
}

// usage is the token counts that finish sends.
const usage = `{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12}`

// finish sends the rest of a whole answer and ends it.
func (x *exchange) finish() {
	x.once.Do(func() {
		x.close() // first: the service may start another before this returns
		x.raw(`data: {"id":"r-1","model":"up-1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\n" +
			`data: {"id":"r-1","model":"up-1","choices":[],"usage":` + usage + "}\n\ndata: [DONE]\n\n")
		close(x.done)
	})
}

// answer sends a whole answer.
func (x *exchange) answer(deltas ...string) {
	x.headers()
	x.text(deltas...)
	x.finish()
}

// refuse sends an error answer.
func (x *exchange) refuse(status int, body string) {
	x.w.Header().Set("Content-Type", "application/json")
	x.w.WriteHeader(status)
	x.raw(body)
}

// connection takes the connection over, to break it. Nothing of HTTP is sent on it
// from then on.
func (x *exchange) connection() net.Conn {
	hijacker, ok := x.w.(http.Hijacker)
	if !ok {
		x.upstream.t.Error("the connection can't be taken over")
		return nil
	}
	conn, _, err := hijacker.Hijack()
	if err != nil {
		x.upstream.t.Errorf("hijack: %v", err)
	}
	return conn
}

// reset breaks the connection at once, in the middle of whatever was sent.
func (x *exchange) reset() {
	conn := x.connection()
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
