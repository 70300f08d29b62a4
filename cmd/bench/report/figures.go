package report

import (
	"time"

	"github.com/sauron-stream/sauron/cmd/bench/trial"
)

// A figureOf is one figure of an outcome.
type figureOf func(outcome) float64

type outcome = trial.Outcome

const kib = 1 << 10

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func cpu(o trial.Outcome) float64       { return micros(o.CPUPerDelivery()) }
func p50(o trial.Outcome) float64       { return millis(o.Latency.P50) }
func p99(o trial.Outcome) float64       { return millis(o.Latency.P99) }
func first50(o trial.Outcome) float64   { return millis(o.FirstToken.P50) }
func first99(o trial.Outcome) float64   { return millis(o.FirstToken.P99) }
func perSecond(o trial.Outcome) float64 { return o.PerSecond() }
func idle(o trial.Outcome) float64      { return o.IdlePerStream() / kib }
func peak(o trial.Outcome) float64      { return o.PeakPerStream() / kib }
func objects(o trial.Outcome) float64   { return o.ObjectsPerDelivery() }
func lost(o trial.Outcome) float64      { return float64(o.Lost) }
func repeated(o trial.Outcome) float64  { return float64(o.Repeated) }
func reordered(o trial.Outcome) float64 { return float64(o.Reordered + o.Foreign) }
func failed(o trial.Outcome) float64    { return float64(o.Failed) }
func streams(o trial.Outcome) float64   { return float64(o.Paid.Streams) }
func tokens(o trial.Outcome) float64    { return float64(o.Paid.Tokens) }

// lostShare is the lost events of all that were to come, in percent.
func lostShare(o trial.Outcome) float64 {
	return 100 * ratio(float64(o.Lost), float64(o.Lost+o.Received))
}

// busy is how much of a core a part had, in percent.
func busy(of func(trial.Outcome) time.Duration) figureOf {
	return func(o trial.Outcome) float64 { return 100 * ratio(of(o).Seconds(), o.Wall.Seconds()) }
}

var (
	serverBusy   = busy(func(o trial.Outcome) time.Duration { return o.CPU })
	clientBusy   = busy(func(o trial.Outcome) time.Duration { return o.Client })
	upstreamBusy = busy(func(o trial.Outcome) time.Duration { return o.Upstream })
)

// Figures of a generation instead of a delivery.
func generationCPU(o trial.Outcome) float64 {
	return micros(o.CPU) / float64(o.Point.Streams)
}

func generationObjects(o trial.Outcome) float64 {
	return o.Heap.Objects / float64(o.Point.Streams)
}

func generationBytes(o trial.Outcome) float64 {
	return o.Heap.Bytes / kib / float64(o.Point.Streams)
}
