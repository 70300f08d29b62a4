package server

import (
	"runtime"
	"time"

	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/sauron-stream/sauron/manager"
	"github.com/sauron-stream/sauron/manager/event"
)

// durationBuckets reach from 5 ms to 600 s: from a token to the longest answer.
var durationBuckets = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600}

// noParticipation is the participation of a refused request.
const noParticipation = "none"

// metrics is everything the service counts. Label values come from closed lists or
// from the configuration, never from a caller.
type metrics struct {
	registry *prometheus.Registry
	grpc     *grpcprom.ServerMetrics

	requests    *prometheus.CounterVec
	generations *prometheus.CounterVec
	upstreams   *prometheus.CounterVec
	delivered   prometheus.Counter
	shared      *prometheus.CounterVec
	firstToken  *prometheus.HistogramVec
	stage       *prometheus.HistogramVec
}

func newMetrics(version string, stats func() manager.Stats) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		grpc:     grpcprom.NewServerMetrics(grpcprom.WithServerHandlingTimeHistogram(grpcprom.WithHistogramBuckets(durationBuckets))),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sauron_requests_total",
			Help: "Generate streams at their end, refused ones too.",
		}, []string{"route", "participation", "outcome"}),
		generations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sauron_generations_total",
			Help: "Generations at their end.",
		}, []string{"route", "outcome"}),
		upstreams: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sauron_upstream_streams_total",
			Help: "Upstream streams at their end, one per attempt.",
		}, []string{"upstream", "outcome"}),
		delivered: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sauron_events_delivered_total",
			Help: "Log events handed to streams, once per reader.",
		}),
		shared: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sauron_tokens_shared_total",
			Help: "Completion tokens delivered beyond the first reader of a generation, where the upstream sent usage.",
		}, []string{"route"}),
		firstToken: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "sauron_time_to_first_token_seconds",
			Help:    "Time from join to the first text, reasoning, refusal or tool delta.",
			Buckets: durationBuckets,
		}, []string{"participation"}),
		stage: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "sauron_stage_seconds",
			Help:    "Time that a generation spent in a stage, once per stage that it entered.",
			Buckets: durationBuckets,
		}, []string{"stage"}),
	}
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		m.grpc, m.requests, m.generations, m.upstreams, m.delivered, m.shared, m.firstToken, m.stage,
		buildInfo(version), newStatsCollector(stats),
	)
	return m
}

func buildInfo(version string) prometheus.Collector {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "sauron_build_info",
		Help: "Always 1; the labels say what runs.",
	}, []string{"version", "go_version"})
	g.WithLabelValues(version, runtime.Version()).Set(1)
	return g
}

// generation books a generation that ended.
func (m *metrics) generation(r manager.Report) {
	m.generations.WithLabelValues(r.Route, string(r.Outcome)).Inc()
	for s := event.StageQueued; s <= r.Reached; s++ {
		m.stage.WithLabelValues(s.String()).Observe(r.Stages[s].Seconds())
	}
}

// request books a Generate stream that ended.
func (m *metrics) request(route, participation string, outcome manager.Outcome) {
	m.requests.WithLabelValues(route, participation, string(outcome)).Inc()
}

func (m *metrics) tokenAfter(p manager.Participation, d time.Duration) {
	m.firstToken.WithLabelValues(string(p)).Observe(d.Seconds())
}
