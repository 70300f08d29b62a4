package report

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/sauron-stream/sauron/cmd/bench/plan"
	"github.com/sauron-stream/sauron/cmd/bench/trial"
)

// A column is a figure of a point's table.
type column struct {
	head   string
	figure figureOf
}

var pointColumns = []column{
	{"CPU per delivery, us", cpu},
	{"p50, ms", p50},
	{"p99, ms", p99},
	{"deliveries/s", perSecond},
	{"lost, %", lostShare},
	{"RSS per stream idle, KiB", idle},
	{"at its peak", peak},
	{"allocations per delivery", objects},
	{"server's core, %", serverBusy},
	{"client's", clientBusy},
	{"upstream's", upstreamBusy},
}

// pointTable has a row for each variant.
func (d Data) pointTable(p trial.Point, columns []column) string {
	t := table{head: []string{""}}
	for _, c := range columns {
		t.head = append(t.head, c.head)
	}
	for _, v := range d.variants(is(p)) {
		row := []string{v}
		for _, c := range columns {
			row = append(row, summary(d.series(v, is(p)), c.figure).String())
		}
		t.add(row...)
	}
	return t.String()
}

// group writes the tables of all points of a group.
func (d Data) group(name string, columns []column) string {
	var b strings.Builder
	for _, p := range d.points(name) {
		fmt.Fprintf(&b, "**%s**\n\n%s", p.Name, d.pointTable(p, columns))
	}
	return b.String()
}

// scale writes a table for each metric, with a column for each number of readers.
func (d Data) scale(conns int) string {
	var b strings.Builder
	var points []trial.Point
	for _, p := range d.points(plan.Scale) {
		if (p.Conns > 0) == (conns > 0) {
			points = append(points, p)
		}
	}
	if len(points) == 0 {
		return ""
	}
	for _, m := range scaleMetrics {
		t := table{head: []string{m.title}}
		for _, p := range points {
			t.head = append(t.head, fmt.Sprintf("N = %d", p.Streams))
		}
		for _, v := range d.variants(func(p trial.Point) bool { return p.Group == plan.Scale && (p.Conns > 0) == (conns > 0) }) {
			row := []string{v}
			for _, p := range points {
				cell := "-"
				if p.Streams >= m.from {
					cell = summary(d.series(v, is(p)), m.figure).String()
				}
				row = append(row, cell)
			}
			t.add(row...)
		}
		b.WriteString(t.String())
	}
	return b.String()
}

// correctness sums up over all runs of each variant.
func (d Data) correctness() string {
	t := table{head: []string{"", "runs", "events received", "lost", "repeated", "reordered or of another generation", "streams failed or cut off"}}
	for _, v := range d.variants(func(trial.Point) bool { return true }) {
		var sums [5]float64
		all := d.series(v, func(trial.Point) bool { return true })
		for _, o := range all {
			for i, f := range []float64{float64(o.Received), lost(o), repeated(o), reordered(o), failed(o)} {
				sums[i] += f
			}
		}
		row := []string{v, strconv.Itoa(len(all))}
		for _, s := range sums {
			row = append(row, strconv.FormatFloat(s, 'f', 0, 64))
		}
		t.add(row...)
	}
	return t.String()
}

// unique writes the tables of what nobody shares.
func (d Data) unique() string {
	columns := map[string][]column{
		plan.Flow: {
			{"time to first token p50, ms", first50},
			{"p99, ms", first99},
			{"latency per event p50, ms", p50},
			{"p99, ms", p99},
			{"server CPU per event, us", cpu},
			{"per generation", generationCPU},
			{"allocations per event", objects},
			{"KiB allocated a generation", generationBytes},
			{"peak RSS a generation, KiB", peak},
		},
		plan.Short: {
			{"server CPU a generation, us", generationCPU},
			{"allocations a generation", generationObjects},
			{"KiB allocated a generation", generationBytes},
			{"time to first token p50, ms", first50},
		},
		plan.Held: {{"RSS a generation, idle, KiB", idle}, {"at its peak", peak}},
	}
	var b strings.Builder
	for _, p := range d.points(plan.Unique) {
		fmt.Fprintf(&b, "**%d different requests, %s**\n\n%s", p.Streams, p.Name, d.pointTable(p, columns[p.Name]))
	}
	return b.String()
}
