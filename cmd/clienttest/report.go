package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// A report is the table of trials, for people to read. Lines are written as they come.
type report struct {
	out            io.Writer
	passed, failed int
	skips          []string
	err            error // the first of writing
}

func newReport(out io.Writer) *report {
	r := &report{out: out}
	r.row("CLIENT", "SCENARIO", "RESULT")
	return r
}

func (r *report) row(client, scenario, result string) {
	r.printf("%-11s %-34s %s\n", client, scenario, result)
}

// trial reports one trial; err says what was not as it should be.
func (r *report) trial(client, scenario string, err error) {
	if err == nil {
		r.passed++
		r.row(client, scenario, "ok")
		return
	}
	r.failed++
	first, more, _ := strings.Cut(err.Error(), "\n")
	r.row(client, scenario, "FAILED: "+first)
	for line := range strings.Lines(more) {
		r.printf("    %s\n", strings.TrimRight(line, "\n"))
	}
}

// unprepared reports a client that could not be made ready. If only its toolchain is
// missing, it is skipped.
func (r *report) unprepared(client string, err error) {
	if reason, ok := errors.AsType[*missingError](err); ok {
		r.skips = append(r.skips, client+": "+strings.Join(strings.Fields(reason.Error()), " "))
		return
	}
	r.trial(client, "build", err)
}

// end writes what was skipped, and the sums.
func (r *report) end() error {
	r.printf("\n")
	for _, s := range r.skips {
		r.printf("skipped: %s\n", s)
	}
	r.printf("%d passed, %d failed, %d skipped\n", r.passed, r.failed, len(r.skips))
	return r.err
}

func (r *report) printf(format string, args ...any) {
	if _, err := fmt.Fprintf(r.out, format, args...); r.err == nil {
		r.err = err
	}
}
