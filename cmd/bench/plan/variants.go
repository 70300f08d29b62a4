package plan

import (
	"github.com/sauron-stream/sauron/cmd/bench/role"
	"github.com/sauron-stream/sauron/cmd/bench/trial"
)

// Names of the variants in the report.
const (
	Sauron    = "Sauron"
	SauronOff = "Sauron, COALESCING_OFF"
	Channel   = "channel per subscriber"
	Brute     = "brute force"
	Pools     = "two pools, no sharing"
	SSE       = "SSE, a flush per event"
	Direct    = "straight to the upstream"
	Tick      = "Sauron, --coalesce-interval 20ms"
	Bare      = "bare grpc-go, all at the end"

	// Before is Sauron with a goroutine for each subscription: three goals compare with it.
	Before = "before"
)

// BeforeCommit is the last one without pumps.
const BeforeCommit = "74bd348665499c27fd5d3d335f067f0d1c478368"

// Variants are what is compared.
type Variants struct {
	Binary string        // Sauron's
	Others []NamedBinary // more of Sauron's, of other commits
}

// A NamedBinary is a sauron that is measured beside this one.
type NamedBinary struct {
	Name  string
	Path  string   // or Self
	Env   []string // besides the inherited
	Flags []string // besides those of every sauron
}

// Self stands for the path of the sauron that was built.
const Self = "self"

// saurons returns Sauron and its others.
func (v Variants) saurons() []trial.Variant {
	all := []trial.Variant{{Name: Sauron, Binary: v.Binary}}
	for _, o := range v.Others {
		path := o.Path
		if path == Self {
			path = v.Binary
		}
		all = append(all, trial.Variant{Name: o.Name, Binary: path, Env: o.Env, Flags: o.Flags})
	}
	return all
}

// All returns the variants that serve the same requests.
func (v Variants) All() []trial.Variant {
	return append(v.saurons(),
		trial.Variant{Name: Channel, Design: role.Channel},
		trial.Variant{Name: SSE, Design: role.SSE},
		trial.Variant{Name: Brute, Design: role.Brute},
		trial.Variant{Name: Pools, Design: role.Pools},
	)
}

// Extremes are what the main points show besides: the fewest wake-ups, and the least
// memory.
func (v Variants) Extremes() []trial.Variant {
	return []trial.Variant{
		{Name: Tick, Binary: v.Binary, Flags: []string{"--coalesce-interval", "20ms"}},
		{Name: Bare, Design: role.Bare},
	}
}

// Stubs returns the variants that generated clients check.
func (v Variants) Stubs() []trial.Variant {
	return append(v.saurons(), trial.Variant{Name: Channel, Design: role.Channel})
}

// Unsharing returns what different requests are sent through.
func (v Variants) Unsharing(direct bool) []trial.Variant {
	all := append(v.saurons(), trial.Variant{Name: SauronOff, Binary: v.Binary, Off: true})
	if direct {
		all = append(all, trial.Variant{Name: Direct, Direct: true})
	}
	return all
}
