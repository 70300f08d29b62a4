package prepare_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
	"github.com/sauron-stream/sauron/manager/prepare"
)

// The exact route wins over "*", which takes all others.
func TestResolve(t *testing.T) {
	up := &fakeUpstream{}
	route := func(model string) prepare.RouteConfig {
		return prepare.RouteConfig{Model: model, Upstream: up, UpstreamName: "up"}
	}
	exact := []prepare.RouteConfig{route("b"), route("a")}
	for _, tt := range []struct {
		name  string
		cfgs  []prepare.RouteConfig
		model string
		want  string // empty: none
	}{
		{"exact", exact, "a", "a"},
		{"none", exact, "c", ""},
		{"no_prefix", exact, "aa", ""},
		{"no_star", exact, "*", ""},
		{"exact_before_star", append(exact, route("*")), "a", "a"},
		{"star", append(exact, route("*")), "c", "*"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, ok := newRoutes(t, tt.cfgs).Resolve(tt.model)
			if ok != (tt.want != "") {
				t.Fatalf("found = %v, want %v", ok, tt.want != "")
			}
			if ok && r.Name() != tt.want {
				t.Errorf("route = %q, want %q", r.Name(), tt.want)
			}
		})
	}
}

func TestCoalesce(t *testing.T) {
	for _, want := range []bool{false, true} {
		routes := newRoutes(t, []prepare.RouteConfig{{Model: "m", Upstream: &fakeUpstream{}, UpstreamName: "up", Coalesce: want, ReplayWindow: time.Minute}})
		if got := resolve(t, routes, "m").Coalesce(); got != want {
			t.Errorf("Coalesce() = %v, want %v", got, want)
		}
		if got := resolve(t, routes, "m").ReplayWindow(); got != time.Minute {
			t.Errorf("ReplayWindow() = %v, want 1m", got)
		}
	}
}

// Every setting is checked, and the problems of all routes are reported together.
func TestNewProblems(t *testing.T) {
	validate := func(r *sauronv1.GenerateRequest) error {
		if len(r.GetMessages()) != 1 || r.GetModel() == "" {
			t.Errorf("defaults are checked in %v, which is no whole request", r)
		}
		if r.GetSampling().GetMaxTokens() < 0 {
			return errors.New("sampling.max_tokens")
		}
		return nil
	}
	route := func(change func(*prepare.RouteConfig)) prepare.RouteConfig {
		c := hooked(&fakeUpstream{})
		c.Defaults = &sauronv1.Sampling{MaxTokens: new(int32(1))}
		change(&c)
		return c
	}
	same := func(*prepare.RouteConfig) {}
	hook := func(c prepare.HookConfig) func(*prepare.RouteConfig) {
		return func(r *prepare.RouteConfig) { r.Hook = &c }
	}
	for _, tt := range []struct {
		name string
		cfgs []prepare.RouteConfig
		want []string
	}{
		{"right", []prepare.RouteConfig{route(same)}, nil},
		{"dns", []prepare.RouteConfig{route(hook(prepare.HookConfig{Address: "dns:///hook:1"}))}, nil},
		{"host_and_port", []prepare.RouteConfig{route(hook(prepare.HookConfig{Address: "localhost:1"}))}, nil},
		{"unix", []prepare.RouteConfig{route(hook(prepare.HookConfig{Address: "unix:/hook.sock", Timeout: 1}))}, nil},
		{"none", nil, []string{"no routes"}},
		{"model", []prepare.RouteConfig{route(func(c *prepare.RouteConfig) { c.Model = "" })}, []string{"model is empty"}},
		{"upstream", []prepare.RouteConfig{route(func(c *prepare.RouteConfig) { c.Upstream = nil })}, []string{"no upstream"}},
		{"upstream_name", []prepare.RouteConfig{route(func(c *prepare.RouteConfig) { c.UpstreamName = "" })}, []string{"upstream name"}},
		{
			"defaults",
			[]prepare.RouteConfig{route(func(c *prepare.RouteConfig) { c.Defaults.MaxTokens = new(int32(-1)) })},
			[]string{"defaults: sampling.max_tokens"},
		},
		{
			"defaults_utf8",
			[]prepare.RouteConfig{route(func(c *prepare.RouteConfig) { c.Defaults.Stop = []string{"\xff"} })},
			[]string{"defaults: text is not UTF-8"},
		},
		{"hook_address", []prepare.RouteConfig{route(hook(prepare.HookConfig{}))}, []string{"hook: address is empty"}},
		{"hook_scheme", []prepare.RouteConfig{route(hook(prepare.HookConfig{Address: "http://hook"}))}, []string{`unknown scheme "http"`}},
		{
			"hook_timeout",
			[]prepare.RouteConfig{route(hook(prepare.HookConfig{Address: hookAddress, Timeout: -1}))},
			[]string{"hook: timeout is negative"},
		},
		{"duplicate", []prepare.RouteConfig{route(same), route(same)}, []string{`routes[1] (model "m"): another route`}},
		{
			"several",
			[]prepare.RouteConfig{route(hook(prepare.HookConfig{Timeout: -1})), {Model: "m"}},
			[]string{
				"routes[0]", "routes[0] (model \"m\"): hook: timeout",
				"routes[1]", "routes[1] (model \"m\"): upstream name", "routes[1] (model \"m\"): another",
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			routes, err := prepare.New(tt.cfgs, validate, nil)
			if tt.want == nil {
				if err != nil {
					t.Fatalf("error = %v, want none", err)
				}
				if err := routes.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
				return
			}
			if err == nil || routes != nil {
				t.Fatalf("New = %v, %v; want an error alone", routes, err)
			}
			lines := strings.Split(err.Error(), "\n")
			if !slices.EqualFunc(lines, tt.want, strings.Contains) {
				t.Errorf("problems = %q, want %q", lines, tt.want)
			}
		})
	}
}

// What gRPC itself finds wrong with an address is an error of New too, and the
// connections that were made before are closed (or goleak would see them).
func TestNewBadTarget(t *testing.T) {
	bad := hooked(&fakeUpstream{})
	bad.Model, bad.Hook = "bad", &prepare.HookConfig{Address: "dns:///%zz"}
	routes, err := prepare.New([]prepare.RouteConfig{hooked(&fakeUpstream{}), bad}, nil, nil)
	if err == nil || !strings.Contains(err.Error(), `route "bad"`) || routes != nil {
		t.Errorf("New = %v, %v; want an error that names the route", routes, err)
	}
}

// Routes with the same address share a connection, others do not, and Close
// closes them all, once.
func TestConnectionsAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := serve(t, &fakeHook{answer: echo})
		route := func(model, address string) prepare.RouteConfig {
			c := hooked(&fakeUpstream{})
			c.Model, c.Hook = model, &prepare.HookConfig{Address: address, Timeout: time.Minute}
			return c
		}
		routes := newRoutes(t, []prepare.RouteConfig{
			route("a", "passthrough:///1"), route("b", "passthrough:///1"), route("c", "passthrough:///2"),
		}, net.dialer())
		if got := net.dials.Load(); got != 0 {
			t.Errorf("%d connections before the first call, want 0", got)
		}
		for _, model := range []string{"a", "b", "c", "a"} {
			if _, err := resolve(t, routes, model).Preparer("t", request(model)).Prepare(t.Context(), "g"); err != nil {
				t.Errorf("Prepare %s: %v", model, err)
			}
		}
		if got := net.dials.Load(); got != 2 {
			t.Errorf("%d connections, want 2", got)
		}
		for range 2 {
			if err := routes.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		}
		if _, err := resolve(t, routes, "a").Preparer("t", request("a")).Prepare(t.Context(), "g"); err == nil {
			t.Error("a hook was called after Close")
		}
	})
}
