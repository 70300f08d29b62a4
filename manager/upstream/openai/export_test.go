package openai

import "net/http"

// NewWithTransport is New with another transport, for a network with fake time.
func NewWithTransport(cfg Config, transport http.RoundTripper) (*Upstream, error) {
	return newUpstream(cfg, transport)
}
