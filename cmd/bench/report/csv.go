package report

import (
	"encoding/csv"
	"strconv"
	"strings"
)

// csvColumns are the figures of each run.
var csvColumns = []column{
	{"received", func(o outcome) float64 { return float64(o.Received) }},
	{"lost", lost},
	{"repeated", repeated},
	{"reordered", reordered},
	{"failed", failed},
	{"cpu_us_per_delivery", cpu},
	{"p50_ms", p50},
	{"p99_ms", p99},
	{"first_token_p50_ms", first50},
	{"first_token_p99_ms", first99},
	{"deliveries_per_second", perSecond},
	{"rss_idle_kib_per_stream", idle},
	{"rss_peak_kib_per_stream", peak},
	{"allocations_per_delivery", objects},
	{"kib_allocated_per_stream", generationBytes},
	{"upstream_streams", streams},
	{"upstream_tokens", tokens},
	{"server_core_percent", serverBusy},
	{"client_core_percent", clientBusy},
	{"upstream_core_percent", upstreamBusy},
}

// csv returns all runs, one a line.
func (d Data) csv() string {
	var b strings.Builder
	w := csv.NewWriter(&b)
	head := []string{"repetition", "group", "point", "variant"}
	for _, c := range csvColumns {
		head = append(head, c.head)
	}
	_ = w.Write(head) // to memory
	for _, o := range d.Outcomes {
		row := []string{strconv.Itoa(o.Repetition + 1), o.Point.Group, o.Point.Name, o.Variant}
		for _, c := range csvColumns {
			row = append(row, strconv.FormatFloat(c.figure(o), 'g', 6, 64))
		}
		_ = w.Write(row)
	}
	w.Flush()
	return b.String()
}
