package config

import (
	"time"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// AnyModel is the model of the route for every model that has none of its own.
const AnyModel = "*"

// A Route says how requests for one model are served.
type Route struct {
	Model         string        // what callers ask for, or AnyModel
	Upstream      string        // the name of one of the upstreams
	UpstreamModel string        // empty: the model as the caller names it
	Coalesce      bool          // share a generation unless the request says otherwise
	ReplayWindow  time.Duration // how long completed generations may be replayed; 0: not at all
	Defaults      *sauronv1.Sampling
	Prepare       *Hook // nil: none
}

// A Hook is a PrepareService of the user's.
type Hook struct {
	Address string        // a gRPC target
	Timeout time.Duration // of one call
}

// defaultHookTimeout is how long a hook may take that does not say.
const defaultHookTimeout = 10 * time.Second
