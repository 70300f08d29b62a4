package openai

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// A jsonWriter writes a JSON text in which given texts stand byte for byte:
// encoding/json would compact them. It belongs to one goroutine.
type jsonWriter struct {
	buf     bytes.Buffer
	encoder *json.Encoder // into buf
	comma   bool          // a value was written where another one may follow
	err     error         // the first
}

// newJSONWriter returns a writer that has written nothing.
func newJSONWriter() *jsonWriter {
	w := &jsonWriter{}
	w.encoder = json.NewEncoder(&w.buf)
	w.encoder.SetEscapeHTML(false) // a prompt's < costs the model tokens if it is \u003c
	return w
}

// bytes returns the text, or the first error.
func (w *jsonWriter) bytes() ([]byte, error) {
	if w.err != nil {
		return nil, w.err
	}
	return w.buf.Bytes(), nil
}

// fail makes bytes return err, unless it has one already.
func (w *jsonWriter) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

// object writes an object whose members inside writes.
func (w *jsonWriter) object(inside func()) { w.brackets('{', '}', inside) }

// array writes an array whose elements inside writes.
func (w *jsonWriter) array(inside func()) { w.brackets('[', ']', inside) }

func (w *jsonWriter) brackets(open, end byte, inside func()) {
	w.separate()
	w.buf.WriteByte(open)
	w.comma = false
	inside()
	w.buf.WriteByte(end)
	w.comma = true
}

// key writes a member's name; its value comes next.
func (w *jsonWriter) key(name string) {
	w.value(name)
	w.buf.WriteByte(':')
	w.comma = false
}

// member writes a member.
func (w *jsonWriter) member(name string, v any) {
	w.key(name)
	w.value(v)
}

// text writes a member that is left out if it is empty.
func (w *jsonWriter) text(name, v string) {
	if v != "" {
		w.member(name, v)
	}
}

// value writes what encoding/json makes of v.
func (w *jsonWriter) value(v any) {
	w.separate()
	if err := w.encoder.Encode(v); err != nil {
		w.fail(errors.New("openai: a value that JSON can't say")) // the error may quote it
		return
	}
	w.buf.Truncate(w.buf.Len() - 1) // the encoder's line feed
	w.comma = true
}

// verbatim writes a text byte for byte, if it is a JSON object: anything else could
// end the body early and add to it. what names the text in the error.
func (w *jsonWriter) verbatim(text, what string) {
	if _, err := parseObject([]byte(text)); err != nil {
		w.fail(fmt.Errorf("openai: %s is no JSON object", what))
		return
	}
	w.separate()
	w.buf.WriteString(text)
	w.comma = true
}

func (w *jsonWriter) separate() {
	if w.comma {
		w.buf.WriteByte(',')
		w.comma = false
	}
}
