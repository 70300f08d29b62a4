package config

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"golang.org/x/net/http/httpguts"

	"github.com/sauron-stream/sauron/manager/upstream/sim"
)

// The types of upstream.
const (
	typeOpenAI = "openai"
	typeSim    = "sim"
)

var variableName = regexp.MustCompile(`^[A-Z_][A-Z0-9_]*$`)

// upstream reads one element of `upstreams`. Its type says which keys it has, so
// that is read first, wherever it stands.
func (l *loader) upstream(n *yaml.Node, at place) error {
	kind, err := upstreamType(n, at)
	if err != nil {
		return err
	}
	var u Upstream
	fields := map[string]decoder{
		"name":        scalar(into(&u.Name, l.newUpstreamName)),
		"type":        func(*yaml.Node, place) error { return nil },
		"max_streams": scalar(into(&u.MaxStreams, count(0, math.MaxInt32))),
	}
	what := "a key of a sim upstream"
	if kind == typeOpenAI {
		what = "a key of an openai upstream"
		u.OpenAI = newOpenAI()
		l.openAIFields(u.OpenAI, fields)
	} else {
		u.Sim = new(Sim)
		*u.Sim = l.cfg.Sim
		simFields(u.Sim, fields)
	}
	if err := object(what, fields)(n, at); err != nil {
		return err
	}
	if u.Name == "" {
		return at.key("name").errorf(n, "is missing")
	}
	if u.OpenAI != nil && u.OpenAI.BaseURL == "" {
		return at.key("base_url").errorf(n, "is missing")
	}
	l.cfg.Upstreams = append(l.cfg.Upstreams, u)
	return nil
}

func upstreamType(n *yaml.Node, at place) (string, error) {
	var kind string
	read := mapping(func(key *yaml.Node, _ place) (decoder, error) {
		if key.Value == "type" {
			return scalar(into(&kind, oneOf(typeOpenAI, typeSim))), nil
		}
		return func(*yaml.Node, place) error { return nil }, nil
	})
	if err := read(n, at); err != nil {
		return "", err
	}
	if kind == "" {
		return "", at.key("type").errorf(n, "is missing")
	}
	return kind, nil
}

func (l *loader) newUpstreamName(s string) (string, error) {
	if slices.ContainsFunc(l.cfg.Upstreams, func(u Upstream) bool { return u.Name == s }) {
		return "", fmt.Errorf("%q is the name of another upstream", s)
	}
	return text(s)
}

func (l *loader) openAIFields(u *OpenAI, fields map[string]decoder) {
	fields["base_url"] = scalar(into(&u.BaseURL, baseURL))
	fields["api_key_env"] = scalar(into(&u.APIKey, l.keyFrom))
	fields["headers"] = headers(u)
	fields["retry"] = object("a key of retry", map[string]decoder{
		"tries":  scalar(into(&u.Tries, count(1, math.MaxInt32))),
		"within": scalar(into(&u.Within, duration(0, longest))),
	})
}

func simFields(u *Sim, fields map[string]decoder) {
	fields["first_token"] = scalar(into(&u.FirstToken, duration(0, maxSimPause)))
	fields["inter_token"] = scalar(into(&u.InterToken, duration(0, maxSimPause)))
	fields["tokens"] = scalar(into(&u.Tokens, count(1, maxSimTokens)))
	fields["fault"] = simFault(&u.Fault)
}

func simFault(f *sim.Fault) decoder {
	read := object("a key of fault", map[string]decoder{
		"kind": scalar(into(&f.Kind, oneOf(sim.NoFault, sim.FaultError, sim.FaultBreak,
			sim.FaultStall, sim.FaultRateLimit, sim.FaultGarbage))),
		"after_tokens": scalar(into(&f.AfterTokens, count(0, maxSimTokens))),
		"status":       scalar(into(&f.Status, count(400, 599))),
		"retry_after":  scalar(into(&f.RetryAfter, duration(0, maxSimPause))),
	})
	return func(n *yaml.Node, at place) error {
		err := read(n, at)
		if err == nil && f.Kind == "" {
			err = at.key("kind").errorf(n, "is missing")
		}
		return err
	}
}

// keyFrom returns the key in the environment variable called name. One who
// writes the key itself there must not find it in a log, so only what looks like
// a variable's name is repeated.
func (l *loader) keyFrom(name string) (Secret, error) {
	quoted := "it"
	if variableName.MatchString(name) {
		quoted = name
	}
	v, ok := l.env(name)
	switch {
	case !ok:
		return Secret{}, fmt.Errorf("must name an environment variable, but %s is not set", quoted)
	case v == "":
		return Secret{}, fmt.Errorf("the environment variable %s is empty", quoted)
	}
	return apiKey(v)
}

// apiKey takes what can be sent as a bearer token.
func apiKey(s string) (Secret, error) {
	if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return Secret{}, errors.New("the key holds a space or what is not ASCII")
	}
	return NewSecret(s), nil
}

// headers reads what is sent besides what the service itself sends. The values
// are not repeated in errors.
func headers(u *OpenAI) decoder {
	own := []string{"Authorization", "Accept", "Content-Type", "Content-Length", "Connection", "Transfer-Encoding"}
	return mapping(func(key *yaml.Node, at place) (decoder, error) {
		name := http.CanonicalHeaderKey(key.Value)
		switch {
		case !httpguts.ValidHeaderFieldName(key.Value):
			return nil, at.errorf(key, "is not the name of a header")
		case name == "Authorization":
			return nil, at.errorf(key, "belongs to api_key_env: keys never stand in the file")
		case slices.Contains(own, name):
			return nil, at.errorf(key, "is set by the service itself")
		}
		if _, ok := u.Headers[name]; ok {
			return nil, at.errorf(key, "is already set in another spelling")
		}
		return scalar(func(v string) error {
			if !httpguts.ValidHeaderFieldValue(v) {
				return errors.New("holds what cannot stand in a header")
			}
			if u.Headers == nil {
				u.Headers = map[string]string{}
			}
			u.Headers[name] = v
			return nil
		}), nil
	})
}
