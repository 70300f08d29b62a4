package openai

import (
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
	"github.com/sauron-stream/sauron/manager"
)

// An Upstream makes the streamers of one server. It is safe for concurrent use.
type Upstream struct {
	// Set by New, then read-only.
	name       manager.Upstream
	endpoint   *url.URL
	tokenLimit string      // the body member for the limit of tokens
	header     http.Header // of every request
	host       string      // sent instead of the address's own; empty: not
	tries      int
	within     time.Duration
	log        *slog.Logger // with the upstream's name

	client *http.Client // safe by itself
}

// New returns an Upstream, or an error that names all that is wrong with cfg. It
// connects to nothing. The caller must Close it.
func New(cfg Config) (*Upstream, error) {
	return newUpstream(cfg, &http.Transport{
		Proxy:       http.ProxyFromEnvironment, // which leaves loopback addresses alone
		DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext,

		// As many idle connections as there may well be streams: whoever had to close
		// one pays for a handshake at the next first token.
		MaxIdleConnsPerHost: 256,
		IdleConnTimeout:     90 * time.Second,
		TLSHandshakeTimeout: 10 * time.Second,
		// A compressor on the way would hold tokens back.
		DisableCompression: true,

		// Streams share an HTTP/2 connection, so one that died unseen would stall all of
		// them, and all that follow.
		ForceAttemptHTTP2: true,
		HTTP2:             &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 15 * time.Second},
	})
}

// newUpstream is New with the transport given.
func newUpstream(cfg Config, transport http.RoundTripper) (*Upstream, error) {
	endpoint, err := cfg.endpoint()
	if err != nil {
		return nil, err
	}
	u := &Upstream{
		name:       manager.Upstream{Name: cfg.Name, MaxStreams: cfg.MaxStreams},
		endpoint:   endpoint,
		tokenLimit: tokenLimit(endpoint),
		tries:      cfg.Tries,
		within:     cfg.Within,
		log:        slog.New(slog.DiscardHandler),
		header: http.Header{
			"Accept":       {"text/event-stream"},
			"Content-Type": {"application/json"},
			"User-Agent":   {"sauron"},
		},
		client: &http.Client{
			Transport: transport,
			// No redirect is followed; see the package doc.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	if cfg.Log != nil {
		u.log = cfg.Log.With(slog.String("upstream", cfg.Name))
	}
	if cfg.APIKey != "" {
		u.header.Set("Authorization", "Bearer "+cfg.APIKey)
	}
	for name, value := range cfg.Headers {
		u.header.Set(name, value)
	}
	u.host = u.header.Get("Host") // net/http sends the request's own, never the header
	return u, nil
}

// Streamer returns the streamer of one generation. req is not kept: the body is
// made here. A request that has no body, because a hook put text that is no JSON
// into it, fails when it is streamed.
func (u *Upstream) Streamer(req *sauronv1.GenerateRequest, model string) manager.Streamer {
	body, err := newBody(req, model, u.tokenLimit)
	return &streamer{
		upstream:   u,
		body:       body,
		bodyErr:    err,
		extensions: req.GetIncludeUpstreamExtensions(),
		retries:    retries{tries: u.tries, within: u.within},
	}
}

// Close closes idle connections. Streams that run are not touched: their contexts
// end them.
func (u *Upstream) Close() { u.client.CloseIdleConnections() }
