package config

import "fmt"

// openAIKey is the environment variable with the key for the one upstream of
// --openai-base-url. It is not a setting: keys have one spelling alone.
const openAIKey = "OPENAI_API_KEY"

// readBackends fills in upstreams and routes. The settings are read already.
func (l *loader) readBackends() error {
	file := place{file: l.cfg.File}
	base := l.cfg.OpenAIBaseURL
	switch {
	case l.upstreams == nil && l.routes == nil && base != "":
		return l.serveOpenAI()
	case l.upstreams == nil && l.routes == nil:
		l.serveSimulator()
		return nil
	case l.upstreams == nil:
		return file.key(keyRoutes).errorf(l.routes, "without upstreams")
	case l.routes == nil:
		return file.key(keyUpstreams).errorf(l.upstreams, "without routes")
	case base != "":
		return fmt.Errorf("%s: cannot stand beside the upstreams of %s:%d",
			l.source[openAIBaseURL], file.file, l.upstreams.Line)
	}
	if err := list(l.upstream)(l.upstreams, file.key(keyUpstreams)); err != nil {
		return err
	}
	return list(l.route)(l.routes, file.key(keyRoutes))
}

// serveOpenAI makes the one upstream of --openai-base-url.
func (l *loader) serveOpenAI() error {
	u := newOpenAI()
	u.BaseURL = l.cfg.OpenAIBaseURL
	if v, _ := l.env(openAIKey); v != "" {
		key, err := apiKey(v)
		if err != nil {
			return fmt.Errorf("%s: %w", openAIKey, err)
		}
		u.APIKey = key
	}
	l.serveAll(Upstream{Name: "openai", OpenAI: u})
	return nil
}

// serveSimulator makes the upstream of a configuration that names none.
func (l *loader) serveSimulator() {
	pace := l.cfg.Sim
	l.cfg.BuiltInSimulator = true
	l.serveAll(Upstream{Name: "simulator", Sim: &pace})
}

// serveAll serves every model from u.
func (l *loader) serveAll(u Upstream) {
	l.cfg.Upstreams = []Upstream{u}
	l.cfg.Routes = []Route{{Model: AnyModel, Upstream: u.Name, Coalesce: l.cfg.Coalesce, ReplayWindow: l.cfg.ReplayWindow}}
}
