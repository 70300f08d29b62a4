package report

import (
	"fmt"

	"github.com/sauron-stream/sauron/cmd/bench/plan"
	"github.com/sauron-stream/sauron/cmd/bench/trial"
)

// A goal is a figure that Sauron must reach.
type goal struct {
	figure  string
	reached Summary
	atLeast bool    // or at most
	goal    float64 // the median must reach it
	stretch float64 // 0: none
	unit    string
	also    string // what the figure needs besides; empty: nothing is missing
}

// noWorse is what counts as the same: with figures of a few percent of noise, 1 would
// be a coin's toss.
const noWorse = 1.05

// verdict says whether the goal was reached.
func (g goal) verdict() string {
	switch {
	case g.reached.N == 0:
		return "not measured"
	case g.also != "":
		return "FAIL: " + g.also
	case !g.meets(g.goal):
		return "FAIL"
	case g.stretch != 0 && g.meets(g.stretch):
		return "pass, stretch too"
	}
	return "pass"
}

// meets judges the figure as it is shown.
func (g goal) meets(limit float64) bool {
	if g.atLeast {
		return rounded(g.reached.Median) >= limit
	}
	return rounded(g.reached.Median) <= limit
}

// row returns the goal's row of the table.
func (g goal) row() []string {
	sign := "<="
	if g.atLeast {
		sign = ">="
	}
	want, stretch := fmt.Sprintf("%s %s%s", sign, figure(g.goal), g.unit), ""
	if g.stretch != 0 {
		stretch = figure(g.stretch) + g.unit
	}
	return []string{g.figure, want, stretch, g.reached.String(), g.verdict()}
}

// at returns a match of the points of a group with one generation, by connections and
// rate.
func at(group string, conns, rate int) func(trial.Point) bool {
	return func(p trial.Point) bool {
		return p.Group == group && p.Generations == 1 && p.Rate == rate && (p.Conns > 0) == (conns > 0)
	}
}

// goals returns the goals in the order of the report.
func (d Data) goals() []goal {
	with, own := at(plan.Paced, 8, 50), at(plan.Paced, 0, 50)
	against := func(other string, match func(trial.Point) bool, f figureOf) Summary {
		return paired(d.series(plan.Sauron, match), d.series(other, match), f, ratio)
	}
	full, fullOwn := at(plan.Overload, 8, 1600), at(plan.Overload, 0, 1600)
	goals := []goal{
		{figure: "server CPU per delivery against channel per subscriber, 8 connections", reached: against(plan.Channel, with, cpu), goal: 0.40, stretch: 0.30},
		{figure: "the same, own connections", reached: against(plan.Channel, own, cpu), goal: 0.85, stretch: 0.75},
		{figure: "p50 from the upstream's write to the client against the same, 8 connections", reached: against(plan.Channel, with, p50), goal: 0.35, stretch: 0.15},
		{figure: "CPU per delivery against SSE with a flush per event, own connections", reached: against(plan.SSE, own, cpu), goal: 1.25, stretch: 1.0},
		{figure: "events lost, repeated or reordered, streams failed, anywhere", reached: d.wrongs()},
		{figure: "deliveries/s beyond saturation against channel per subscriber, 8 connections", reached: against(plan.Channel, full, perSecond), atLeast: true, goal: 4, also: d.missing(full)},
		{figure: "the same, own connections", reached: against(plan.Channel, fullOwn, perSecond), atLeast: true, goal: 4, also: d.missing(fullOwn)},
		{figure: "RSS per idle subscription, 8 connections", reached: summary(d.series(plan.Sauron, with), idle), goal: 14, stretch: 12, unit: " KiB"},
		{figure: "RSS per idle subscription, own connections", reached: summary(d.series(plan.Sauron, own), idle), goal: 34, stretch: 31, unit: " KiB"},
		{figure: "CPU per delivery at the most readers against 100, 8 connections", reached: d.growth(8), goal: 2, stretch: 1.3},
		{figure: "the same, own connections", reached: d.growth(0), goal: 2, stretch: 1.3},
	}
	for _, than := range []struct {
		readers int
		goal    float64
	}{{1, noWorse}, {2, noWorse}, {100, 0.5}} {
		few := func(p trial.Point) bool { return p.Group == plan.Scale && p.Streams == than.readers && p.Conns > 0 }
		reached := against(plan.Before, few, cpu) // only if it ran
		goals = append(goals, goal{figure: fmt.Sprintf("N = %d: CPU per delivery against the goroutine-per-subscription way", than.readers), reached: reached, goal: than.goal})
	}
	return append(goals, d.payingGoals()...)
}

// payingGoals are about what is paid for once, or for nothing.
func (d Data) payingGoals() []goal {
	group := func(p trial.Point) bool { return p.Group == plan.Identical }
	one := func(name string) func(trial.Point) bool {
		return func(p trial.Point) bool { return p.Group == plan.Unique && p.Name == name }
	}
	more := func(name string, f figureOf) Summary {
		return paired(d.series(plan.Sauron, one(name)), d.series(plan.SauronOff, one(name)), f, difference)
	}
	return []goal{
		{figure: "100 identical requests: upstream streams", reached: summary(d.series(plan.Sauron, group), streams), goal: 1},
		{figure: "100 identical requests: tokens paid against two pools", reached: paired(d.series(plan.Sauron, group), d.series(plan.Pools, group), tokens, ratio), goal: 0.01},
		{figure: "unique request against COALESCING_OFF: allocations a generation", reached: more(plan.Short, generationObjects), goal: 2},
		{figure: "unique request against COALESCING_OFF: bytes allocated a generation", reached: more(plan.Short, generationBytes), goal: 4, unit: " KiB"},
		{figure: "unique request against COALESCING_OFF: RSS of a generation held open", reached: more(plan.Held, idle), goal: 4, unit: " KiB"},
	}
}

// wrongs sums up everything that must not be, over all runs of Sauron.
func (d Data) wrongs() Summary {
	sum, n := 0.0, 0
	for _, o := range d.Outcomes {
		if o.Sauron {
			sum += lost(o) + repeated(o) + reordered(o) + failed(o)
			n++
		}
	}
	return Summary{Median: sum, Min: sum, Max: sum, N: n}
}

// missing says what Sauron did not deliver.
func (d Data) missing(match func(trial.Point) bool) string {
	if s := summary(d.series(plan.Sauron, match), lost); s.Max != 0 {
		return fmt.Sprintf("%s lost", figure(s.Max))
	}
	return ""
}

// growth is the CPU per delivery with the most readers against 100.
func (d Data) growth(conns int) Summary {
	most := 0
	for _, p := range d.points(plan.Scale) {
		most = max(most, p.Streams)
	}
	readers := func(n int) []trial.Outcome {
		return d.series(plan.Sauron, func(p trial.Point) bool {
			return p.Group == plan.Scale && p.Streams == n && (p.Conns > 0) == (conns > 0)
		})
	}
	if most <= 100 {
		return Summary{}
	}
	return paired(readers(most), readers(100), cpu, ratio)
}
