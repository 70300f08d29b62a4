package report

import (
	"fmt"
	"html"
	"strings"
)

// Sizes of a plot, in pixels.
const (
	plotWidth  = 760
	plotHeight = 400
	plotLeft   = 70
	plotRight  = 220 // room of the legend
	plotTop    = 44
	plotBottom = 54
)

// style makes a plot readable on a light and on a dark page. The colours are Okabe and
// Ito's, which colour-blind readers tell apart too.
const style = `<style>
text{font:13px system-ui,sans-serif;fill:#1f2328}
.title{font-weight:600;font-size:15px}
.axis{stroke:#59636e;fill:none}
.grid{stroke:#d1d9e0;stroke-width:1}
.line{fill:none;stroke-width:2.5}
.range{stroke-width:1.5;opacity:.6}
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.axis{stroke:#9198a1}.grid{stroke:#3d444d}}
</style>
`

var colours = []string{"#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#8c8c8c", "#f0e442", "#000000"}

// A canvas collects a plot's elements.
type canvas struct{ b strings.Builder }

func newCanvas(title string, height int) *canvas {
	c := &canvas{}
	c.add(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="%s">`+"\n",
		plotWidth, height, plotWidth, height, html.EscapeString(title))
	c.b.WriteString(style)
	c.text("title", plotLeft, 24, "start", title)
	return c
}

func (c *canvas) add(format string, args ...any) { fmt.Fprintf(&c.b, format, args...) }

func (c *canvas) text(class string, x, y float64, anchor, text string) {
	c.add(`<text class="%s" x="%.1f" y="%.1f" text-anchor="%s">%s</text>`+"\n", class, x, y, anchor, html.EscapeString(text))
}

func (c *canvas) segment(class, stroke string, x1, y1, x2, y2 float64) {
	c.add(`<line class="%s"%s x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`+"\n", class, strokeOf(stroke), x1, y1, x2, y2)
}

func strokeOf(colour string) string {
	if colour == "" {
		return ""
	}
	return ` stroke="` + colour + `"`
}

// String returns the whole picture.
func (c *canvas) String() string { return c.b.String() + "</svg>\n" }
