// Package plan says which points the bench measures, and which variants at each.
package plan

import (
	"fmt"
	"time"

	"github.com/sauron-stream/sauron/cmd/bench/trial"
)

// The groups of points.
const (
	Scale     = "scale"     // readers of one generation, from 1 to thousands
	Paced     = "paced"     // rates that every design should bear
	Overload  = "overload"  // more than any can deliver
	Stuck     = "stuck"     // one reader that does not read
	Stub      = "stub"      // main points again with generated clients
	Unique    = "unique"    // nothing to share: through Sauron and straight to the upstream
	Identical = "identical" // what 100 equal requests cost
)

// Groups returns the names of all groups in the order of the report.
func Groups() []string {
	return []string{Scale, Paced, Overload, Stuck, Stub, Unique, Identical}
}

// A Step is one point and who runs there.
type Step struct {
	Point    trial.Point
	Variants []trial.Variant
}

const (
	shared = 8 // connections, where they are shared
	own    = 0 // a connection for each stream
)

// connections returns how a number of connections is called.
func connections(conns int) string {
	if conns == own {
		return "own connections"
	}
	return fmt.Sprintf("%d connections", conns)
}

// A size scales a plan: the full one, and the quick one that only shows that
// everything works.
type size struct {
	readers  []int         // of the scale
	many     int           // readers or generations where there are many
	length   time.Duration // of a paced answer
	overload time.Duration // of an answer beyond saturation
	unique   time.Duration
}

var (
	full = size{
		readers: []int{1, 2, 10, 100, 1000, 5000}, many: 1000,
		length: 4 * time.Second, overload: 2 * time.Second, unique: 4 * time.Second,
	}
	quick = size{
		readers: []int{1, 100}, many: 200,
		length: 300 * time.Millisecond, overload: 200 * time.Millisecond, unique: 500 * time.Millisecond,
	}
)

// Make returns all steps.
func Make(isQuick bool, v Variants) []Step {
	s := full
	if isQuick {
		s = quick
	}
	var steps []Step
	add := func(variants []trial.Variant, p trial.Point) {
		if p.Limit == 0 {
			p.Limit = 30 * time.Second
		}
		step := Step{Point: p}
		for _, variant := range variants {
			if variant.Fits(p) {
				step.Variants = append(step.Variants, variant)
			}
		}
		steps = append(steps, step)
	}
	for _, conns := range []int{shared, own} {
		for _, n := range s.readers {
			add(v.All(), fanOut(Scale, n, conns, scaleRate(n), s.length))
		}
		add(append(v.All(), v.Extremes()...), fanOut(Paced, s.many, conns, 50, s.length))
		add(v.All(), fanOut(Paced, s.many/5, conns, 100, s.length))
		add(v.All(), fanOut(Paced, s.many, conns, 200, s.length))
		add(v.All(), pairs(s.many, conns, 20, s.length))
		add(v.All(), overload(s.many, conns, s.overload))
		add(v.All(), stuck(conns, s.overload))
		add(v.Stubs(), stub(s.many, conns, s.length))
	}
	for _, p := range unique(s) {
		add(v.Unsharing(p.Name == Flow), p)
	}
	add(v.All(), fanOut(Identical, 100, own, 50, min(s.length, time.Second)))
	return steps
}

// fanOut is one generation and its readers.
func fanOut(group string, n, conns, rate int, length time.Duration) trial.Point {
	return trial.Point{
		Group: group, Name: fmt.Sprintf("%d x %d/s, %s", n, rate, connections(conns)),
		Streams: n, Conns: min(n, conns), Generations: 1, Rate: rate, Tokens: events(rate, length),
	}
}

// events returns how many events there are in a time, at least one.
func events(rate int, length time.Duration) int {
	return max(1, int(float64(rate)*length.Seconds()))
}

// scaleRate makes the large points equal in deliveries a second, which is below what any
// design bears, and keeps the small ones from showing little but how an idle core wakes.
func scaleRate(readers int) int { return min(2000, 50_000/readers) }

// pairs is many generations with two readers each.
func pairs(generations, conns, rate int, length time.Duration) trial.Point {
	return trial.Point{
		Group: Paced, Name: fmt.Sprintf("%d generations x 2 readers x %d/s, %s", generations, rate, connections(conns)),
		Streams: 2 * generations, Conns: conns, Generations: generations, Rate: rate, Tokens: events(rate, length),
	}
}

// overload asks for more than there can be.
func overload(n, conns int, length time.Duration) trial.Point {
	p := fanOut(Overload, n, conns, 1600, length)
	p.Limit = time.Minute
	return p
}

// stuck has one reader of 100 that never reads.
func stuck(conns int, length time.Duration) trial.Point {
	p := fanOut(Stuck, 100, conns, 2000, length)
	p.Stuck = 1
	p.Name = "1 stuck + 99 x 2000/s, " + connections(conns)
	return p
}

// stub is the main point with the client that users have.
func stub(n, conns int, length time.Duration) trial.Point {
	p := fanOut(Stub, n, conns, 50, length)
	p.Stub = true
	return p
}

// The points of the unique group.
const (
	Flow  = "flow"
	Short = "one event each"
	Held  = "held open"
)

// unique is as many generations as streams.
func unique(s size) []trial.Point {
	point := func(name string, rate, tokens int, ramp time.Duration) trial.Point {
		return trial.Point{
			Group: Unique, Name: name, Streams: s.many, Conns: shared, Generations: s.many,
			Rate: rate, Tokens: tokens, Ramp: ramp,
		}
	}
	return []trial.Point{
		point(Flow, 10, events(10, s.unique), s.unique/2),
		point(Short, 100, 1, s.unique/2),
		point(Held, 10, 5, 0),
	}
}

// Profiled returns the points at which Sauron is profiled.
func Profiled(isQuick bool, length time.Duration) []trial.Point {
	s := full
	if isQuick {
		s = quick
	}
	var points []trial.Point
	for _, conns := range []int{shared, own} {
		rate := 50
		if conns == shared {
			rate = 200 // at less there is next to nothing to be seen
		}
		p := fanOut("profile", s.many, conns, rate, length)
		p.Limit = length + 30*time.Second
		points = append(points, p)
	}
	return points
}
