package report

import "math"

// An axis maps values to pixels by their logarithms.
type axis struct {
	from, to     float64 // values
	start, width float64 // pixels; the width may be negative
}

// logAxis returns an axis that holds all values, from and to a tick.
func logAxis(values []float64, start, width float64) axis {
	low, high := math.Inf(1), math.Inf(-1)
	for _, v := range values {
		if v > 0 {
			low, high = min(low, v), max(high, v)
		}
	}
	if low > high {
		low, high = 1, 10
	}
	a := axis{from: tickBelow(low), to: tickAbove(high), start: start, width: width}
	if a.from == a.to {
		a.to = tickAbove(a.to * 1.01)
	}
	return a
}

// at returns where a value is.
func (a axis) at(v float64) float64 {
	share := (math.Log(v) - math.Log(a.from)) / (math.Log(a.to) - math.Log(a.from))
	return a.start + a.width*share
}

// ticks returns 1, 2, 5 and their tens in the axis; only the tens if there are many.
func (a axis) ticks() []float64 {
	steps := []float64{1, 2, 5}
	if a.to/a.from > 2000 {
		steps = steps[:1]
	}
	var ticks []float64
	for e := math.Floor(math.Log10(a.from)); e <= math.Ceil(math.Log10(a.to)); e++ {
		for _, s := range steps {
			if t := s * math.Pow(10, e); t >= a.from*0.999 && t <= a.to*1.001 {
				ticks = append(ticks, t)
			}
		}
	}
	return ticks
}

func tickBelow(v float64) float64 {
	ten := math.Pow(10, math.Floor(math.Log10(v)))
	for _, s := range []float64{5, 2} {
		if v >= s*ten {
			return s * ten
		}
	}
	return ten
}

func tickAbove(v float64) float64 {
	ten := math.Pow(10, math.Floor(math.Log10(v)))
	for _, s := range []float64{1, 2, 5} {
		if v <= s*ten*1.0001 {
			return s * ten
		}
	}
	return 10 * ten
}
