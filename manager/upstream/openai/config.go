package openai

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
)

// Config describes one upstream. Counts and times are taken as they are: the
// defaults are the command line's.
type Config struct {
	Name       string            // a metric label and a log value
	BaseURL    string            // with its /v1; /chat/completions is appended to its path
	APIKey     string            // the bearer token; empty: no Authorization header
	Headers    map[string]string // sent with every request, over the package's own
	MaxStreams int               // besides the global slots; 0: no limit of its own

	// Tries is the number of attempts in all; 0 and 1 mean that none is repeated.
	Tries int
	// Within is how long after the start of the first attempt another one may still
	// start; 0: none.
	Within time.Duration

	Log *slog.Logger // nil: nothing is logged
}

// endpoint returns the address to post to, or all that is wrong with the
// configuration. No error holds the key or a header's value.
func (c Config) endpoint() (*url.URL, error) {
	var wrong []error
	base, err := url.Parse(c.BaseURL)
	switch {
	case err != nil:
		wrong = append(wrong, errors.New("the base URL can't be parsed"))
	case base.Scheme != "http" && base.Scheme != "https":
		wrong = append(wrong, errors.New("the base URL is neither http nor https"))
	case base.Hostname() == "":
		wrong = append(wrong, errors.New("the base URL has no host"))
	case base.User != nil:
		// It would be a key in the file, and would silently become a header.
		wrong = append(wrong, errors.New("the base URL has a user name or password"))
	case base.Fragment != "":
		wrong = append(wrong, errors.New("the base URL has a fragment"))
	}
	if !httpguts.ValidHeaderFieldValue(c.APIKey) {
		wrong = append(wrong, errors.New("the API key has characters that no header can carry"))
	}
	for name, value := range c.Headers {
		if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			wrong = append(wrong, fmt.Errorf("the header %q is not valid", name))
		}
	}
	if len(wrong) > 0 {
		slices.SortFunc(wrong, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
		return nil, fmt.Errorf("openai: upstream %q: %w", c.Name, errors.Join(wrong...))
	}
	return base.JoinPath("chat", "completions"), nil
}

// tokenLimit returns how the upstream at u spells the limit of generated tokens;
// the package doc says why.
func tokenLimit(u *url.URL) string {
	host := strings.ToLower(u.Hostname())
	for _, own := range []string{"api.openai.com", "openai.azure.com"} {
		if host == own || strings.HasSuffix(host, "."+own) {
			return "max_completion_tokens"
		}
	}
	return "max_tokens"
}
