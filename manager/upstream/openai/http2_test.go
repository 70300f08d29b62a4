package openai_test

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"slices"
	"testing"
	"time"

	"github.com/sauron-stream/sauron/manager/upstream/openai"
)

// Hosted servers speak HTTP/2, where streams share a connection: an answer, one that
// breaks off, and one whose context ends, which must not harm the connection.
func TestHTTP2(t *testing.T) {
	ended := make(chan struct{})
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			t.Errorf("asked by %s", r.Proto)
		}
		_, _ = io.Copy(io.Discard, r.Body)
		write(w, hello)
		switch r.Header.Get("X-Test") {
		case "abort":
			panic(http.ErrAbortHandler)
		case "silence":
			<-r.Context().Done()
			close(ended)
		default:
			write(w, stop, done)
		}
	}))
	s.EnableHTTP2 = true
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	var reused []bool
	traced := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		GotConn: func(c httptrace.GotConnInfo) { reused = append(reused, c.Reused) },
	})
	for _, test := range []struct {
		name string
		want []string
	}{
		{"answer", []string{"alive", `text "Hello"`, "alive", finished}},
		{"abort", []string{"alive", `text "Hello"`, broke}},
		{"answer", []string{"alive", `text "Hello"`, "alive", finished}},
		{"silence", []string{"alive", `text "Hello"`, "error " + errNobody.Error()}},
		{"answer", []string{"alive", `text "Hello"`, "alive", finished}},
	} {
		cfg := config(s.URL)
		cfg.Headers = map[string]string{"X-Test": test.name}
		u, err := openai.NewWithTransport(cfg, s.Client().Transport)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancelCause(traced)
		var lines []string
		for e, err := range u.Streamer(request(), "m").Stream(ctx) {
			if err != nil {
				checkError(t, err)
				lines = append(lines, errorLine(err))
				continue
			}
			lines = append(lines, eventLine(e))
			if test.name == "silence" && len(lines) == 2 {
				cancel(errNobody)
			}
		}
		cancel(nil)
		check(t, lines, test.want...)
	}
	if want := []bool{false, true, true, true, true}; !slices.Equal(reused, want) {
		t.Errorf("connections used again: %v, want %v", reused, want)
	}
	select {
	case <-ended:
	case <-time.After(mustHappen):
		t.Error("the upstream's request did not end")
	}
}
