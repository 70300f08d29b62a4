package plan

import (
	"slices"
	"testing"

	"github.com/sauron-stream/sauron/cmd/bench/trial"
)

// TestMake has every point of the issue, each once, and at each Sauron and who can be
// compared with it.
func TestMake(t *testing.T) {
	for _, isQuick := range []bool{false, true} {
		var seen []trial.Point
		groups := make(map[string]bool)
		for _, step := range Make(isQuick, Variants{Binary: "x", Others: []NamedBinary{{Name: Before, Path: "y"}}}) {
			p := step.Point
			if slices.Contains(seen, p) {
				t.Errorf("%+v twice", p)
			}
			seen = append(seen, p)
			groups[p.Group] = true
			var names []string
			for _, v := range step.Variants {
				names = append(names, v.Name)
			}
			if !slices.Contains(names, Sauron) || !slices.Contains(names, Before) || p.Limit == 0 || p.Tokens == 0 || p.Streams == 0 {
				t.Errorf("%+v: %v", p, names)
			}
			if p.Group != Unique && !slices.Contains(names, Channel) {
				t.Errorf("%s, %s without %s", p.Group, p.Name, Channel)
			}
			if own := p.Conns == 0; slices.Contains(names, SSE) != (own && p.Group != Stub && p.Group != Unique) {
				t.Errorf("%s, %s: %v", p.Group, p.Name, names)
			}
		}
		for _, g := range Groups() {
			if !groups[g] {
				t.Errorf("no point in %s", g)
			}
		}
		if isQuick {
			continue
		}
		for _, want := range []struct{ streams, generations, rate int }{
			{1, 1, 2000},
			{2, 1, 2000},
			{10, 1, 2000},
			{100, 1, 500},
			{5000, 1, 10},
			{1000, 1, 50},
			{200, 1, 100},
			{1000, 1, 200},
			{2000, 1000, 20},
			{1000, 1, 1600},
		} {
			for _, conns := range []int{0, min(shared, want.streams)} {
				if !slices.ContainsFunc(seen, func(p trial.Point) bool {
					return p.Streams == want.streams && p.Generations == want.generations && p.Rate == want.rate && p.Conns == conns
				}) {
					t.Errorf("no point of %+v on %d connections", want, conns)
				}
			}
		}
	}
}
