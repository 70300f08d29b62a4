package openai

import (
	"bytes"
	"errors"
	"io"
)

// Sizes in bytes.
const (
	firstBuffer = 16 << 10
	maxEvent    = 4 << 20 // of one line, and of one event's data
)

var errTooLarge = errors.New("openai: event over 4 MiB")

// frameKind tells frames apart.
type frameKind uint8

const (
	frameData    frameKind = iota // an event with data
	frameComment                  // a comment line, or an event whose data is empty
	frameError                    // an event named error, or an `error:` line
)

// A frame is one thing that an event stream says. data is valid until the next
// frame is read.
type frame struct {
	kind frameKind
	data []byte
}

// An eventReader reads server-sent events as the WHATWG specifies them: lines end
// in LF, CR or CRLF, a byte order mark may stand at the start, several data lines
// make one event, and an event without its blank line does not count. Ids and
// reconnection times are ignored. Bytes are not decoded. It belongs to one goroutine.
type eventReader struct {
	src io.Reader
	err error // of src; what came before it is read first

	buf    []byte // buf[pos:] was read but is not parsed
	pos    int
	seen   int  // buf[pos:seen] has no line end
	skipLF bool // the last line ended in CR, so an LF next to it is part of that end
	begun  bool // the first line was read

	// The event so far.
	data    []byte
	hasData bool // there was a data line, perhaps an empty one
	failed  bool // the event's name is error
	done    bool // it has ended; data may still be in use
}

// newEventReader returns a reader of src.
func newEventReader(src io.Reader) *eventReader {
	return &eventReader{src: src, buf: make([]byte, 0, firstBuffer)}
}

// next returns the next frame, as soon as its last line's end is there. The error
// is errTooLarge or src's own.
func (r *eventReader) next() (frame, error) {
	for {
		if r.done {
			r.data, r.hasData, r.failed, r.done = r.data[:0], false, false, false
		}
		line, err := r.line()
		if err != nil {
			return frame{}, err
		}
		if len(line) == 0 {
			if f, ok := r.dispatch(); ok {
				return f, nil
			}
			continue
		}
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "":
			return frame{kind: frameComment}, nil
		case "data":
			if r.hasData {
				r.data = append(r.data, '\n')
			}
			r.data = append(r.data, value...)
			r.hasData = true
			if len(r.data) > maxEvent {
				return frame{}, errTooLarge
			}
		case "event":
			r.failed = string(value) == "error"
		case "error":
			return frame{kind: frameError, data: value}, nil
		}
	}
}

// dispatch ends the event at a blank line. It reports false if there was no event.
func (r *eventReader) dispatch() (frame, bool) {
	r.done = true
	switch {
	case r.failed:
		return frame{kind: frameError, data: r.data}, true
	case len(r.data) > 0:
		return frame{kind: frameData, data: r.data}, true
	}
	return frame{kind: frameComment}, r.hasData
}

// line returns the next line without its end. It is valid until the next call.
func (r *eventReader) line() ([]byte, error) {
	for {
		if r.skipLF && r.pos < len(r.buf) {
			if r.buf[r.pos] == '\n' {
				r.pos++
				r.seen = r.pos
			}
			r.skipLF = false
		}
		if n := bytes.IndexAny(r.buf[r.seen:], "\r\n"); n >= 0 {
			end := r.seen + n
			line := r.buf[r.pos:end]
			if len(line) > maxEvent {
				return nil, errTooLarge
			}
			r.skipLF = r.buf[end] == '\r'
			r.pos, r.seen = end+1, end+1
			if !r.begun {
				line = bytes.TrimPrefix(line, []byte("\ufeff"))
				r.begun = true
			}
			return line, nil
		}
		r.seen = len(r.buf)
		if len(r.buf)-r.pos > maxEvent {
			return nil, errTooLarge
		}
		if err := r.fill(); err != nil {
			return nil, err
		}
	}
}

// fill reads once from src, after making room. It moves what is in buf.
func (r *eventReader) fill() error {
	if r.err != nil {
		return r.err
	}
	n := copy(r.buf, r.buf[r.pos:])
	r.buf = r.buf[:n]
	r.seen -= r.pos
	r.pos = 0
	if n == cap(r.buf) {
		r.buf = append(make([]byte, 0, 2*n), r.buf...)
	}
	got, err := r.src.Read(r.buf[n:cap(r.buf)])
	r.buf = r.buf[:n+got]
	r.err = err
	return nil
}
