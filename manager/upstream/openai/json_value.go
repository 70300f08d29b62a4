package openai

import (
	"bytes"
	"encoding/json"
	"errors"
	"iter"
	"strconv"
)

var errNotObject = errors.New("openai: a chunk that is no JSON object")

// A jsonValue is the text of one JSON value, without space around it. encoding/json
// has accepted the text it is part of, so nothing here checks for errors: reading a
// chunk costs one pass to check it and the few bytes of what is wanted, where
// decoding it into a struct costs fourteen allocations. It is immutable and shares
// the chunk's bytes.
type jsonValue []byte

// parseObject returns the object that data is. It must not change while the value is
// in use.
func parseObject(data []byte) (jsonValue, error) {
	if !json.Valid(data) {
		return nil, errNotObject
	}
	v := jsonValue(bytes.TrimSpace(data))
	if v[0] != '{' {
		return nil, errNotObject
	}
	return v, nil
}

// is reports what kind of value v is by its first byte: { [ " t f n, or - for
// numbers. An absent value is null.
func (v jsonValue) is(kind byte) bool {
	if len(v) == 0 {
		return kind == 'n'
	}
	if c := v[0]; c >= '0' && c <= '9' {
		return kind == '-'
	}
	return v[0] == kind
}

// only returns v if it is of that kind, or else nothing.
func (v jsonValue) only(kind byte) jsonValue {
	if !v.is(kind) {
		return nil
	}
	return v
}

// into sets *at to v if it is of that kind, and to nothing if it is null. Any other
// value is wrong.
func (v jsonValue) into(at *jsonValue, kind byte, wrong error) error {
	*at = v.only(kind)
	if *at == nil && !v.is('n') {
		return wrong
	}
	return nil
}

// members yields the names and values of an object in their order. A name is a JSON
// string with its quotes.
func (v jsonValue) members() iter.Seq2[jsonValue, jsonValue] {
	return func(yield func(name, value jsonValue) bool) {
		for i := skipSpace(v, 1); v[i] != '}'; {
			end := skipString(v, i)
			name := v[i:end]
			i = skipSpace(v, skipSpace(v, end)+1) // over the colon
			end = skipValue(v, i)
			if !yield(name, v[i:end]) {
				return
			}
			i = skipComma(v, end)
		}
	}
}

// elements yields the values of an array in their order.
func (v jsonValue) elements() iter.Seq[jsonValue] {
	return func(yield func(jsonValue) bool) {
		for i := skipSpace(v, 1); v[i] != ']'; {
			end := skipValue(v, i)
			if !yield(v[i:end]) {
				return
			}
			i = skipComma(v, end)
		}
	}
}

// name returns the text of a member's name. Nothing is allocated unless it is
// written with escapes.
func (v jsonValue) name() []byte {
	raw := v[1 : len(v)-1]
	if isPlain(raw) {
		return raw
	}
	return []byte(v.text())
}

// text returns the text of a string, and nothing for any other value.
func (v jsonValue) text() string {
	if !v.is('"') {
		return ""
	}
	var j joiner
	return j.join(v) + j.rest()
}

// int32 returns a number that is an int32.
func (v jsonValue) int32() (int32, bool) {
	n, err := strconv.ParseInt(string(v), 10, 32)
	return int32(n), err == nil
}

// count returns a number of tokens: what is no whole number of at least 0 is 0.
func (v jsonValue) count() int64 {
	n, err := strconv.ParseInt(string(v), 10, 64)
	if err != nil {
		return 0
	}
	return max(n, 0)
}

// skipSpace returns the index of the first byte from i on that is no space.
func skipSpace(v []byte, i int) int {
	for v[i] == ' ' || v[i] == '\t' || v[i] == '\n' || v[i] == '\r' {
		i++
	}
	return i
}

// skipComma returns the index of what follows the member or element that ends at i:
// the next one, or the closing bracket.
func skipComma(v []byte, i int) int {
	if i = skipSpace(v, i); v[i] == ',' {
		i = skipSpace(v, i+1)
	}
	return i
}

// skipString returns the index after the string that begins at i.
func skipString(v []byte, i int) int {
	for i++; v[i] != '"'; i++ {
		if v[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// skipValue returns the index after the value that begins at i.
func skipValue(v []byte, i int) int {
	depth := 0
	for {
		switch v[i] {
		case '"':
			i = skipString(v, i)
		case '{', '[':
			depth++
			i++
		case '}', ']':
			depth--
			i++
		case ',', ':', ' ', '\t', '\n', '\r':
			i++
		default:
			for i < len(v) && !isEnd(v[i]) {
				i++
			}
		}
		if depth == 0 {
			return i
		}
	}
}

// isEnd reports whether c can't be part of a number or a literal name.
func isEnd(c byte) bool {
	switch c {
	case ',', '}', ']', ' ', '\t', '\n', '\r':
		return true
	}
	return false
}
