// Package report writes what the bench has measured.
package report

import (
	"slices"

	"github.com/sauron-stream/sauron/cmd/bench/trial"
)

// Data is everything that a report is made of.
type Data struct {
	Facts    Facts
	Outcomes []trial.Outcome
	Profiles []Profile
}

// series returns the outcomes of one variant at the points that match, in the order of
// the repetitions.
func (d Data) series(variant string, match func(trial.Point) bool) []trial.Outcome {
	var found []trial.Outcome
	for _, o := range d.Outcomes {
		if o.Variant == variant && match(o.Point) {
			found = append(found, o)
		}
	}
	slices.SortStableFunc(found, func(a, b trial.Outcome) int { return a.Repetition - b.Repetition })
	return found
}

// points returns the points of a group in the order in which they were measured.
func (d Data) points(group string) []trial.Point {
	var points []trial.Point
	for _, o := range d.Outcomes {
		if o.Point.Group == group && !slices.Contains(points, o.Point) {
			points = append(points, o.Point)
		}
	}
	return points
}

// variants returns the names that ran at the points that match, in the order of their
// first repetition.
func (d Data) variants(match func(trial.Point) bool) []string {
	var names []string
	for _, o := range d.Outcomes {
		if match(o.Point) && !slices.Contains(names, o.Variant) {
			names = append(names, o.Variant)
		}
	}
	return names
}

// summary sums up one figure of outcomes.
func summary(outcomes []trial.Outcome, f figureOf) Summary {
	values := make([]float64, 0, len(outcomes))
	for _, o := range outcomes {
		values = append(values, f(o))
	}
	return Summarize(values)
}

// paired sums up what combine makes of two series, repetition by repetition: noise that
// lasts longer than one falls on both.
func paired(a, b []trial.Outcome, f figureOf, combine func(a, b float64) float64) Summary {
	var values []float64
	for _, x := range a {
		for _, y := range b {
			if x.Repetition == y.Repetition {
				values = append(values, combine(f(x), f(y)))
				break
			}
		}
	}
	return Summarize(values)
}

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

func difference(a, b float64) float64 { return a - b }

// is returns a match of one point.
func is(p trial.Point) func(trial.Point) bool {
	return func(q trial.Point) bool { return p == q }
}
