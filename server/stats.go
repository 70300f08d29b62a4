package server

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sauron-stream/sauron/manager"
	"github.com/sauron-stream/sauron/manager/event"
)

// statsCollector shows the manager's state as one consistent snapshot per scrape.
type statsCollector struct {
	stats func() manager.Stats

	generations, subscriptions, orphans, logBytes, appended, orphaned *prometheus.Desc
	replayBytes, replayHits, replayMisses, replayEvictions            *prometheus.Desc
}

func newStatsCollector(stats func() manager.Stats) *statsCollector {
	return &statsCollector{
		stats:         stats,
		generations:   prometheus.NewDesc("sauron_generations", "Generations that run, by stage.", []string{"stage"}, nil),
		subscriptions: prometheus.NewDesc("sauron_subscriptions", "Open Generate streams.", nil, nil),
		orphans:       prometheus.NewDesc("sauron_orphans", "Running generations that only leases keep.", nil, nil),
		logBytes:      prometheus.NewDesc("sauron_log_bytes", "Memory of all generations that run and all logs that are kept.", nil, nil),
		appended:      prometheus.NewDesc("sauron_events_appended_total", "Events appended to logs.", nil, nil),
		orphaned:      prometheus.NewDesc("sauron_events_orphaned_total", "Events appended while nobody listened.", nil, nil),

		replayBytes:     prometheus.NewDesc("sauron_replay_bytes", "The part of sauron_log_bytes that is in the replay window.", nil, nil),
		replayHits:      prometheus.NewDesc("sauron_replay_hits_total", "Requests that were given a log of the replay window.", nil, nil),
		replayMisses:    prometheus.NewDesc("sauron_replay_misses_total", "Requests that asked for a replay and had to start a generation.", nil, nil),
		replayEvictions: prometheus.NewDesc("sauron_replay_evictions_total", "Logs that left the replay window early, to make room.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *statsCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		c.generations, c.subscriptions, c.orphans, c.logBytes, c.appended, c.orphaned,
		c.replayBytes, c.replayHits, c.replayMisses, c.replayEvictions,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *statsCollector) Collect(ch chan<- prometheus.Metric) {
	s := c.stats()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for stage := event.StageQueued; stage < event.StageEnded; stage++ {
		gauge(c.generations, float64(s.Generations[stage]), stage.String())
	}
	gauge(c.subscriptions, float64(s.Subscriptions))
	gauge(c.orphans, float64(s.Orphans))
	gauge(c.logBytes, float64(s.LogBytes))
	gauge(c.replayBytes, float64(s.ReplayBytes))
	counter := func(d *prometheus.Desc, v uint64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v))
	}
	counter(c.appended, s.Appended)
	counter(c.orphaned, s.Orphaned)
	counter(c.replayHits, s.ReplayHits)
	counter(c.replayMisses, s.ReplayMisses)
	counter(c.replayEvictions, s.ReplayEvictions)
}
