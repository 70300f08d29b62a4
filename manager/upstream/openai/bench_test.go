package openai

import (
	"bytes"
	"fmt"
	"log/slog"
	"testing"

	"github.com/sauron-stream/sauron/manager/event"
)

// BenchmarkChunk measures what one chunk of text costs from the bytes of the body to
// the event, without HTTP.
func BenchmarkChunk(b *testing.B) {
	const chunks = 1000
	for name, delta := range map[string]string{
		"text":      `{"content":" tok%03d"}`,
		"escaped":   `{"content":" \ntok%03d"}`,
		"tool_call": `{"tool_calls":[{"index":0,"function":{"arguments":" tok%03d"}}]}`,
	} {
		b.Run(name, func(b *testing.B) {
			var body bytes.Buffer
			for i := range chunks {
				fmt.Fprintf(&body, `data: {"id":"chatcmpl-kKYYe8aDgYaH_6Et","object":"chat.completion.chunk","created":1795354182,`+
					`"model":"gpt-4o","choices":[{"index":0,"delta":`+delta+`,"logprobs":null,"finish_reason":null}]}`+"\n\n", i)
			}
			body.WriteString(`data: {"choices":[{"delta":{},"finish_reason":"stop"}]}` + "\n\ndata: [DONE]\n\n")
			emit := func(event.Event) bool { return true }
			b.ReportAllocs()
			for b.Loop() {
				s := newStream(bytes.NewReader(body.Bytes()), slog.New(slog.DiscardHandler), false)
				if f := s.read(b.Context(), func() {}, emit); f != nil {
					b.Fatal(f.fault)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*chunks), "ns/chunk")
		})
	}
}
