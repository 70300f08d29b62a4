package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestReport is the whole of a report.
func TestReport(t *testing.T) {
	var out strings.Builder
	r := newReport(&out)
	r.trial("Python", "whole answer", nil)
	r.trial("Python", "full queue", ending{stderr: "its last words\n"}.wrong("exit %d, want %d", 1, 0))
	r.unprepared("Rust", errors.New("cargo: exit status 1"))
	r.unprepared("TypeScript", missing("no node\nin %s", "PATH"))
	if err := r.end(); err != nil {
		t.Fatal(err)
	}
	want := `CLIENT      SCENARIO                           RESULT
Python      whole answer                       ok
Python      full queue                         FAILED: exit 1, want 0
    its last words
Rust        build                              FAILED: cargo: exit status 1

skipped: TypeScript: no node in PATH
1 passed, 2 failed, 1 skipped
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if r.failed != 2 {
		t.Errorf("%d failed, want 2", r.failed)
	}
}

// TestEnding verifies what is taken for a right ending.
func TestEnding(t *testing.T) {
	e := ending{code: 1, stdout: "Simulator: one two", stderr: "MODEL_NOT_FOUND: no route\nfield request_id."}
	if err := e.want(1, "Simulator: one two"); err != nil {
		t.Error(err)
	}
	for _, tt := range []struct {
		code       int
		text, want string
	}{
		{0, "Simulator: one two", "exit 1, want 0\nMODEL_NOT_FOUND: no route\nfield request_id."},
		{1, "Simulator: one too", `18 bytes, want 18; they differ from byte 16 on: "tor: one two", want "tor: one too"`},
		{1, "Simulator: one two three", "18 bytes, want 24"},
		{1, "", "18 bytes, want 0; they differ from byte 0 on"},
	} {
		if err := e.want(tt.code, tt.text); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("want(%d, %q): %v", tt.code, tt.text, err)
		}
	}
	if err := e.wantWords("MODEL_NOT_FOUND", "request_id"); err != nil {
		t.Error(err)
	}
	for _, word := range []string{"NOT_FOUND", "request"} {
		if e.wantWords(word) == nil {
			t.Errorf("%s was found", word)
		}
	}
}

// TestMetric verifies what is added up.
func TestMetric(t *testing.T) {
	page := `# HELP sauron_requests_total Streams.
sauron_requests_total{outcome="completed",route="*"} 7
sauron_requests_total{outcome="refused",route="*"} 2
sauron_requests_total{outcome="refused",route="none"} 1
sauron_requests_total_other{outcome="refused"} 50
sauron_upstream_streams_total 3
`
	for m, want := range map[metric]int{
		refused:                       3,
		cancelled:                     0,
		upstreams:                     3,
		{"sauron_requests_total", ""}: 10,
	} {
		if got := m.in(page); got != want {
			t.Errorf("%v is %d, want %d", m, got, want)
		}
	}
}
