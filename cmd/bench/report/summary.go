package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"
)

// A Summary is what repetitions of one figure showed.
type Summary struct {
	Median, Min, Max float64
	N                int
}

// Summarize returns the summary of values, which may be none.
func Summarize(values []float64) Summary {
	if len(values) == 0 {
		return Summary{}
	}
	v := slices.Sorted(slices.Values(values))
	middle := len(v) / 2
	median := v[middle]
	if len(v)%2 == 0 {
		median = (v[middle-1] + v[middle]) / 2
	}
	return Summary{Median: median, Min: v[0], Max: v[len(v)-1], N: len(v)}
}

// String returns the median and, of several, the range.
func (s Summary) String() string {
	switch {
	case s.N == 0:
		return "-"
	case s.N == 1 || s.Min == s.Max:
		return figure(s.Median)
	}
	return fmt.Sprintf("%s [%s..%s]", figure(s.Median), figure(s.Min), figure(s.Max))
}

// figure writes a value with three significant digits, large ones in thousands or
// millions.
func figure(v float64) string {
	size := math.Abs(v)
	switch {
	case size >= 999_500:
		return digits(v/1e6) + " M"
	case size >= 9_995:
		return digits(v/1e3) + " k"
	}
	return digits(v)
}

// rounded returns a value as figure shows it.
func rounded(v float64) float64 {
	v, _ = strconv.ParseFloat(strconv.FormatFloat(v, 'e', 2, 64), 64) // what is a number
	return v
}

func digits(v float64) string {
	if v == 0 {
		return "0"
	}
	// Rounded first: 9.996 has another number of decimals than what it is written as.
	v = rounded(v)
	decimals := 2 - int(math.Floor(math.Log10(math.Abs(v))))
	decimals = min(max(decimals, 0), 3)
	if v == math.Trunc(v) {
		decimals = 0
	}
	return strconv.FormatFloat(v, 'f', decimals, 64)
}
