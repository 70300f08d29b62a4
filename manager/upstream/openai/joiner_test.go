package openai

import (
	"encoding/hex"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// A text that is cut anywhere between its bytes and escapes, and joined again, is the
// text that was not cut; and that one is what encoding/json reads, but for the number of
// U+FFFD in a row: it makes one of each byte, the WHATWG's decoder one of each begun
// rune.
func FuzzJoiner(f *testing.F) {
	for _, text := range []string{"plain", "né😀", "\xf0\x9f\x98", "a\xff\xc0\xafb", "\xed\xa0\xbd\xed\xb8\x80", "\xf4\x90\x80\x80", "\xe2\x82\xe2\x82\xac"} {
		f.Add([]byte(text), []byte{1, 0, 1, 1})
	}
	for _, escaped := range []string{"\\\xd8\x3d\\\xde\x00", "\\\xd8\x3dx", "\\\xde\x00", "\\\xd8\x3d\\\xd8\x3d\\\xde\x00", "\xf0\x9f\\\x00\x41", "\\\xd8\x3d\xf0\x9f\x98\x80", "\\\x00\x00\\\xff\xfd"} {
		f.Add([]byte(escaped), []byte{1})
		f.Add([]byte(escaped), []byte{0})
	}
	f.Fuzz(func(t *testing.T, text, cuts []byte) {
		atoms := atoms(text)
		var whole, cut []byte
		var got strings.Builder
		var j joiner
		for i, atom := range atoms {
			whole = append(whole, atom...)
			cut = append(cut, atom...)
			if len(cuts) > 0 && cuts[i%len(cuts)]&1 == 1 {
				got.WriteString(j.join(quote(cut)))
				cut = nil
			}
		}
		got.WriteString(j.join(quote(cut)) + j.rest())

		if want := quote(whole).text(); got.String() != want {
			t.Errorf("%q in pieces is %q, whole it is %q", whole, got.String(), want)
		}
		if !utf8.ValidString(got.String()) {
			t.Errorf("%q gives %q", whole, got.String())
		}
		var want string
		if err := json.Unmarshal(quote(whole), &want); err != nil {
			t.Fatal(err)
		}
		if got, want := collapse(got.String()), collapse(want); got != want {
			t.Errorf("%q is %q, encoding/json has %q", whole, got, want)
		}
	})
}

// A rest is handed out once.
func TestJoinerIsEmptyAfterItsRest(t *testing.T) {
	for _, begun := range []string{`"\ud83d"`, "\"\xf0\x9f\""} {
		var j joiner
		if got := j.join(jsonValue(begun)); got != "" {
			t.Errorf("%q begins with %q", begun, got)
		}
		if got := j.rest() + "|" + j.rest() + "|" + j.join(jsonValue(`"\ude00"`)); got != "\ufffd||\ufffd" {
			t.Errorf("%q has the rests %q", begun, got)
		}
	}
}

// atoms turns any bytes into the parts of a JSON string that can't be cut: a backslash
// and the two bytes after it into a \u escape, what must be escaped likewise.
func atoms(text []byte) [][]byte {
	var all [][]byte
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+2 < len(text):
			all = append(all, append([]byte(`\u`), hex.EncodeToString(text[i+1:i+3])...))
			i += 2
		case c == '"' || c == '\\':
			all = append(all, []byte{'\\', c})
		case c < 0x20:
			all = append(all, append([]byte(`\u`), hex.EncodeToString([]byte{0, c})...))
		default:
			all = append(all, []byte{c})
		}
	}
	return all
}

func quote(inside []byte) jsonValue { return jsonValue(`"` + string(inside) + `"`) }

var replacements = regexp.MustCompile("\ufffd+")

func collapse(text string) string { return replacements.ReplaceAllString(text, "\ufffd") }
