package prepare_test

import (
	"encoding/hex"
	"testing"
	"time"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
	"github.com/sauron-stream/sauron/manager/prepare"
)

func revision(t *testing.T, cfg prepare.RouteConfig) [32]byte {
	t.Helper()
	return resolve(t, newRoutes(t, []prepare.RouteConfig{cfg}), cfg.Model).Revision()
}

func baseRoute() prepare.RouteConfig {
	return prepare.RouteConfig{
		Model: "m", Upstream: &fakeUpstream{}, UpstreamName: "up", UpstreamDigest: []byte{1, 2},
		UpstreamModel: "um", Coalesce: true,
		Defaults: &sauronv1.Sampling{Temperature: new(0.5), Stop: []string{"a", "b"}},
		Hook:     &prepare.HookConfig{Address: hookAddress, Timeout: time.Second},
	}
}

// All that can change an answer changes the revision, and nothing else does.
func TestRevision(t *testing.T) {
	want := revision(t, baseRoute())
	for _, tt := range []struct {
		name   string
		change func(*prepare.RouteConfig)
		same   bool
	}{
		{"nothing", func(*prepare.RouteConfig) {}, true},
		{"model", func(c *prepare.RouteConfig) { c.Model = "other" }, true}, // the key has it
		{"coalesce", func(c *prepare.RouteConfig) { c.Coalesce = false }, true},
		{"replay_window", func(c *prepare.RouteConfig) { c.ReplayWindow = time.Minute }, true},
		{"hook_timeout", func(c *prepare.RouteConfig) { c.Hook.Timeout = time.Hour }, true},
		{"upstream_name", func(c *prepare.RouteConfig) { c.UpstreamName = "other" }, false},
		{"upstream_digest", func(c *prepare.RouteConfig) { c.UpstreamDigest = []byte{1, 3} }, false},
		{"no_upstream_digest", func(c *prepare.RouteConfig) { c.UpstreamDigest = nil }, false},
		{"upstream_model", func(c *prepare.RouteConfig) { c.UpstreamModel = "other" }, false},
		{"no_upstream_model", func(c *prepare.RouteConfig) { c.UpstreamModel = "" }, false},
		{"default_changed", func(c *prepare.RouteConfig) { c.Defaults.Temperature = new(0.6) }, false},
		{"default_added", func(c *prepare.RouteConfig) { c.Defaults.TopK = new(int32(0)) }, false},
		{"default_order", func(c *prepare.RouteConfig) { c.Defaults.Stop = []string{"b", "a"} }, false},
		{"no_defaults", func(c *prepare.RouteConfig) { c.Defaults = nil }, false},
		{"hook_address", func(c *prepare.RouteConfig) { c.Hook.Address += "2" }, false},
		{"no_hook", func(c *prepare.RouteConfig) { c.Hook = nil }, false},
		// The same bytes, cut elsewhere.
		{"boundary_name", func(c *prepare.RouteConfig) { c.UpstreamName, c.UpstreamDigest = "up\x01", []byte{2} }, false},
		{"boundary_model", func(c *prepare.RouteConfig) {
			c.UpstreamDigest, c.UpstreamModel = []byte{1, 2, 'u'}, "m"
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := baseRoute()
			tt.change(&cfg)
			if got := revision(t, cfg); (got == want) != tt.same {
				t.Errorf("revision %x, of the base %x, want the same: %v", got, want, tt.same)
			}
		})
	}
}

// An upstream model that is spelled out is the one that is implied; to pass on
// the caller's is something else.
func TestRevisionOfImpliedModel(t *testing.T) {
	implied, spelled, passed := baseRoute(), baseRoute(), baseRoute()
	implied.UpstreamModel = ""
	spelled.UpstreamModel = "m"
	passed.Model, passed.UpstreamModel = "*", ""
	if a, b := revision(t, implied), revision(t, spelled); a != b {
		t.Errorf("implied %x, spelled out %x; want the same", a, b)
	}
	if a, b := revision(t, implied), revision(t, passed); a == b {
		t.Errorf("implied and passed on are both %x", a)
	}
}

// A revision is the same on every machine and after every restart: it will be a
// part of keys that replicas share.
func TestRevisionIsStable(t *testing.T) {
	const want = "10081a8a67568ae16a226be943d57e620ab6b2d3ccf8e6e2f91397a4f22c047e"
	sum := revision(t, baseRoute())
	if got := hex.EncodeToString(sum[:]); got != want {
		t.Errorf("revision = %s, want %s", got, want)
	}
}

// The configuration is not kept by reference.
func TestConfigIsNotKept(t *testing.T) {
	up := &fakeUpstream{}
	cfg := prepare.RouteConfig{
		Model: "m", Upstream: up, UpstreamName: "up",
		Defaults: &sauronv1.Sampling{TopP: new(0.5), Stop: []string{"a"}},
	}
	routes := newRoutes(t, []prepare.RouteConfig{cfg})
	*cfg.Defaults.TopP, cfg.Defaults.Stop[0] = 1, "b"
	if _, err := resolve(t, routes, "m").Preparer("t", request("m")).Prepare(t.Context(), "g"); err != nil {
		t.Fatalf("Prepare: %v", err)
	}
	if s := up.requests[0].GetSampling(); s.GetTopP() != 0.5 || s.GetStop()[0] != "a" {
		t.Errorf("sampling = %v, want what New was given", s)
	}
}
