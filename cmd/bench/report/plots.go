package report

import (
	"fmt"
	"slices"

	"github.com/sauron-stream/sauron/cmd/bench/plan"
	"github.com/sauron-stream/sauron/cmd/bench/trial"
)

// A plot is a picture and the name of its file.
type plot struct{ file, title, svg string }

// plots returns the pictures for which there are figures.
func (d Data) plots() []plot {
	var all []plot
	for _, conns := range []int{8, 0} {
		name, suffix := "8 shared connections", "shared"
		if conns == 0 {
			name, suffix = "a connection each", "own"
		}
		for _, m := range scaleMetrics {
			all = append(all, d.scalePlot(m, conns, m.file+"-"+suffix+".svg", m.title+", "+name)...)
		}
		all = append(all, d.barPlot(at(plan.Paced, conns, 50), cpu, "paced-"+suffix+".svg",
			"Server CPU per delivery, us: %d readers x 50 events/s, "+name)...)
		all = append(all, d.barPlot(at(plan.Overload, conns, 1600), perSecond, "overload-"+suffix+".svg",
			"Deliveries a second, %d readers x 1600 events/s asked, "+name)...)
	}
	return all
}

// colour returns a variant's colour, the same in every plot.
func (d Data) colour(variant string) string {
	all := d.variants(func(trial.Point) bool { return true })
	return colours[slices.Index(all, variant)%len(colours)]
}

// A metric is a figure that the scale shows.
type metric struct {
	title, file string
	figure      figureOf
	from        int // the fewest readers for which it means something
}

var scaleMetrics = []metric{
	{"Server CPU per delivery, us", "cpu", cpu, 1},
	{"Latency p50, ms", "p50", p50, 1},
	{"Latency p99, ms", "p99", p99, 1},
	{"Deliveries a second", "deliveries", perSecond, 1},
	{"RSS of an idle subscription, KiB", "rss", idle, 100},
	{"Allocations per delivery", "allocations", objects, 100},
}

func (d Data) scalePlot(m metric, conns int, file, title string) []plot {
	match := func(p trial.Point) bool {
		return p.Group == plan.Scale && (p.Conns > 0) == (conns > 0) && p.Streams >= m.from
	}
	chart := lineChart{title: title, x: "readers of one generation"}
	for _, v := range d.variants(match) {
		s := lineSeries{name: v, colour: d.colour(v)}
		for _, p := range d.points(plan.Scale) {
			if found := d.series(v, is(p)); match(p) && len(found) > 0 {
				s.points = append(s.points, linePoint{float64(p.Streams), summary(found, m.figure)})
			}
		}
		chart.series = append(chart.series, s)
	}
	if len(chart.series) == 0 {
		return nil
	}
	return []plot{{file, title, chart.svg()}}
}

func (d Data) barPlot(match func(trial.Point) bool, f figureOf, file, title string) []plot {
	chart := barChart{}
	for _, v := range d.variants(match) {
		found := d.series(v, match)
		b := bar{name: v, colour: d.colour(v), value: summary(found, f)}
		if share := summary(found, lostShare); share.Max > 0 {
			b.note = figure(share.Median) + " % lost"
		}
		chart.title = fmt.Sprintf(title, found[0].Point.Streams)
		chart.bars = append(chart.bars, b)
	}
	if len(chart.bars) == 0 {
		return nil
	}
	return []plot{{file, chart.title, chart.svg()}}
}
