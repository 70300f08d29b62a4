package config

import (
	"fmt"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// route reads one element of `routes`. The upstreams are read already.
func (l *loader) route(n *yaml.Node, at place) error {
	r := Route{Coalesce: l.cfg.Coalesce, ReplayWindow: l.cfg.ReplayWindow}
	err := object("a key of a route", map[string]decoder{
		"model":          scalar(into(&r.Model, l.newModel)),
		"upstream":       scalar(into(&r.Upstream, l.knownUpstream)),
		"upstream_model": scalar(into(&r.UpstreamModel, text)),
		"coalescing":     scalar(into(&r.Coalesce, coalescing)),
		"replay_window":  scalar(into(&r.ReplayWindow, duration(0, longest))),
		"defaults":       defaults(&r),
		"prepare":        hook(&r),
	})(n, at)
	if err != nil {
		return err
	}
	if r.Model == "" {
		return at.key("model").errorf(n, "is missing")
	}
	if r.Upstream == "" {
		return at.key("upstream").errorf(n, "is missing")
	}
	l.cfg.Routes = append(l.cfg.Routes, r)
	return nil
}

func (l *loader) newModel(s string) (string, error) {
	if slices.ContainsFunc(l.cfg.Routes, func(r Route) bool { return r.Model == s }) {
		return "", fmt.Errorf("%q has a route already", s)
	}
	return text(s)
}

func (l *loader) knownUpstream(s string) (string, error) {
	if !slices.ContainsFunc(l.cfg.Upstreams, func(u Upstream) bool { return u.Name == s }) {
		return "", fmt.Errorf("%q is not the name of an upstream", s)
	}
	return s, nil
}

func defaults(r *Route) decoder {
	return func(n *yaml.Node, at place) error {
		r.Defaults = &sauronv1.Sampling{}
		return sampling(r.Defaults)(n, at)
	}
}

func hook(r *Route) decoder {
	return func(n *yaml.Node, at place) error {
		r.Prepare = &Hook{Timeout: defaultHookTimeout}
		err := object("a key of prepare", map[string]decoder{
			"address": scalar(into(&r.Prepare.Address, target)),
			"timeout": scalar(into(&r.Prepare.Timeout, duration(time.Millisecond, longest))),
		})(n, at)
		if err == nil && r.Prepare.Address == "" {
			err = at.key("address").errorf(n, "is missing")
		}
		return err
	}
}
