package openai

import "strings"

// maxExtension is the largest extension event, in bytes. An event is sent in one
// message of the transport.
const maxExtension = 48 << 10

// An extension collects those members of a chunk that have no field, as texts of
// JSON members with commas between them. The zero value collects nothing.
type extension struct {
	wanted             bool
	top, choice, delta []byte
}

// cleared returns an empty extension with x's buffers.
func (x extension) cleared() extension {
	return extension{wanted: x.wanted, top: x.top[:0], choice: x.choice[:0], delta: x.delta[:0]}
}

// addTop adds a member of the chunk itself.
func (x *extension) addTop(name, v jsonValue) {
	if n := string(name.name()); n != "choice" && n != "delta" { // those are ours
		x.top = x.add(x.top, name, v)
	}
}

// addChoice adds a member of choice 0.
func (x *extension) addChoice(name, v jsonValue) { x.choice = x.add(x.choice, name, v) }

// addDelta adds a member of choice 0's delta.
func (x *extension) addDelta(name, v jsonValue) { x.delta = x.add(x.delta, name, v) }

// add appends a member unless it says nothing.
func (x *extension) add(to []byte, name, v jsonValue) []byte {
	if !x.wanted || v.is('n') {
		return to
	}
	if len(to) > 0 {
		to = append(to, ',')
	}
	to = append(to, name...)
	to = append(to, ':')
	return append(to, v...)
}

// text returns the JSON object of the event, valid UTF-8, or nothing.
func (x *extension) text() string {
	if len(x.top)+len(x.choice)+len(x.delta) == 0 {
		return ""
	}
	var out strings.Builder
	out.WriteByte('{')
	out.Write(x.top)
	for _, part := range []struct {
		name    string
		members []byte
	}{{"choice", x.choice}, {"delta", x.delta}} {
		if len(part.members) == 0 {
			continue
		}
		if out.Len() > 1 {
			out.WriteByte(',')
		}
		out.WriteString(`"` + part.name + `":{`)
		out.Write(part.members)
		out.WriteByte('}')
	}
	out.WriteByte('}')
	return strings.ToValidUTF8(out.String(), "\ufffd")
}
