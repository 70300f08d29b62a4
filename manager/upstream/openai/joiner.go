package openai

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"unicode/utf16"
	"unicode/utf8"
)

// A joiner decodes JSON strings that are consecutive pieces of one text. Servers cut
// texts without regard to runes: between the bytes of one, and between the \u escapes
// of its two halves. What the end of a piece leaves undecided waits for the next one.
// All that comes out is valid UTF-8. The zero value is ready.
type joiner struct {
	begun [utf8.UTFMax]byte // begun[:n] is how a rune begins
	n     int
	half  rune // a high surrogate whose other half has not come, or 0
}

// join returns the text of the string v, with its quotes, as far as it is decided. A
// value that is no string must not be given.
func (j *joiner) join(v jsonValue) string {
	raw := v[1 : len(v)-1]
	if j.n == 0 && j.half == 0 && isPlain(raw) {
		return string(raw)
	}
	out := make([]byte, 0, len(raw)+utf8.UTFMax)
	for i := 0; i < len(raw); i++ {
		switch {
		case raw[i] != '\\':
			out = j.add(out, raw[i])
		case raw[i+1] != 'u':
			i++
			out = j.add(out, unescape(raw[i]))
		default:
			var unit [2]byte
			_, _ = hex.Decode(unit[:], raw[i+2:i+6]) // checked with the chunk
			i += 5
			out = j.addUnit(out, rune(binary.BigEndian.Uint16(unit[:])))
		}
	}
	return string(out)
}

// rest ends the text: it returns U+FFFD if it ended inside a rune.
func (j *joiner) rest() string {
	return string(j.flush(nil))
}

// add appends what is decided with the byte c.
func (j *joiner) add(out []byte, c byte) []byte {
	if j.half != 0 || j.n > 0 && c < utf8.RuneSelf {
		out = j.flush(out)
	}
	if c < utf8.RuneSelf {
		return append(out, c)
	}
	for {
		j.begun[j.n] = c
		j.n++
		begun := j.begun[:j.n]
		if !utf8.FullRune(begun) {
			return out
		}
		r, size := utf8.DecodeRune(begun)
		if size == j.n { // a rune, or a single byte that begins none
			j.n = 0
			return utf8.AppendRune(out, r)
		}
		// c is not how the rune goes on. As in the WHATWG's decoder, what there was is
		// one U+FFFD and c begins anew.
		j.n = 0
		out = utf8.AppendRune(out, utf8.RuneError)
	}
}

// addUnit appends what is decided with an escaped UTF-16 code unit.
func (j *joiner) addUnit(out []byte, unit rune) []byte {
	if r := utf16.DecodeRune(j.half, unit); r != utf8.RuneError {
		j.half = 0
		return utf8.AppendRune(out, r)
	}
	out = j.flush(out)
	if unit >= 0xd800 && unit < 0xdc00 {
		j.half = unit
		return out
	}
	return utf8.AppendRune(out, unit) // a low surrogate becomes U+FFFD
}

// flush appends U+FFFD if a rune is begun, which then never comes.
func (j *joiner) flush(out []byte) []byte {
	if j.n == 0 && j.half == 0 {
		return out
	}
	*j = joiner{}
	return utf8.AppendRune(out, utf8.RuneError)
}

// unescape returns what a backslash and c stand for.
func unescape(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c
}

// isPlain reports whether the inside of a JSON string stands for itself.
func isPlain(raw []byte) bool {
	return bytes.IndexByte(raw, '\\') < 0 && utf8.Valid(raw)
}
