package openai_test

import (
	"bufio"
	"bytes"
	"maps"
	"net/http"
	"net/textproto"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Answers of real servers and mocks, as curl printed them, and hand-written odd
// bodies: each yields exactly the lines of the .want file beside it. Those were not
// recorded from this package but derived from the bodies by other means and read by a
// person. How the bytes come, in which pieces and whether the connection is reset at
// their end, changes nothing.
func TestCaptures(t *testing.T) {
	for _, file := range captures(t) {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(strings.TrimSuffix(file, filepath.Ext(file)) + ".want")
		if err != nil {
			t.Errorf("a capture without an expectation: %v", err)
			continue
		}
		answer := parseCapture(t, file, raw)
		for name, how := range map[string]struct {
			piece int
			reset bool
		}{
			"whole": {piece: 1 << 20}, "pieces": {piece: 7}, "whole_reset": {piece: 1 << 20, reset: true}, "pieces_reset": {piece: 11, reset: true},
		} {
			t.Run(filepath.ToSlash(file)+"/"+name, func(t *testing.T) {
				t.Parallel()
				got := ask(t, serve(t, answer.handler(how.piece, how.reset)))
				check(t, got, strings.Split(strings.TrimSpace(string(want)), "\n")...)
			})
		}
	}
}

// Every expectation belongs to a capture, so that none is lost unseen.
func TestNoExpectationIsLeftOver(t *testing.T) {
	n := 0
	for _, pattern := range []string{"testdata/captures/*/*.want", "testdata/quirks/*.want"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		n += len(files)
	}
	if got := len(captures(t)); got != n || n == 0 {
		t.Errorf("%d captures, %d expectations", got, n)
	}
}

// captures returns the names of all captured answers.
func captures(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"testdata/captures/*/*.txt", "testdata/quirks/*.sse"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, files...)
	}
	return all
}

// A captured is an answer to be given again.
type captured struct {
	status int
	header http.Header
	body   []byte
}

// parseCapture reads the output of `curl -i`, or a bare body.
func parseCapture(t *testing.T, name string, raw []byte) captured {
	t.Helper()
	if filepath.Ext(name) == ".sse" {
		return captured{status: http.StatusOK, header: http.Header{"Content-Type": {"text/event-stream"}}, body: raw}
	}
	raw, _, _ = bytes.Cut(raw, []byte("\n#ttfb=")) // curl was told to add it
	head, body, ok := bytes.Cut(raw, []byte("\r\n\r\n"))
	if !ok {
		t.Fatalf("%s has no head", name)
	}
	r := textproto.NewReader(bufio.NewReader(bytes.NewReader(append(head, "\r\n\r\n"...))))
	line, err := r.ReadLine()
	if err != nil {
		t.Fatal(err)
	}
	status, err := strconv.Atoi(strings.Fields(line)[1])
	if err != nil {
		t.Fatal(err)
	}
	header, err := r.ReadMIMEHeader()
	if err != nil {
		t.Fatal(err)
	}
	for _, hop := range []string{"Connection", "Keep-Alive", "Transfer-Encoding", "Content-Length"} {
		header.Del(hop) // curl has undone the transfer; the test's server makes its own
	}
	return captured{status: status, header: http.Header(header), body: body}
}

// handler gives the answer in pieces of that size, and resets the connection after it.
func (c captured) handler(piece int, reset bool) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = nil // no guess if the captured server named none
		maps.Copy(w.Header(), c.header)
		w.WriteHeader(c.status)
		for body := c.body; len(body) > 0; {
			n := min(piece, len(body))
			write(w, string(body[:n]))
			body = body[n:]
		}
		if reset {
			panic(http.ErrAbortHandler)
		}
	}
}
