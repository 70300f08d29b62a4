package prepare

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// RouteConfig describes one route. It is read by New and not kept by reference.
type RouteConfig struct {
	Model string // what callers ask for: exact, or "*" for all that no other route has

	Upstream       Upstream
	UpstreamName   string // from the configuration
	UpstreamDigest []byte // of the upstream's configuration: all of it that can change an answer
	// UpstreamModel is what the upstream is asked for. Empty: Model; for "*": what
	// the caller asked for, or the hook in its place.
	UpstreamModel string

	Coalesce bool // whether requests that do not say share their generation
	// ReplayWindow is how long completed generations may be replayed; 0: not at all.
	ReplayWindow time.Duration
	Defaults     *sauronv1.Sampling // for what requests leave out; nil: none
	Hook         *HookConfig        // nil: none
}

// problems returns all that is wrong with c by itself. The defaults are checked
// as the sampling of the least request there is.
func (c RouteConfig) problems(validate func(*sauronv1.GenerateRequest) error) []error {
	var errs []error
	if c.Model == "" {
		errs = append(errs, errors.New("model is empty"))
	}
	if c.Upstream == nil {
		errs = append(errs, errors.New("no upstream"))
	}
	if c.UpstreamName == "" {
		errs = append(errs, errors.New("upstream name is empty"))
	}
	if _, err := encodeDefaults(c.Defaults); err != nil {
		errs = append(errs, errors.New("defaults: text is not UTF-8"))
	} else if c.Defaults != nil {
		probe := &sauronv1.GenerateRequest{
			Model:    anyModel,
			Messages: []*sauronv1.Message{{Role: sauronv1.Role_ROLE_USER, Content: "-"}},
			Sampling: proto.CloneOf(c.Defaults),
		}
		if err := validate(probe); err != nil {
			errs = append(errs, fmt.Errorf("defaults: %w", err))
		}
	}
	if c.Hook != nil {
		errs = append(errs, c.Hook.problems()...)
	}
	return errs
}
