package openai_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sauron-stream/sauron/manager/event"
	"github.com/sauron-stream/sauron/manager/fault"
)

const broke = "fault UPSTREAM_BROKEN"

// When an answer is whole, and when not, whatever the capture of a real server does
// not show. Each body ends with a clean end of the response.
func TestWhole(t *testing.T) {
	for name, test := range map[string]struct {
		body string
		want []string // after the headers' alive
	}{
		"finish_usage_done":          {hello + stop + counts + done, []string{`text "Hello"`, "alive", "alive", usage, finished}},
		"finish_without_done":        {hello + stop, []string{`text "Hello"`, "alive", finished}},
		"done_without_finish":        {hello + done, []string{`text "Hello"`, broke}},
		"done_in_spaces":             {hello + stop + "data:  [DONE] \n\n", []string{`text "Hello"`, "alive", finished}},
		"end_without_anything":       {"", []string{broke}},
		"nothing_but_done":           {done, []string{broke}},
		"empty_answer":               {stop + done, []string{"alive", finished}},
		"finish_cut_off":             {hello + strings.TrimSpace(stop) + "\n", []string{`text "Hello"`, broke}},
		"error_cut_off_after_finish": {hello + stop + `data: {"error":{}}` + "\n", []string{`text "Hello"`, "alive", finished}},
		"finish_with_the_last_text": {
			`data: {"id":"i","model":"m","choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":"stop"}]}` + "\n\n" + done,
			[]string{`text "Hello"`, finished},
		},
		"text_after_finish": {hello + stop + hello + done, []string{`text "Hello"`, "alive", `text "Hello"`, finished}},
		"finish_twice":      {hello + stop + stop + done, []string{`text "Hello"`, "alive", "alive", finished}},
		"empty_finish_reason": {
			`data: {"choices":[{"delta":{"content":"a"},"finish_reason":""}]}` + "\n\n" + done,
			[]string{`text "a"`, broke},
		},
		"finish_of_another_choice": {
			hello + `data: {"choices":[{"index":1,"delta":{},"finish_reason":"stop"}]}` + "\n\n" + done,
			[]string{`text "Hello"`, "alive", broke},
		},
		"data_after_done":             {hello + stop + done + hello, []string{`text "Hello"`, "alive", finished}},
		"error_after_done":            {hello + stop + done + `data: {"error":{}}` + "\n\n", []string{`text "Hello"`, "alive", finished}},
		"error_then_done":             {hello + `data: {"error":{"message":"s3cr3t"}}` + "\n\n" + done, []string{`text "Hello"`, broke}},
		"error_after_finish":          {hello + stop + `data: {"error":{"code":500}}` + "\n\n" + done, []string{`text "Hello"`, "alive", broke}},
		"error_beside_choices":        {`data: {"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}],"error":{"code":1}}` + "\n\n", []string{broke}},
		"error_null":                  {`data: {"error":null,"id":"i","model":"m","choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}` + "\n\n", []string{`text "a"`, finished}},
		"error_text":                  {`data: {"error":"s3cr3t"}` + "\n\n", []string{broke}},
		"old_vllm_error":              {hello + `data: {"object":"error","message":"s3cr3t","type":"T","code":400}` + "\n\n" + done, []string{`text "Hello"`, broke}},
		"event_error_without_data":    {hello + "event: error\n\n" + stop + done, []string{`text "Hello"`, broke}},
		"event_error_with_text":       {hello + "event: error\ndata: s3cr3t\n\n" + stop + done, []string{`text "Hello"`, broke}},
		"event_error_after_finish":    {hello + stop + "event: error\ndata: {}\n\n" + done, []string{`text "Hello"`, "alive", broke}},
		"error_line_after_finish":     {hello + stop + "error: {}\n\n" + done, []string{`text "Hello"`, "alive", broke}},
		"garbage_after_finish":        {hello + stop + "data: {oops\n\n" + done, []string{`text "Hello"`, "alive", broke}},
		"abort_is_no_end":             {hello + strings.Replace(stop, `"stop"`, `"abort"`, 1) + done, []string{`text "Hello"`, broke}},
		"error_is_no_end":             {hello + strings.Replace(stop, `"stop"`, `"error"`, 1) + done, []string{`text "Hello"`, broke}},
		"named_events_are_chunks":     {"event: message\n" + hello + stop + done, []string{`text "Hello"`, "alive", finished}},
		"comments_and_empty_events":   {": a\n\ndata:\n\n" + hello + ": b\n\ndata:\n\n" + stop + done, []string{"alive", "alive", `text "Hello"`, "alive", finished}},
		"a_line_over_4MiB":            {hello + delta(`"content":"`+strings.Repeat("x", 4<<20)+`"`) + stop + done, []string{`text "Hello"`, broke}},
		"an_event_over_4MiB":          {hello + strings.Repeat("data: "+strings.Repeat("x", 1<<20)+"\n", 5) + "\n" + stop + done, []string{`text "Hello"`, broke}},
		"a_comment_over_4MiB":         {hello + stop + ":" + strings.Repeat("x", 5<<20) + "\n" + done, []string{`text "Hello"`, "alive", broke}},
		"a_line_of_several_100_KB":    {delta(`"content":"`+strings.Repeat("x", 700<<10)+`"`) + stop + done, []string{`text 716800 times "x"`, "alive", finished}},
		"a_chunk_that_is_no_object":   {"data: [1]\n\n" + stop + done, []string{broke}},
		"choices_that_are_no_array":   {`data: {"choices":{}}` + "\n\n" + stop + done, []string{broke}},
		"a_choice_that_is_no_object":  {`data: {"choices":[null]}` + "\n\n" + stop + done, []string{broke}},
		"an_index_that_is_no_integer": {`data: {"choices":[{"index":0.5,"delta":{}}]}` + "\n\n" + stop + done, []string{broke}},
		"two_choices_0":               {`data: {"choices":[{"delta":{}},{"index":0}]}` + "\n\n" + stop + done, []string{broke}},
		"a_delta_that_is_no_object":   {`data: {"choices":[{"delta":"a"}]}` + "\n\n" + stop + done, []string{broke}},
		"a_content_of_parts":          {delta(`"content":[{"type":"text","text":"a"}]`) + stop + done, []string{broke}},
		"a_finish_that_is_no_text":    {`data: {"choices":[{"finish_reason":1}]}` + "\n\n" + done, []string{broke}},
		"absent_and_null": {
			`data: {"choices":null}` + "\n\n" + `data: {"choices":[{"delta":null,"finish_reason":null,"index":null}]}` + "\n\n" +
				delta(`"content":null,"reasoning":null,"refusal":null,"tool_calls":null`) + hello + stop + done,
			[]string{"alive", "alive", "alive", `text "Hello"`, "alive", finished},
		},
		"description_of_wrong_types": {
			`data: {"id":7,"model":[],"system_fingerprint":{},"usage":"much","created":"x","choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}` + "\n\n" + done,
			[]string{`text "a"`, `finished stop "stop" model="" id="" fingerprint=""`},
		},
		"description_of_the_first_that_has_it": {
			`data: {"id":"","model":"","choices":[]}` + "\n\n" + `data: {"id":"1","model":"a","choices":[]}` + "\n\n" +
				`data: {"id":"2","model":"b","system_fingerprint":"f","choices":[{"finish_reason":"stop"}]}` + "\n\n" + done,
			[]string{"alive", "alive", "alive", `finished stop "stop" model="a" id="1" fingerprint="f"`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, ask(t, serve(t, stream(test.body))), append([]string{"alive"}, test.want...)...)
		})
	}
}

// What deltas yield.
func TestDeltas(t *testing.T) {
	call := func(members string) string { return delta(`"tool_calls":[{` + members + `}]`) }
	for name, test := range map[string]struct {
		body string
		want []string // between the headers' alive and the finish's
	}{
		"order_within_a_chunk": {
			delta(`"tool_calls":[{"id":"c"}],"content":"t","refusal":"r","reasoning_content":"g"`),
			[]string{`reasoning "g"`, `refusal "r"`, `text "t"`, `tool 0 id="c"`},
		},
		"reasoning_under_both_names":   {delta(`"reasoning":"a\u00e9","reasoning_content":"aé"`), []string{`reasoning "aé"`}},
		"reasoning_under_one_name":     {delta(`"reasoning":"a"`) + delta(`"reasoning_content":"b"`), []string{`reasoning "a"`, `reasoning "b"`}},
		"reasoning_that_differs":       {delta(`"reasoning":"a","reasoning_content":"b"`), []string{`reasoning "ba"`}},
		"empty_texts":                  {delta(`"content":"","reasoning":"","refusal":""`), []string{"alive"}},
		"escaped_member_names":         {delta(`"cont\u0065nt":"a"`), []string{`text "a"`}},
		"the_last_of_equal_names":      {delta(`"content":"a","content":"b"`), []string{`text "b"`}},
		"escapes":                      {delta(`"content":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"`), []string{`text "\"\\/\b\f\n\r\té😀"`}},
		"a_rune_cut_between_bytes":     {delta("\"content\":\"a\xf0\x9f\"") + delta("\"content\":\"\x98\x80b\""), []string{`text "a"`, `text "😀b"`}},
		"a_rune_cut_into_bytes":        {delta("\"content\":\"\xf0\"") + delta("\"content\":\"\x9f\"") + delta("\"content\":\"\x98\"") + delta("\"content\":\"\x80\""), []string{"alive", "alive", "alive", `text "😀"`}},
		"a_rune_cut_between_escapes":   {delta(`"content":"a\ud83d"`) + delta(`"content":"\ude00b"`), []string{`text "a"`, `text "😀b"`}},
		"a_rune_that_is_not_continued": {delta("\"content\":\"a\xf0\x9f\"") + delta(`"content":"b"`) + delta(`"content":"\ud83d"`) + delta(`"content":"\ud83d\ude00"`), []string{`text "a"`, "text \"\ufffdb\"", "alive", "text \"\ufffd😀\""}},
		"a_rune_per_kind": {
			delta(`"content":"\ud83d","reasoning":"\ud83d","refusal":"\ud83d"`) + delta(`"refusal":"\ude00","reasoning":"\ude01","content":"\ude02"`),
			[]string{"alive", `reasoning "😁"`, `refusal "😀"`, `text "😂"`},
		},
		"no_utf8": {delta("\"content\":\"a\xff\xe2\x82b\xed\xa0\x80\""), []string{`text "a` + "\ufffd\ufffdb\ufffd\ufffd\ufffd" + `"`}},
		"a_call_in_pieces": {
			call(`"index":0,"id":"c","type":"function","function":{"name":"f","arguments":""}`) + call(`"index":0,"function":{"arguments":"{"}`) +
				call(`"index":0,"function":{"arguments":"}"}`),
			[]string{`tool 0 id="c" name="f"`, `tool 0 arguments="{"`, `tool 0 arguments="}"`},
		},
		"repeated_and_changing_ids": {
			call(`"index":0,"id":"c","function":{"name":"f"}`) + call(`"index":0,"id":"c","function":{"name":"f","arguments":"1"}`) +
				call(`"index":0,"id":"d","function":{"name":"g","arguments":"2"}`) + call(`"index":0,"id":"c","function":{"name":"f"}`),
			[]string{`tool 0 id="c" name="f"`, `tool 0 arguments="1"`, `tool 0 arguments="2"`, "alive"},
		},
		"id_and_name_apart":     {call(`"index":0,"id":"c"`) + call(`"index":0,"function":{"name":"f"}`), []string{`tool 0 id="c"`, `tool 0 name="f"`}},
		"nulls_in_a_call":       {call(`"index":null,"id":null,"function":null`) + call(`"function":{"name":null,"arguments":null}`), []string{"alive", "alive"}},
		"index_by_position":     {delta(`"tool_calls":[{"id":"a"},{"id":"b"}]`), []string{`tool 0 id="a"`, `tool 1 id="b"`}},
		"parallel_calls":        {delta(`"tool_calls":[{"index":1,"id":"b"},{"index":0,"id":"a"}]`) + call(`"index":1,"function":{"arguments":"x"}`), []string{`tool 1 id="b"`, `tool 0 id="a"`, `tool 1 arguments="x"`}},
		"a_rune_cut_in_a_call":  {call(`"index":0,"function":{"arguments":"\ud83d"}`) + call(`"index":1,"function":{"arguments":"x"}`) + call(`"index":0,"function":{"arguments":"\ude00"}`), []string{"alive", `tool 1 arguments="x"`, `tool 0 arguments="😀"`}},
		"many_calls":            {delta(`"tool_calls":[{}`+strings.Repeat(`,{}`, 1023)+`]`) + call(`"index":1023,"id":"c"`), []string{"alive", `tool 1023 id="c"`}},
		"a_name_of_1_KiB":       {call(`"id":"` + strings.Repeat("x", 1024) + `"`), []string{`tool 0 id=1024 times "x"`}},
		"an_escaped_name_is_ok": {call(`"id":"` + strings.Repeat(`\u0078`, 1024) + `"`), []string{`tool 0 id=1024 times "x"`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := append(append([]string{"alive"}, test.want...), "alive", finished)
			check(t, ask(t, serve(t, stream(test.body+stop+done))), want...)
		})
	}
}

// Text that ended inside a rune has one U+FFFD at its end, before the token counts.
func TestRestsOfText(t *testing.T) {
	body := delta("\"content\":\"a\xf0\x9f\x98\"") + delta(`"reasoning":"\ud83d"`) + delta("\"refusal\":\"\xe2\"") +
		delta(`"tool_calls":[{"index":3,"function":{"arguments":"\ud83d"}},{"index":1,"function":{"arguments":"\ud83d"}}]`) + stop + counts + done
	check(t, ask(t, serve(t, stream(body))), "alive", `text "a"`, "alive", "alive", "alive", "alive", "alive",
		"reasoning \"\ufffd\"", "refusal \"\ufffd\"", "text \"\ufffd\"", "tool 1 arguments=\"\ufffd\"", "tool 3 arguments=\"\ufffd\"", usage, finished)
}

// What of a tool call can't be parsed.
func TestBrokenToolCalls(t *testing.T) {
	for name, calls := range map[string]string{
		"no_array":        `{}`,
		"no_object":       `["a"]`,
		"negative_index":  `[{"index":-1}]`,
		"huge_index":      `[{"index":2147483648}]`,
		"text_index":      `[{"index":"0"}]`,
		"number_id":       `[{"id":7}]`,
		"no_function":     `[{"function":"f"}]`,
		"number_name":     `[{"function":{"name":7}}]`,
		"object_argument": `[{"function":{"arguments":{}}}]`,
		"too_many":        `[{}` + strings.Repeat(`,{}`, 1024) + `]`,
		"long_id":         `[{"id":"` + strings.Repeat("x", 1025) + `"}]`,
		"long_name":       `[{"function":{"name":"` + strings.Repeat("x", 1025) + `"}}]`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, ask(t, serve(t, stream(delta(`"tool_calls":`+calls)+stop+done))), "alive", broke)
		})
	}
}

// How the upstream's words for the end are understood. The word is passed on, bounded.
func TestFinishReasons(t *testing.T) {
	for word, want := range map[string]string{
		"stop": "stop", "eos": "stop", "eos_token": "stop", "stop_sequence": "stop", "end_turn": "stop",
		"length": "length", "tool_calls": "tool_calls", "function_call": "tool_calls", "content_filter": "content_filter",
		"insufficient_system_resource": "other", "STOP": "other",
	} {
		t.Run(word, func(t *testing.T) {
			t.Parallel()
			body := `data: {"choices":[{"finish_reason":"` + word + `"}]}` + "\n\n"
			check(t, ask(t, serve(t, stream(body))), "alive", "alive", fmt.Sprintf("finished %s %q model=\"\" id=\"\" fingerprint=\"\"", want, word))
		})
	}
}

// The upstream's words are at most 256 bytes of valid UTF-8.
func TestWordsAreBounded(t *testing.T) {
	long := "x" + strings.Repeat("é", 200)
	body := `data: {"id":"` + long + `","model":"` + "\xff" + long + `","system_fingerprint":"` + long + `","choices":[{"finish_reason":"` + long + `"}]}` + "\n\n"
	short := "x" + strings.Repeat("é", 127)
	check(t, ask(t, serve(t, stream(body))), "alive", "alive",
		fmt.Sprintf("finished other %q model=%q id=%q fingerprint=%q", short, "\ufffd"+"x"+strings.Repeat("é", 126), short, short))
}

// The token counts that came last count, once.
func TestUsage(t *testing.T) {
	chunk := func(usage string) string { return `data: {"choices":[],"usage":` + usage + `}` + "\n\n" }
	for name, test := range map[string]struct{ body, want string }{
		"cumulative":    {chunk(`{"prompt_tokens":1,"completion_tokens":1}`) + chunk(`{"prompt_tokens":1,"completion_tokens":2}`), "usage prompt=1 completion=2 cached=0 reasoning=0"},
		"then_null":     {chunk(`{"prompt_tokens":1,"completion_tokens":1}`) + chunk(`null`), "usage prompt=1 completion=1 cached=0 reasoning=0"},
		"details":       {chunk(`{"prompt_tokens":9,"completion_tokens":8,"total_tokens":17,"prompt_tokens_details":{"audio_tokens":1,"cached_tokens":7},"completion_tokens_details":{"reasoning_tokens":6}}`), "usage prompt=9 completion=8 cached=7 reasoning=6"},
		"null_details":  {chunk(`{"prompt_tokens":9,"completion_tokens":8,"prompt_tokens_details":null,"completion_tokens_details":{"reasoning_tokens":null}}`), "usage prompt=9 completion=8 cached=0 reasoning=0"},
		"odd_numbers":   {chunk(`{"prompt_tokens":-9,"completion_tokens":1e99}`), "usage prompt=0 completion=0 cached=0 reasoning=0"},
		"without_any":   {chunk(`{}`), ""},
		"never":         {"", ""},
		"before_finish": {`data: {"id":"i","model":"m","choices":[{"delta":{"content":"a"}}],"usage":{"prompt_tokens":5,"completion_tokens":1}}` + "\n\n", "usage prompt=5 completion=1 cached=0 reasoning=0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := ask(t, serve(t, stream(test.body+stop+done)))
			if test.want != "" {
				if last := got[len(got)-2]; last != test.want {
					t.Errorf("before the end came %q, want %q", last, test.want)
				}
			}
			n := strings.Count(strings.Join(got, "\n"), "usage")
			if want := min(len(test.want), 1); n != want {
				t.Errorf("%d usage events, want %d: %q", n, want, got)
			}
		})
	}
}

// Choices besides the first are dropped and logged, once.
func TestOtherChoices(t *testing.T) {
	other := `data: {"choices":[{"index":1,"delta":{"content":"B"},"finish_reason":"length"},{"index":2}]}` + "\n\n"
	var log bytes.Buffer
	cfg := config(serve(t, stream(other+hello+other+stop+done)))
	cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	check(t, collect(t.Context(), t, newUpstream(t, cfg).Streamer(request(), "m")),
		"alive", "alive", `text "Hello"`, "alive", "alive", finished)
	if n := strings.Count(log.String(), "more than one choice"); n != 1 || !strings.Contains(log.String(), "upstream=up") {
		t.Errorf("logged %d times, want 1: %s", n, log.String())
	}
}

// Members that have no field are yielded if the request asks for it, and only then.
func TestExtensions(t *testing.T) {
	chunk := func(top, choice, delta string) string {
		return `data: {"id":"i","object":"chat.completion.chunk","created":1,"model":"m","system_fingerprint":null,"usage":null` + top +
			`,"choices":[{"index":0,"finish_reason":null` + choice + `,"delta":{"role":"assistant"` + delta + `}}]}` + "\n\n"
	}
	big := `,"a":"` + strings.Repeat("x", 48<<10) + `"`
	for name, test := range map[string]struct {
		body   string
		want   []string
		logged int
	}{
		"nothing_left": {body: chunk("", `,"logprobs":null`, `,"content":"t"`), want: []string{`text "t"`}},
		"top":          {body: chunk(`,"provider":"p","service_tier":"s","x":null`, "", ""), want: []string{`extension {"provider":"p","service_tier":"s"}`}},
		"choice": {
			body: chunk("", `,"logprobs": { "content" : [ 1.50 , "<\u00e9>" ] }`, `,"content":"t"`),
			want: []string{`text "t"`, `extension {"choice":{"logprobs":{ "content" : [ 1.50 , "<\u00e9>" ] }}}`},
		},
		"delta": {body: chunk("", "", `,"annotations":[],"audio":{}`), want: []string{`extension {"delta":{"annotations":[],"audio":{}}}`}},
		"all": {
			body: chunk(`,"t":1`, `,"c":2`, `,"d":3`),
			want: []string{`extension {"t":1,"choice":{"c":2},"delta":{"d":3}}`},
		},
		"names_that_are_ours":    {body: chunk(`,"choice":1,"d\u0065lta":2,"t":3`, "", ""), want: []string{`extension {"t":3}`}},
		"bytes_that_are_no_utf8": {body: chunk(",\"\xff\":\"\xff\"", "", ""), want: []string{"extension {\"\ufffd\":\"\ufffd\"}"}},
		"inside_a_known_member":  {body: chunk("", "", `,"tool_calls":[{"extra":1,"id":"c"}]`), want: []string{`tool 0 id="c"`}},
		"of_another_choice":      {body: `data: {"choices":[{"index":1,"logprobs":{},"delta":{"x":1}}]}` + "\n\n", want: []string{"alive"}},
		"of_the_chunk_before":    {body: chunk(`,"t":1`, "", "") + hello, want: []string{`extension {"t":1}`, `text "Hello"`}},
		"too_big":                {body: chunk(big, "", "") + chunk(big, "", `,"content":"t"`), want: []string{"alive", `text "t"`}, logged: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			cfg := config(serve(t, stream(test.body+stop+done)))
			cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
			u := newUpstream(t, cfg)
			req := request()
			for _, line := range collect(t.Context(), t, u.Streamer(req, "m")) {
				if strings.HasPrefix(line, "extension") {
					t.Errorf("nobody asked for %s", line)
				}
			}
			req.IncludeUpstreamExtensions = true
			check(t, collect(t.Context(), t, u.Streamer(req, "m")), append(append([]string{"alive"}, test.want...), "alive", finished)...)
			if n := strings.Count(log.String(), "over the limit"); n != test.logged {
				t.Errorf("logged %d times, want %d: %s", n, test.logged, log.String())
			}
		})
	}
}

// An extension is no token: comments after it still count as alive.
func TestExtensionIsNoToken(t *testing.T) {
	req := request()
	req.IncludeUpstreamExtensions = true
	u := newUpstream(t, config(serve(t, stream(`data: {"t":1}`+"\n\n: x\n"+hello+": y\n"+stop))))
	check(t, collect(t.Context(), t, u.Streamer(req, "m")), "alive", `extension {"t":1}`, "alive", `text "Hello"`, "alive", finished)
}

// Events are handed on as they come, not when the stream ends.
func TestNothingIsHeldBack(t *testing.T) {
	next := make(chan struct{})
	s := newUpstream(t, config(serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for _, piece := range []string{"", hello, "data: {\"choices\":[]}\r\r", hello, stop + done} {
			write(w, piece)
			select {
			case <-next:
			case <-r.Context().Done():
			}
		}
	}))).Streamer(request(), "m")
	var kinds []event.Kind
	for e, err := range s.Stream(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, e.Kind)
		if len(kinds) <= 4 {
			next <- struct{}{}
		}
	}
	close(next)
	want := []event.Kind{event.KindAlive, event.KindText, event.KindAlive, event.KindText, event.KindAlive, event.KindFinished}
	if !slices.Equal(kinds, want) {
		t.Errorf("kinds %v, want %v", kinds, want)
	}
}

// The log is told type and code of an error inside the stream, and none of its text.
func TestErrorsInTheStreamAreNamed(t *testing.T) {
	for body, want := range map[string]string{
		`data: {"error":{"message":"s3cr3t","type":"server_error","code":500}}`:         "openai: error in the stream, type server_error, code 500",
		`error: {"code":500,"message":"s3cr3t","type":"server_error"}`:                  "openai: error in the stream, type server_error, code 500",
		`data: {"object":"error","message":"s3cr3t","type":"BadRequestError","code":1}`: "openai: error in the stream, type BadRequestError, code 1",
		`data: {"error":{"type":"s3cr3t and more","code":"s3cr3t\n"}}`:                  "openai: error in the stream",
		strings.TrimSpace(hello):                 "openai: the stream ended without a finish reason",
		hello + "data: [DONE]":                   "openai: the stream ended without a finish reason",
		`data: s3cr3t`:                           "openai: a chunk that is no JSON object",
		`data: {"choices":[{"delta":"s3cr3t"}]}`: "openai: delta is no object",
	} {
		s := newUpstream(t, config(serve(t, stream(body+"\n\n")))).Streamer(request(), "m")
		for _, err := range s.Stream(t.Context()) {
			if err == nil {
				continue
			}
			checkError(t, err)
			if want := string(fault.UpstreamBroken) + ": " + want; err.Error() != want {
				t.Errorf("%s\ngives %q\nwant  %q", body, err, want)
			}
		}
	}
}
