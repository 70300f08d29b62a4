package main

import (
	"io"
	"strings"
)

// A lineWriter knows whether its last line is open. It is used by one goroutine.
type lineWriter struct {
	w    io.Writer
	open bool
}

func (l *lineWriter) write(text string) error {
	if text == "" {
		return nil
	}
	l.open = !strings.HasSuffix(text, "\n")
	_, err := io.WriteString(l.w, text)
	return err
}

// endLine ends a line that is open.
func (l *lineWriter) endLine() error {
	if !l.open {
		return nil
	}
	return l.write("\n")
}
