package main

import (
	"errors"
	"log/slog"

	"github.com/sauron-stream/sauron/cmd/sauron/config"
	"github.com/sauron-stream/sauron/manager"
	"github.com/sauron-stream/sauron/manager/prepare"
	"github.com/sauron-stream/sauron/manager/upstream/openai"
	"github.com/sauron-stream/sauron/manager/upstream/sim"
	"github.com/sauron-stream/sauron/server"
)

// backends are the routes of one configuration and all that they lead to.
type backends struct {
	routes *prepare.Routes // nil until all upstreams are there
	openai []*openai.Upstream
}

// newBackends makes the upstreams and routes of cfg. It connects to nothing. The
// caller must close them.
func newBackends(cfg *config.Config, log *slog.Logger) (*backends, error) {
	b := &backends{}
	upstreams := make(map[string]prepare.Upstream, len(cfg.Upstreams))
	digests := make(map[string][]byte, len(cfg.Upstreams))
	for _, u := range cfg.Upstreams {
		upstream, err := b.upstream(u, log)
		if err != nil {
			return nil, errors.Join(err, b.close())
		}
		upstreams[u.Name], digests[u.Name] = upstream, u.Digest()
	}
	routes := make([]prepare.RouteConfig, 0, len(cfg.Routes))
	for _, r := range cfg.Routes {
		route := prepare.RouteConfig{
			Model:          r.Model,
			Upstream:       upstreams[r.Upstream],
			UpstreamName:   r.Upstream,
			UpstreamDigest: digests[r.Upstream],
			UpstreamModel:  r.UpstreamModel,
			Coalesce:       r.Coalesce,
			ReplayWindow:   r.ReplayWindow,
			Defaults:       r.Defaults,
		}
		if r.Prepare != nil {
			route.Hook = &prepare.HookConfig{Address: r.Prepare.Address, Timeout: r.Prepare.Timeout}
		}
		routes = append(routes, route)
	}
	var err error
	if b.routes, err = prepare.New(routes, server.Validate, log); err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

func (b *backends) upstream(u config.Upstream, log *slog.Logger) (prepare.Upstream, error) {
	if u.Sim != nil {
		return sim.New(sim.Config{
			Name:       u.Name,
			MaxStreams: u.MaxStreams,
			FirstToken: u.Sim.FirstToken,
			InterToken: u.Sim.InterToken,
			Tokens:     u.Sim.Tokens,
			Fault:      u.Sim.Fault,
		})
	}
	upstream, err := openai.New(openai.Config{
		Name:       u.Name,
		BaseURL:    u.OpenAI.BaseURL,
		APIKey:     u.OpenAI.APIKey.Reveal(),
		Headers:    u.OpenAI.Headers,
		MaxStreams: u.MaxStreams,
		Tries:      u.OpenAI.Tries,
		Within:     u.OpenAI.Within,
		Log:        log,
	})
	if err != nil {
		return nil, err
	}
	b.openai = append(b.openai, upstream)
	return upstream, nil
}

// close closes all connections. No generation may be running.
func (b *backends) close() error {
	var err error
	if b.routes != nil {
		err = b.routes.Close()
	}
	for _, u := range b.openai {
		u.Close()
	}
	return err
}

// serverConfig returns the server's part of cfg.
func serverConfig(cfg *config.Config, routes *prepare.Routes, log *slog.Logger) server.Config {
	return server.Config{
		Listen:      cfg.Listen,
		AdminListen: cfg.AdminListen,
		AdminPprof:  cfg.AdminPprof,
		Manager: manager.Config{
			MaxConcurrentRequests:   cfg.MaxConcurrentRequests,
			MaxConcurrentLLMStreams: cfg.MaxConcurrentLLMStreams,
			QueueCapacity:           cfg.QueueCapacity,
			PreparedBacklog:         cfg.PreparedBacklog,
			MaxQueueWait:            cfg.MaxQueueWait,
			OrphanGrace:             cfg.OrphanGrace,
			IDMemory:                cfg.IDMemory,
			GenerationTimeout:       cfg.GenerationTimeout,
			UpstreamIdleTimeout:     cfg.UpstreamIdleTimeout,
			MaxGenerationBytes:      cfg.MaxGenerationBytes,
			MaxLogBytes:             cfg.MaxLogBytes,
		},
		Routes:               routes,
		SlowConsumerTimeout:  cfg.SlowConsumerTimeout,
		CoalesceInterval:     cfg.CoalesceInterval,
		MaxRequestBytes:      int(cfg.MaxRequestBytes),
		DrainDelay:           cfg.DrainDelay,
		DrainTimeout:         cfg.DrainTimeout,
		KeepaliveTime:        cfg.KeepaliveTime,
		KeepaliveTimeout:     cfg.KeepaliveTimeout,
		KeepaliveMinInterval: cfg.KeepaliveMinInterval,
		MaxConnectionAge:     cfg.MaxConnectionAge,
		Log:                  log,
		Version:              buildVersion(),
	}
}
