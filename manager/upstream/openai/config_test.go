package openai_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
	"github.com/sauron-stream/sauron/manager"
	"github.com/sauron-stream/sauron/manager/upstream/openai"
)

// What New refuses. It names all that is wrong, but neither key nor header value.
func TestBadConfig(t *testing.T) {
	for name, test := range map[string]struct {
		cfg  openai.Config
		want []string
	}{
		"no_url":      {openai.Config{}, []string{"neither http nor https"}},
		"no_scheme":   {openai.Config{BaseURL: "127.0.0.1:8000/v1"}, []string{"can't be parsed"}},
		"ftp":         {openai.Config{BaseURL: "ftp://host/v1"}, []string{"neither http nor https"}},
		"no_host":     {openai.Config{BaseURL: "http:///v1"}, []string{"has no host"}},
		"a_password":  {openai.Config{BaseURL: "http://user:s3cr3t@host/v1"}, []string{"user name or password"}},
		"a_fragment":  {openai.Config{BaseURL: "http://host/v1#s3cr3t"}, []string{"a fragment"}},
		"odd_url":     {openai.Config{BaseURL: "http://s3cr3t host/v1"}, []string{"can't be parsed"}},
		"a_bad_key":   {openai.Config{BaseURL: "http://host/v1", APIKey: "s3cr3t\n"}, []string{"the API key"}},
		"bad_headers": {openai.Config{BaseURL: "http://host/v1", Headers: map[string]string{"X Y": "s3cr3t", "X-Z": "s3cr3t\r\n"}}, []string{`header "X Y"`, `header "X-Z"`}},
		"all_of_it":   {openai.Config{Name: "up", BaseURL: "x", APIKey: "\x00s3cr3t", Headers: map[string]string{"": "s3cr3t"}}, []string{`upstream "up"`, "neither http nor https", "the API key", `header ""`}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := openai.New(test.cfg)
			if err == nil {
				t.Fatal("it was taken")
			}
			checkError(t, err)
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
		})
	}
}

// The name and the limit of an upstream reach the manager.
func TestUpstreamNamesItself(t *testing.T) {
	cfg := config("http://127.0.0.1:1/v1")
	cfg.MaxStreams = 4
	if got, want := newUpstream(t, cfg).Streamer(request(), "m").Upstream(), (manager.Upstream{Name: "up", MaxStreams: 4}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// roundTrip is a transport that is a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// OpenAI's own servers are told the limit of tokens by its newer name, all others by
// the one that every server knows.
func TestTokenLimit(t *testing.T) {
	for baseURL, want := range map[string]string{
		"https://api.openai.com/v1":           "max_completion_tokens",
		"https://API.OpenAI.com:443/v1":       "max_completion_tokens",
		"https://eu.api.openai.com/v1":        "max_completion_tokens",
		"https://me.openai.azure.com/openai/": "max_completion_tokens",
		"https://api.openai.com.example/v1":   "max_tokens",
		"https://notapi.openai.com/v1":        "max_tokens",
		"http://127.0.0.1:8000/v1":            "max_tokens",
	} {
		var body map[string]any
		u, err := openai.NewWithTransport(config(baseURL), roundTrip(func(r *http.Request) (*http.Response, error) {
			if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
				t.Error(err)
			}
			return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(hello + stop + done))}, nil
		}))
		if err != nil {
			t.Fatal(err)
		}
		req := request()
		req.Sampling = &sauronv1.Sampling{MaxTokens: proto.Int32(9)}
		collect(t.Context(), t, u.Streamer(req, "m"))
		var got strings.Builder
		for _, name := range []string{"max_tokens", "max_completion_tokens"} {
			if body[name] == 9.0 {
				got.WriteString(name)
			}
		}
		if got.String() != want {
			t.Errorf("%s is told %q, want %s", baseURL, got.String(), want)
		}
	}
}
