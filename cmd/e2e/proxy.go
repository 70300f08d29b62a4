package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"
)

// A witness is a reverse proxy before the backend that notes every chat
// completion which passes. It is safe for concurrent use.
type witness struct {
	url    *url.URL // where it listens
	server *http.Server

	mu   sync.Mutex  // guards the fields below and what seen points to
	seen []*exchange // in the order of arrival
}

// An exchange is one chat completion that passed.
type exchange struct {
	body     []byte // of the request
	question string // the last message of the request
	answer   answer // as much as has passed
	cut      bool   // the reader left before the end
}

// newWitness starts a proxy before the server at target. The caller must close
// it.
func newWitness(ctx context.Context, target *url.URL) (*witness, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w := &witness{url: &url.URL{Scheme: "http", Host: l.Addr().String()}}
	w.server = &http.Server{Handler: w.proxy(target), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = w.server.Serve(l) }() // until close
	return w, nil
}

func (w *witness) close() {
	_ = w.server.Close() // nothing is left to lose
}

// exchanges returns what has passed until now.
func (w *witness) exchanges() []exchange {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := make([]exchange, len(w.seen))
	for i, e := range w.seen {
		all[i] = *e
	}
	return all
}

func (w *witness) proxy(target *url.URL) http.Handler {
	forward := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Header.Del("Accept-Encoding") // a compressed answer could not be read
		},
		FlushInterval:  -1,
		ModifyResponse: w.watch,
		// Whatever fails here, sauron or the backend says so too.
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && r.URL.Path == chatPath {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				http.Error(rw, "unreadable body", http.StatusBadRequest)
				return
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			r = r.WithContext(context.WithValue(r.Context(), exchangeKey{}, w.open(body)))
		}
		forward.ServeHTTP(rw, r)
	})
}

type exchangeKey struct{}

// open notes a request. It counts from here on, whatever the answer will be.
func (w *witness) open(body []byte) *exchange {
	e := &exchange{body: body, question: lastMessage(body)}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, e)
	return e
}

// watch lets the answer to a noted request pass through the note.
func (w *witness) watch(resp *http.Response) error {
	if e, ok := resp.Request.Context().Value(exchangeKey{}).(*exchange); ok {
		resp.Body = &watchedBody{ReadCloser: resp.Body, witness: w, exchange: e}
	}
	return nil
}

// A watchedBody writes what is read from it to its exchange.
type watchedBody struct {
	io.ReadCloser

	witness  *witness
	exchange *exchange
	ended    bool
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.ended = b.ended || err == io.EOF
	b.witness.mu.Lock()
	defer b.witness.mu.Unlock()
	_, _ = b.exchange.answer.Write(p[:n])
	return n, err
}

func (b *watchedBody) Close() error {
	b.witness.mu.Lock()
	b.exchange.cut = !b.ended
	b.witness.mu.Unlock()
	return b.ReadCloser.Close()
}

// lastMessage returns the content of a request's last message, or nothing.
func lastMessage(body []byte) string {
	var request struct {
		Messages []struct {
			Content string `json:"content"`
		} `json:"messages"`
	}
	if json.Unmarshal(body, &request) != nil || len(request.Messages) == 0 {
		return ""
	}
	return request.Messages[len(request.Messages)-1].Content
}
