package openai

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sauron-stream/sauron/manager/event"
)

// Any bytes as a chunk: nothing panics, what comes out is valid UTF-8 and JSON where it
// must be, and the members are those that encoding/json finds.
func FuzzChunk(f *testing.F) {
	for _, chunk := range seeds(f) {
		f.Add(chunk)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		a := newAnswer(slog.New(slog.DiscardHandler), true)
		events, err := a.take(t.Context(), data)
		whole, _ := decode(data)
		want, isObject := whole.(map[string]any)
		if err == nil && !isObject {
			t.Fatalf("%q is taken", data)
		} else if !isObject {
			return
		}
		if err != nil {
			if !utf8.ValidString(err.Error()) {
				t.Errorf("error %q", err)
			}
			return
		}
		got := map[event.Kind]string{}
		for _, e := range append(slices.Clone(events), a.end()...) {
			got[e.Kind] += e.Text
			texts := []string{e.Text}
			if e.ToolCall != nil {
				texts = append(texts, e.ToolCall.ID, e.ToolCall.Name, e.ToolCall.Arguments)
			}
			if e.Finish != nil {
				texts = append(texts, e.Finish.Raw, e.Finish.Model, e.Finish.ResponseID, e.Finish.Fingerprint)
			}
			for _, text := range texts {
				if !utf8.ValidString(text) {
					t.Errorf("%q gives %q", data, text)
				}
			}
			if e.Kind == event.KindExtension && (!json.Valid([]byte(e.Text)) || len(e.Text) > maxExtension) {
				t.Errorf("%q gives the extension %s", data, e.Text)
			}
		}

		delta := choice0(want)
		content, _ := delta["content"].(string)
		refusal, _ := delta["refusal"].(string)
		for kind, want := range map[event.Kind]string{event.KindText: content, event.KindRefusal: refusal} {
			if collapse(got[kind]) != collapse(want) {
				t.Errorf("%q gives kind %d %q, want %q", data, kind, got[kind], want)
			}
		}
	})
}

// choice0 returns the delta of choice 0 of a chunk that was taken.
func choice0(chunk map[string]any) map[string]any {
	choices, _ := chunk["choices"].([]any)
	for _, c := range choices {
		choice, _ := c.(map[string]any)
		number, _ := choice["index"].(json.Number)
		if index, _ := number.Float64(); index == 0 {
			delta, _ := choice["delta"].(map[string]any)
			return delta
		}
	}
	return nil
}

// seeds returns the chunks of all captures.
func seeds(f *testing.F) [][]byte {
	f.Helper()
	seen := map[string]bool{}
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
			for line := range strings.Lines(string(body)) {
				if data, ok := strings.CutPrefix(strings.TrimSpace(line), "data: "); ok && len(data) < 4<<10 {
					seen[data] = true
				}
			}
		}
	}
	for _, odd := range []string{
		` { "choices" : [ { "index" : 0 , "delta" : { "content" : "a\ud83d" , "x" : [ { } , [ ] , -1.5e3 , true ] } , "logprobs" : { } } ] , "y" : null } `,
		`{"choices":[{"delta":{"content":"a"}},{"index":1,"delta":{"content":"b"}}]}`,
		`{"a":"\\\"","b":"]}","choices":[{"delta":{"tool_calls":[{"id":"1","function":{"name":"f","arguments":"\u00e9"}}]}}]}`,
		`{"usage":{"prompt_tokens":1,"completion_tokens":-1},"error":null}`, `{}`, `[]`, `{"choices":[]}`, `{"error":{"code":1}}`, `{"":1E700}`,
	} {
		seen[odd] = true
	}
	var all [][]byte
	for _, chunk := range slices.Sorted(maps.Keys(seen)) {
		all = append(all, []byte(chunk))
	}
	return all
}

// What a walk over a value finds is what encoding/json finds, however the value is
// spaced and nested.
func FuzzWalk(f *testing.F) {
	for _, chunk := range seeds(f) {
		f.Add(chunk)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := parseObject(data)
		if err != nil {
			return
		}
		want, err := decode(data)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decode([]byte(rebuilt(v)))
		if err != nil {
			t.Fatalf("%q is walked as %s: %v", data, rebuilt(v), err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q is walked as %v, want %v", data, got, want)
		}
	})
}

// decode is json.Unmarshal, with numbers as they are written: a valid one need not fit a
// float64.
func decode(data []byte) (any, error) {
	if !json.Valid(data) {
		return nil, errors.New("not JSON")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	err := d.Decode(&v)
	return v, err
}

// rebuilt returns v as its walks see it, without space.
func rebuilt(v jsonValue) string {
	var parts []string
	switch {
	case v.is('{'):
		for name, v := range v.members() {
			parts = append(parts, string(name)+":"+rebuilt(v))
		}
		return "{" + strings.Join(parts, ",") + "}"
	case v.is('['):
		for v := range v.elements() {
			parts = append(parts, rebuilt(v))
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	return string(v)
}

// A chunk of text costs no more than its text: the goal is 8 allocations.
func TestChunkAllocations(t *testing.T) {
	a := newAnswer(slog.New(slog.DiscardHandler), false)
	chunk := []byte(`{"id":"i","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":" tok\n"},"logprobs":null,"finish_reason":null}]}`)
	got := testing.AllocsPerRun(100, func() {
		if _, err := a.take(t.Context(), chunk); err != nil {
			t.Fatal(err)
		}
	})
	if got > 4 { // 1 as measured; the race detector adds some
		t.Errorf("%v allocations a chunk", got)
	}
}
