package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// chatPath is the one endpoint that matters, below a server's root.
const chatPath = "/v1/chat/completions"

// An answer is what a stream of chat completion chunks has carried. It reads the
// few members that the tests compare, by a parser that shares nothing with
// sauron's. The zero value is ready; what passes is written to it.
type answer struct {
	chunks int    // data lines, [DONE] not among them
	text   string // of the first choice
	tokens int64  // generated, from the usage chunk
	done   bool   // [DONE] has passed

	rest []byte // of a line whose end has not passed
}

// Write takes the next bytes of the stream. It never fails.
func (a *answer) Write(p []byte) (int, error) {
	a.rest = append(a.rest, p...)
	for {
		line, rest, found := bytes.Cut(a.rest, []byte("\n"))
		if !found {
			return len(p), nil
		}
		a.rest = rest
		if data, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte("data:")); ok {
			a.take(bytes.TrimSpace(data))
		}
	}
}

func (a *answer) take(data []byte) {
	if string(data) == "[DONE]" {
		a.done = true
		return
	}
	a.chunks++
	var chunk struct {
		Choices []struct {
			Delta struct {
				Content string `json:"content"`
			} `json:"delta"`
		} `json:"choices"`
		Usage struct {
			CompletionTokens int64 `json:"completion_tokens"`
		} `json:"usage"`
	}
	if json.Unmarshal(data, &chunk) != nil {
		return // counted; a text that lacks it will be found to differ
	}
	if len(chunk.Choices) > 0 {
		a.text += chunk.Choices[0].Delta.Content
	}
	if chunk.Usage.CompletionTokens > 0 {
		a.tokens = chunk.Usage.CompletionTokens
	}
}

// ask sends a chat completion body to the server at base and reads the whole
// answer.
func ask(ctx context.Context, base *url.URL, body []byte) (answer, error) {
	var a answer
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base.JoinPath(chatPath).String(), bytes.NewReader(body))
	if err != nil {
		return a, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return a, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 500)) // the status says enough
		return a, fmt.Errorf("%s: %s", resp.Status, text)
	}
	_, err = io.Copy(&a, resp.Body)
	return a, err
}

// get reads a small resource.
func get(ctx context.Context, u *url.URL) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", u.Path, resp.Status)
	}
	return io.ReadAll(io.LimitReader(resp.Body, 16<<20))
}
