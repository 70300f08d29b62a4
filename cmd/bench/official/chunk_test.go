package official

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	library "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
	"github.com/sauron-stream/sauron/manager/event"
	"github.com/sauron-stream/sauron/manager/upstream/openai"
)

const chunks = 10_000

// serve answers each request with chunks deltas of one token, in as few writes as they
// fit in: what the reader needs is measured, not what the server does.
func serve(b *testing.B) string {
	b.Helper()
	var body bytes.Buffer
	for i := range chunks {
		fmt.Fprintf(&body, `data: {"id":"chatcmpl-kKYYe8aDgYaH_6Et","object":"chat.completion.chunk","created":1795354182,`+
			`"model":"gpt-4o","choices":[{"index":0,"delta":{"content":" tok%03d"},"logprobs":null,"finish_reason":null}]}`+"\n\n", i%1000)
	}
	body.WriteString(`data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\ndata: [DONE]\n\n")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = w.Write(body.Bytes())
	}))
	b.Cleanup(server.Close)
	return server.URL + "/v1"
}

func report(b *testing.B, texts int) {
	b.Helper()
	if texts != b.N*chunks {
		b.Fatalf("%d deltas, want %d", texts, b.N*chunks)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*chunks), "ns/chunk")
}

// From the socket to an event of Sauron's.
func BenchmarkSauron(b *testing.B) {
	upstream, err := openai.New(openai.Config{Name: "bench", BaseURL: serve(b), Tries: 1})
	if err != nil {
		b.Fatal(err)
	}
	streamer := upstream.Streamer(&sauronv1.GenerateRequest{
		Messages: []*sauronv1.Message{{Role: sauronv1.Role_ROLE_USER, Content: "hi"}},
	}, "gpt-4o")
	texts := 0
	b.ReportAllocs()
	for b.Loop() {
		for e, err := range streamer.Stream(b.Context()) {
			if err != nil {
				b.Fatal(err)
			}
			if e.Kind == event.KindText {
				texts++
			}
		}
	}
	report(b, texts)
}

// From the socket to a chunk of the official library's.
func BenchmarkOpenAIGo(b *testing.B) {
	client := library.NewClient(option.WithBaseURL(serve(b)), option.WithAPIKey("-"))
	texts := 0
	b.ReportAllocs()
	for b.Loop() {
		stream := client.Chat.Completions.NewStreaming(b.Context(), library.ChatCompletionNewParams{
			Model: "gpt-4o", Messages: []library.ChatCompletionMessageParamUnion{library.UserMessage("hi")},
		})
		for stream.Next() {
			if c := stream.Current().Choices; len(c) > 0 && c[0].Delta.Content != "" {
				texts++
			}
		}
		if err := stream.Err(); err != nil {
			b.Fatal(err)
		}
	}
	report(b, texts)
}
