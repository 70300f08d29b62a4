package main

import (
	"bytes"
	"encoding/json"
	"io"

	"google.golang.org/protobuf/encoding/protojson"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// A jsonPrinter prints every event as it is, one JSON object a line, in ProtoJSON as
// grpcurl and every generated client write it. It is used by one goroutine.
type jsonPrinter struct{ w io.Writer }

// event prints e.
func (p *jsonPrinter) event(e *sauronv1.Event) error {
	text, err := protojson.Marshal(e)
	if err != nil {
		return err
	}
	var line bytes.Buffer
	if err := json.Compact(&line, text); err != nil { // protojson puts in spaces at random
		return err
	}
	line.WriteByte('\n')
	_, err = p.w.Write(line.Bytes())
	return err
}

// inLine reports false: no line is ever open.
func (p *jsonPrinter) inLine() bool { return false }

// end does nothing: no line is ever open.
func (p *jsonPrinter) end() error { return nil }
