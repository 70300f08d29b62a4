package report

import "fmt"

// A lineChart shows series over the number of readers, both axes logarithmic.
type lineChart struct {
	title, x string
	series   []lineSeries
}

type lineSeries struct {
	name   string
	colour string
	points []linePoint
}

type linePoint struct {
	x float64
	y Summary
}

// svg returns the picture. Values that a logarithm can't show are left out.
func (l lineChart) svg() string {
	var xs, ys []float64
	for _, s := range l.series {
		for _, p := range s.points {
			xs = append(xs, p.x)
			ys = append(ys, p.y.Median, p.y.Min, p.y.Max)
		}
	}
	x := logAxis(xs, plotLeft, plotWidth-plotLeft-plotRight)
	y := logAxis(ys, plotHeight-plotBottom, -(plotHeight - plotTop - plotBottom))
	c := newCanvas(l.title, plotHeight)
	for _, t := range x.ticks() {
		c.segment("grid", "", x.at(t), plotTop, x.at(t), plotHeight-plotBottom)
		c.text("", x.at(t), plotHeight-plotBottom+18, "middle", figure(t))
	}
	for _, t := range y.ticks() {
		c.segment("grid", "", plotLeft, y.at(t), plotWidth-plotRight, y.at(t))
		c.text("", plotLeft-8, y.at(t)+4, "end", figure(t))
	}
	c.text("", (plotLeft+plotWidth-plotRight)/2, plotHeight-12, "middle", l.x)
	for i, s := range l.series {
		c.series(s, x, y)
		at := float64(plotTop + 12 + 22*i)
		c.segment("line", s.colour, plotWidth-plotRight+14, at-4, plotWidth-plotRight+34, at-4)
		c.text("", plotWidth-plotRight+40, at, "start", s.name)
	}
	return c.String()
}

// series draws a line through the medians and a bar over each range.
func (c *canvas) series(s lineSeries, x, y axis) {
	path := ""
	for _, p := range s.points {
		if p.y.Min <= 0 || p.x <= 0 {
			continue
		}
		word := "L"
		if path == "" {
			word = "M"
		}
		path += fmt.Sprintf("%s%.1f %.1f", word, x.at(p.x), y.at(p.y.Median))
		c.segment("range", s.colour, x.at(p.x), y.at(p.y.Min), x.at(p.x), y.at(p.y.Max))
		c.add(`<circle cx="%.1f" cy="%.1f" r="3.5" fill="%s"/>`+"\n", x.at(p.x), y.at(p.y.Median), s.colour)
	}
	if path != "" {
		c.add(`<path class="line" stroke="%s" d="%s"/>`+"\n", s.colour, path)
	}
}
