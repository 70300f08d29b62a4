package client

import (
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/keepalive"
)

// DefaultBudget is how long a Client goes on trying without anything new.
const DefaultBudget = 30 * time.Second

// An Option changes a Client.
type Option func(*Client)

// WithBudget sets for how long the client goes on trying while nothing new comes; the
// tries that gRPC makes by itself count too. The
// time begins again when a stream is lost that the server had for a while: that was no
// idle try, the generation took its time. 0: it never tries again.
func WithBudget(d time.Duration) Option { return func(c *Client) { c.budget = d } }

// WithRetryHook has f called before each wait, from the iterating goroutine.
func WithRetryHook(f func(Retry)) Option { return func(c *Client) { c.onRetry = f } }

// A Retry is one more try that is about to be made.
type Retry struct {
	RequestID    string
	GenerationID string        // empty: the server has not yet named one, or it is gone
	After        int64         // the last event that was yielded; 0: none
	Wait         time.Duration // until the try
	Err          error         // what ended the stream
}

// RetryServiceConfig is a gRPC service config that heals what is refused before
// headers: a full queue, a server that drains or can't be reached. The server says by
// grpc-retry-pushback-ms when to come back. gRPC retries nothing after headers, for
// then the caller has seen a part of the answer: that is what Client does.
const RetryServiceConfig = `{"methodConfig": [{
	"name": [{"service": "sauron.v1.GenerationService"}],
	"retryPolicy": {
		"maxAttempts": 5, "initialBackoff": "0.2s", "maxBackoff": "5s", "backoffMultiplier": 2,
		"retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"]
	}
}]}`

// maxRetried is how long a request may be that gRPC retries, in bytes: a server takes no
// longer ones unless it is told to.
const maxRetried = 4 << 20

// DialOptions returns what makes a connection good for long streams:
// RetryServiceConfig, a keepalive that notices a peer which has vanished, and
// reconnecting that does not wait longer than a Client would, and room to send large
// requests again. Credentials are the caller's to add.
func DialOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithDefaultServiceConfig(RetryServiceConfig),
		// gRPC retries only what it has kept: by itself 256 KiB, which an image exceeds.
		grpc.WithDefaultCallOptions(grpc.MaxRetryRPCBufferSize(maxRetried)),
		// A server allows a ping every 10 s unless it is told otherwise. Sooner is better: it
		// keeps what was lost for about as long.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 12 * time.Second, Timeout: 5 * time.Second}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: firstWait, Multiplier: waitFactor, Jitter: 0.2, MaxDelay: longestWait},
			MinConnectTimeout: 5 * time.Second,
		}),
	}
}
