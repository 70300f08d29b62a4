package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
)

// reportWidth is where answers are wrapped.
const reportWidth = 100

// writeReport writes what was seen, for people to read.
func writeReport(out io.Writer, back *backend, seen observation, findings []finding) error {
	var b strings.Builder
	fmt.Fprintf(&b, "sauron in front of %s\n", back.name)
	if back.remark != "" {
		fmt.Fprintf(&b, "(%s)\n", back.remark)
	}
	fmt.Fprintf(&b, "%d identical callers and %d different ones on %d connections, %.1f s\n\n",
		len(seen.identical), len(seen.different), connections, seen.took.Seconds())

	for _, f := range findings {
		verdict := "ok"
		if !f.kept {
			verdict = "FAIL"
		}
		fmt.Fprintf(&b, "%-4s  %-27s  %s\n", verdict, f.promise, f.saw)
	}
	_, followers := seen.leader()
	describe(&b, followers)
	for _, r := range seen.different {
		describe(&b, []*record{r})
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// describe writes the answer that readers share, with the times of the slowest
// of them.
func describe(b *strings.Builder, readers []*record) {
	if len(readers) == 0 {
		return
	}
	r := readers[0]
	fmt.Fprintf(b, "\n%q, to %d: first token %.2f s, whole %.2f s, %d tokens\n", r.question, len(readers),
		slowest(readers, func(r *record) time.Duration { return r.firstToken }).Seconds(),
		slowest(readers, func(r *record) time.Duration { return r.whole }).Seconds(),
		r.usage.GetCompletionTokens())
	for _, line := range wrap(printable(r.text), reportWidth-4) {
		fmt.Fprintf(b, "    %s\n", line)
	}
}

func slowest(readers []*record, of func(*record) time.Duration) time.Duration {
	return of(slices.MaxFunc(readers, func(a, b *record) int { return cmp.Compare(of(a), of(b)) }))
}

// printable replaces what a terminal would not show, as random weights produce.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) || unicode.IsSpace(r) {
			return r
		}
		return '·'
	}, text)
}

// wrap breaks text at white space into lines of at most width characters, longer
// words excepted.
func wrap(text string, width int) []string {
	var lines []string
	length := 0
	for word := range strings.FieldsSeq(text) {
		size := len([]rune(word))
		if len(lines) == 0 || length+1+size > width {
			lines = append(lines, word)
			length = size
			continue
		}
		lines[len(lines)-1] += " " + word
		length += 1 + size
	}
	return lines
}
