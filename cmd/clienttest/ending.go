package main

import (
	"fmt"
	"regexp"
	"strings"
)

// Exit codes of the clients.
const (
	exitOK        = 0
	exitFailed    = 1
	exitCancelled = 130
)

// An ending is how a client ended, and all that it wrote.
type ending struct {
	code           int
	stdout, stderr string
}

// ending waits for the end of a client's process.
func (p *process) ending() ending {
	code := p.State().ExitCode()
	return ending{code, p.stdout.String(), p.stderr.String()}
}

// abandon stops a client because of err, to which it adds the client's last words.
func (p *process) abandon(err error) error {
	p.Stop()
	return p.ending().wrong("%v", err)
}

// wrong returns an error with the client's last words.
func (e ending) wrong(format string, args ...any) error {
	lines := strings.Split(strings.TrimSpace(e.stderr), "\n")
	return fmt.Errorf(format+"\n%s", append(args, strings.Join(lines[max(0, len(lines)-5):], "\n"))...)
}

// want is nil if the client ended with code and wrote text to standard output.
func (e ending) want(code int, text string) error {
	switch {
	case e.code != code:
		return e.wrong("exit %d, want %d", e.code, code)
	case e.stdout != text:
		return e.wrong("%s", difference(e.stdout, text))
	}
	return nil
}

// wantWords is nil if the client wrote each of the words to standard error.
func (e ending) wantWords(words ...string) error {
	for _, w := range words {
		// Not as a part of another: MODEL_NOT_FOUND is not NOT_FOUND.
		if !regexp.MustCompile(`(^|\W)` + regexp.QuoteMeta(w) + `($|\W)`).MatchString(e.stderr) {
			return e.wrong("no %s on standard error", w)
		}
	}
	return nil
}

// difference describes where two texts that are not equal begin to differ.
func difference(got, want string) string {
	i := 0
	for i < min(len(got), len(want)) && got[i] == want[i] {
		i++
	}
	about := func(text string) string { return text[max(0, i-10):min(len(text), i+30)] }
	return fmt.Sprintf("%d bytes, want %d; they differ from byte %d on: %q, want %q",
		len(got), len(want), i, about(got), about(want))
}
