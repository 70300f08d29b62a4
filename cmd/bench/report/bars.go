package report

// A barChart shows one figure of each variant.
type barChart struct {
	title string
	bars  []bar
}

type bar struct {
	name   string
	colour string
	value  Summary
	note   string
}

const (
	barHeight = 30
	barLeft   = 200
	barRight  = 190 // room of the figures
)

// svg returns the picture.
func (b barChart) svg() string {
	most := 0.0
	for _, x := range b.bars {
		most = max(most, x.value.Max)
	}
	if most <= 0 {
		most = 1
	}
	c := newCanvas(b.title, plotTop+barHeight*len(b.bars)+12)
	wide := func(v float64) float64 { return max(0, v) / most * (plotWidth - barLeft - barRight) }
	for i, x := range b.bars {
		top := float64(plotTop + barHeight*i)
		middle := top + barHeight/2
		c.text("", barLeft-10, middle+3, "end", x.name)
		c.add(`<rect x="%d" y="%.1f" width="%.1f" height="%d" fill="%s"/>`+"\n",
			barLeft, top+4, wide(x.value.Median), barHeight-10, x.colour)
		c.segment("axis", "", barLeft+wide(x.value.Min), middle-1, barLeft+wide(x.value.Max), middle-1)
		text := x.value.String()
		if x.note != "" {
			text += ", " + x.note
		}
		c.text("", barLeft+wide(x.value.Max)+8, middle+3, "start", text)
	}
	c.segment("axis", "", barLeft, plotTop, barLeft, float64(plotTop+barHeight*len(b.bars)))
	return c.String()
}
