package prepare

import (
	"cmp"
	"crypto/sha256"
	"time"

	"google.golang.org/protobuf/proto"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
	"github.com/sauron-stream/sauron/manager"
)

// A Route says how the requests for one model are prepared. It is immutable and
// safe for concurrent use.
type Route struct {
	name     string
	coalesce bool
	window   time.Duration
	revision [sha256.Size]byte

	upstream Upstream
	model    string             // empty if and only if the route passes on the caller's model
	defaults *sauronv1.Sampling // nil: none
	hook     *hook              // nil: none

	validate func(*sauronv1.GenerateRequest) error // what the hook's answer must satisfy
}

// newRoute returns the route that cfg describes, without its hook.
func newRoute(cfg RouteConfig, validate func(*sauronv1.GenerateRequest) error) *Route {
	r := &Route{
		name:     cfg.Model,
		coalesce: cfg.Coalesce,
		window:   cfg.ReplayWindow,
		upstream: cfg.Upstream,
		model:    cfg.UpstreamModel,
		defaults: proto.CloneOf(cfg.Defaults),
		validate: validate,
	}
	if cfg.Model != anyModel {
		r.model = cmp.Or(cfg.UpstreamModel, cfg.Model)
	}
	r.revision = revisionOf(r.model, cfg)
	return r
}

// Name returns the route's name: its model, or "*". It is from a closed list,
// never a caller's word.
func (r *Route) Name() string { return r.name }

// Revision returns a digest of all of the route's configuration that can change
// an answer. It is a part of a generation's key, so that an answer made by
// another configuration is never served.
func (r *Route) Revision() [sha256.Size]byte { return r.revision }

// Coalesce reports whether requests that do not say share their generation.
func (r *Route) Coalesce() bool { return r.coalesce }

// ReplayWindow returns how long a completed generation may be replayed; 0: not at
// all.
func (r *Route) ReplayWindow() time.Duration { return r.window }

// Preparer binds req to the route. req must not change any more; the preparer
// does not change it.
func (r *Route) Preparer(tenant string, req *sauronv1.GenerateRequest) manager.Preparer {
	return &preparer{route: r, tenant: tenant, request: req}
}

// upstreamModel returns the upstream's name for the model that was asked for.
func (r *Route) upstreamModel(asked string) string { return cmp.Or(r.model, asked) }
