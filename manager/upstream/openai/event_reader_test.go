package openai

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/tmaxmax/go-sse"
)

// frames returns the frames of a stream, as lines, and its error.
func frames(r io.Reader) ([]string, error) {
	var lines []string
	events := newEventReader(r)
	for {
		f, err := events.next()
		if err != nil {
			return lines, err
		}
		lines = append(lines, []string{"data ", "comment ", "error "}[f.kind]+string(f.data))
	}
}

// The rules of server-sent events, and what upstreams make of them.
func TestFrames(t *testing.T) {
	for name, test := range map[string]struct {
		body string
		want []string
	}{
		"LF":                       {"data: a\n\ndata: b\n\n", []string{"data a", "data b"}},
		"CR":                       {"data: a\r\rdata: b\r\r", []string{"data a", "data b"}},
		"CRLF":                     {"data: a\r\n\r\ndata: b\r\n\r\n", []string{"data a", "data b"}},
		"all_line_ends":            {"data: a\r\ndata: b\rdata: c\n\r\ndata: d\r\n\n", []string{"data a\nb\nc", "data d"}},
		"CR_LF_as_one_end":         {"data: a\r\ndata: b\n\n", []string{"data a\nb"}},
		"LF_CR_as_two_ends":        {"data: a\n\rdata: b\n\n", []string{"data a", "data b"}},
		"byte_order_mark":          {"\ufeffdata: a\n\n", []string{"data a"}},
		"byte_order_mark_later":    {"data: a\n\n\ufeffdata: b\n\n", []string{"data a"}},
		"two_byte_order_marks":     {"\ufeff\ufeffdata: b\n\n", nil},
		"byte_order_mark_alone":    {"\ufeff", nil},
		"half_a_byte_order_mark":   {"\xef\xbbdata: a\n\n", nil},
		"no_space":                 {"data:a\n\n", []string{"data a"}},
		"two_spaces":               {"data:  a \n\n", []string{"data  a "}},
		"a_tab_is_no_space":        {"data:\ta\n\n", []string{"data \ta"}},
		"no_colon":                 {"data\ndata\n\n", []string{"data \n"}},
		"empty_data":               {"data:\n\n", []string{"comment "}},
		"multi_line":               {"data: a\ndata:\ndata: b\n\n", []string{"data a\n\nb"}},
		"comments":                 {":\n: x\n:\n\n", []string{"comment ", "comment ", "comment "}},
		"a_comment_inside":         {"data: a\n: x\ndata: b\n\n", []string{"comment ", "data a\nb"}},
		"an_event_without_data":    {"event: x\nid: 1\nretry: 3\n\ndata: a\n\n", []string{"data a"}},
		"other_fields":             {"id: 1\nfoo: x\ndata : y\nDATA: z\n data: w\ndata: a\n\n", []string{"data a"}},
		"error_event":              {"event: error\ndata: a\n\n", []string{"error a"}},
		"error_event_at_the_end":   {"data: a\nevent: error\n\n", []string{"error a"}},
		"error_event_without_data": {"event:error\n\ndata: a\n\n", []string{"error ", "data a"}},
		"an_error_no_more":         {"event: error\nevent: x\ndata: a\n\n", []string{"data a"}},
		"names_like_error":         {"event: errors\ndata: a\n\nevent: Error\ndata: b\n\n", []string{"data a", "data b"}},
		"error_line":               {"error: {a}\n", []string{"error {a}"}},
		"error_line_without_value": {"error\n", []string{"error "}},
		"blank_lines":              {"\n\n\r\r\n\ndata: a\n\n\n\n", []string{"data a"}},
		"no_end_of_line":           {"data: a\n\ndata: b", []string{"data a"}},
		"no_end_of_event":          {"data: a\n\ndata: b\n", []string{"data a"}},
		"NUL":                      {"data: \x00\n\n", []string{"data \x00"}},
		"nothing":                  {"", nil},
	} {
		t.Run(name, func(t *testing.T) {
			for how, r := range map[string]io.Reader{
				"whole": strings.NewReader(test.body), "bytes": iotest.OneByteReader(strings.NewReader(test.body)),
				"halves": iotest.HalfReader(strings.NewReader(test.body)), "data_with_EOF": iotest.DataErrReader(strings.NewReader(test.body)),
			} {
				got, err := frames(r)
				if !errors.Is(err, io.EOF) {
					t.Errorf("%s: error %v", how, err)
				}
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("%s: (-want +got)\n%s", how, diff)
				}
			}
		})
	}
}

// A frame is handed out at once when its last line ends, also if that is a CR, which an
// LF may follow.
func TestFramesDoNotWait(t *testing.T) {
	for _, body := range []string{"data: a\n\n", "data: a\r\r", "data: a\r\n\r", ": x\r", "error: x\r", "data: a\n\r"} {
		stuck := errors.New("it asked for more")
		events := newEventReader(io.MultiReader(strings.NewReader(body), iotest.ErrReader(stuck)))
		if _, err := events.next(); err != nil {
			t.Errorf("%q: %v", body, err)
		}
		if _, err := events.next(); !errors.Is(err, stuck) {
			t.Errorf("%q: then %v", body, err)
		}
	}
}

// The limit is the same however the bytes come.
func TestEventLimit(t *testing.T) {
	x := strings.Repeat("x", maxEvent)
	for name, test := range map[string]struct {
		body string
		want error
	}{
		"line_at_the_limit":   {"data:" + x[5:] + "\n\n", io.EOF},
		"line_over_the_limit": {"data:" + x[4:] + "\n\n", errTooLarge},
		"line_without_end":    {":" + x + x, errTooLarge},
		"comment_over":        {":" + x + "\n", errTooLarge},
		"event_at_the_limit":  {"data:" + x[:maxEvent/2] + "\ndata:" + x[:maxEvent/2-1] + "\n\n", io.EOF},
		"event_over":          {"data:" + x[:maxEvent/2] + "\ndata:" + x[:maxEvent/2] + "\n\n", errTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			for how, r := range map[string]io.Reader{
				"whole": strings.NewReader(test.body), "halves": iotest.HalfReader(strings.NewReader(test.body)),
			} {
				if _, err := frames(r); !errors.Is(err, test.want) {
					t.Errorf("%s: error %v, want %v", how, err, test.want)
				}
			}
		})
	}
}

// eventsource-parser, a parser of another language, finds the same frames in every
// body of quirks. Its answers are recorded.
func TestFramesAgainstEventsourceParser(t *testing.T) {
	raw, err := os.ReadFile("testdata/quirks/eventsource-parser-4.1.3.json")
	if err != nil {
		t.Fatal(err)
	}
	var answers map[string][]struct {
		Event   string
		Data    *string
		Comment *string
		Error   string
	}
	if err := json.Unmarshal(raw, &answers); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("testdata/quirks/*.sse")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != len(answers) {
		t.Errorf("%d bodies, %d answers", len(files), len(answers))
	}
	for _, file := range files {
		var want []string
		for _, a := range answers[filepath.Base(file)] {
			switch {
			case a.Comment != nil:
				want = append(want, "comment ")
			case a.Error != "": // an unknown field: llama.cpp's error line
				want = append(want, `error {"code":500,"message":"boom"}`)
			case a.Event == "error":
				want = append(want, "error "+*a.Data)
			default:
				want = append(want, "data "+*a.Data)
			}
		}
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := frames(bytes.NewReader(body))
		switch filepath.Base(file) {
		case "80kb-line.sse": // recorded by its length
			if want[0] != fmt.Sprintf("data <%d chars>", len(got[0])-len("data ")) {
				t.Errorf("%s: got %d bytes, want %s", file, len(got[0]), want[0])
			}
			want[0] = got[0]
		case "cr-only.sse": // it waits for what follows a CR at the very end; the standard does not
			want = append(want, "data [DONE]")
		case "invalid-utf8.sse": // we decode later
			got[0] = strings.ToValidUTF8(got[0], "\ufffd")
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", file, diff)
		}
	}
}

// The events of any bytes are those that go-sse finds, and neither they nor the error
// depend on how the bytes come.
func FuzzFrames(f *testing.F) {
	for _, pattern := range []string{"testdata/quirks/*.sse", "testdata/captures/*/chat-*.txt"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			body, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			if len(body) < 4<<10 { // what is longer only slows the fuzzer down
				_, stream, _ := bytes.Cut(body, []byte("\r\n\r\n"))
				f.Add(body, uint8(7))
				f.Add(stream, uint8(100))
			}
		}
	}
	for _, body := range []string{"data: a\r\rdata: b\r\n\r\n: c\ndata\ndata:\n\nevent: error\rdata: x\r\r", "\ufeffdata: a\n\n", "id: 1\n\ndata:x\n\n", "event: x\r\n\r\n"} {
		f.Add([]byte(body), uint8(3))
	}
	f.Fuzz(func(t *testing.T, body []byte, piece uint8) {
		got, gotErr := frames(bytes.NewReader(body))
		again, againErr := frames(&pieces{rest: body, size: int(piece) + 1})
		if diff := cmp.Diff(got, again); diff != "" || gotErr != againErr { //nolint:errorlint // the very same
			t.Fatalf("in pieces of %d: %v and %v (-whole +pieces)\n%s", int(piece)+1, gotErr, againErr, diff)
		}

		if errorLine.Match(body) {
			return // an unknown field to go-sse
		}
		var want []string
		for e, err := range sse.Read(bytes.NewReader(body), &sse.ReadConfig{MaxEventSize: 2*len(body) + 1<<10}) {
			switch {
			case err != nil:
				t.Fatalf("go-sse: %v", err)
			case e.Type == "error":
				want = append(want, "error "+e.Data)
			case e.Data != "": // without data it may be an event or none
				want = append(want, "data "+e.Data)
			}
		}
		got = slices.DeleteFunc(got, func(line string) bool { return line == "comment " })
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("(-go-sse +own)\n%s", diff)
		}
	})
}

// errorLine matches a body with a field named error.
var errorLine = regexp.MustCompile(`(^|[\r\n])(\x{feff})?error([:\r\n]|$)`)

// pieces is a reader that gives size bytes at a time, and the error with the last.
type pieces struct {
	rest []byte
	size int
}

func (p *pieces) Read(b []byte) (int, error) {
	n := copy(b, p.rest[:min(p.size, len(p.rest))])
	if p.rest = p.rest[n:]; len(p.rest) == 0 {
		return n, io.EOF
	}
	return n, nil
}
