package prepare

import (
	"context"
	"errors"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
	"github.com/sauron-stream/sauron/manager"
)

// Ways for a hook's answer to break the contract, for the log.
var (
	errNoRequest    = errors.New("it holds no request")
	errModelChanged = errors.New("it changes the model, which this route does not allow")
)

// A preparer prepares one generation. It is immutable.
type preparer struct {
	route   *Route
	tenant  string
	request *sauronv1.GenerateRequest // the caller's message: never changed
}

// Prepare returns the streamer of what is to be asked. If ctx ends first, the
// error is its cause.
func (p *preparer) Prepare(ctx context.Context, generationID string) (manager.Streamer, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	req := proto.CloneOf(p.request)
	clearPersonal(req)
	applyDefaults(req, p.route.defaults)
	if p.route.hook != nil {
		answer, err := p.route.hook.prepare(ctx, &sauronv1.PrepareRequest{
			Tenant: p.tenant, GenerationId: generationID, Request: req,
		})
		if err != nil {
			return nil, err
		}
		clearPersonal(answer)
		if answer != nil && answer.Model == "" {
			answer.Model = req.GetModel() // a hook that makes a fresh request need not repeat it
		}
		if err := p.route.check(req, answer); err != nil {
			return nil, brokenAnswer(err)
		}
		req = answer
	}
	return p.route.upstream.Streamer(req, p.route.upstreamModel(req.GetModel())), nil
}

// clearPersonal clears what belongs to one request and not to the generation
// that requests share. A nil req is left alone.
func clearPersonal(req *sauronv1.GenerateRequest) {
	if req != nil {
		req.RequestId, req.Coalescing, req.Resume, req.OrphanGrace = "", 0, nil, nil
	}
}

// applyDefaults sets what req leaves out of its sampling. It goes by field, so a
// field that is added later has a default too.
func applyDefaults(req *sauronv1.GenerateRequest, defaults *sauronv1.Sampling) {
	if defaults == nil {
		return
	}
	if req.Sampling == nil {
		req.Sampling = &sauronv1.Sampling{}
	}
	to := req.Sampling.ProtoReflect()
	// The clone keeps lists from being shared with whatever changes req later.
	proto.CloneOf(defaults).ProtoReflect().Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if !to.Has(fd) {
			to.Set(fd, v)
		}
		return true
	})
}

// check returns in what the hook's answer to asked breaks the contract, or nil.
func (r *Route) check(asked, answer *sauronv1.GenerateRequest) error {
	switch {
	case answer == nil:
		return errNoRequest
	case r.model != "" && answer.GetModel() != asked.GetModel():
		return errModelChanged
	}
	return r.validate(answer)
}
