package server

import (
	"context"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
	"github.com/sauron-stream/sauron/manager"
	"github.com/sauron-stream/sauron/manager/event"
	"github.com/sauron-stream/sauron/manager/fault"
)

// A delivery hands one subscription's events to one gRPC stream. The handler begins it
// and ends it; in between a pump does the handing, which never blocks in SendMsg: the
// stream's credit keeps it from the transport's limit.
type delivery struct {
	// Set at construction, then read-only.
	sub     *manager.Subscription
	stream  grpc.ServerStream
	credit  *credit
	metrics *metrics
	pump    *pump
	joined  time.Time
	slow    time.Duration // how long the client may take nothing

	ctx context.Context // the stream's, but that it ends a little before the deadline; set by run

	// The pump's.
	crowd *crowd    // where it waits for more; nil: it does not
	place int       // there
	seen  time.Time // when its last crowd was looked at last

	done chan struct{} // closed when the pump, or the client's slowness, has ended the stream

	mu       sync.Mutex // held by the pump while it uses the stream; guards the fields below
	over     bool       // the handler has it back for good
	end      *manager.End
	err      error       // of SendMsg
	tooLate  bool        // the client took nothing for too long
	thrown   *pumpPanic  // by SendMsg
	parkedAt time.Time   // when it was parked last
	timer    *time.Timer // for who is parked too long; nil before the first time

	last       int64 // sequence handed over
	events     int64
	firstToken time.Duration // after joined; 0: none yet
	usage      *event.Usage  // set when the answer was whole and the upstream sent one
}

// deadlineLead is how long before a caller's deadline its stream is ended. At the
// deadline itself grpc-go resets the stream, and a client whose clock is a moment
// behind would take that for a cancellation.
const deadlineLead = 10 * time.Millisecond

// run delivers until the stream ends. It returns how it ended and the handler's
// result.
func (d *delivery) run() (manager.Outcome, error) {
	d.ctx = d.stream.Context()
	if deadline, ok := d.ctx.Deadline(); ok {
		var stop context.CancelFunc
		lead := min(deadlineLead, time.Until(deadline)/10)
		d.ctx, stop = context.WithDeadline(d.ctx, deadline.Add(-lead))
		defer stop()
	}
	if err := d.stream.SendHeader(metadata.Pairs(
		requestIDHeader, d.sub.RequestID(), generationIDHeader, d.sub.GenerationID())); err != nil {
		return d.lost(err)
	}
	// What the log has already comes in one message with Started.
	started := d.started()
	first := d.sub.Next(maxMessage - len(started))
	if err := d.hand(started, first); err != nil {
		return d.lost(err)
	}
	if first.End != nil {
		return d.finish(first.End)
	}
	wake := func() { d.pump.push(d) }
	d.credit.wake.Store(&wake)
	defer d.credit.wake.Store(nil)
	d.pump.push(d)
	select {
	case <-d.done:
	case <-d.sub.Cancelled():
	case <-d.ctx.Done():
	}
	d.takeBack()
	switch {
	case d.thrown != nil:
		panic(d.thrown)
	case d.end != nil:
		return d.finish(d.end)
	}
	select {
	case <-d.sub.Cancelled(): // it wins over all but the end, which excludes it
		return d.finish(d.sub.Next(0).End)
	default:
	}
	if d.tooLate {
		return manager.Slow, statusOf(fault.New(fault.SlowConsumer, nil), d.last)
	}
	return d.lost(d.err)
}

// takeBack makes the stream the handler's again: from now on no pump touches it.
func (d *delivery) takeBack() {
	d.mu.Lock()
	d.over = true
	d.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
	}
	d.pump.push(gone{d})
}

// A gone is the task that takes a delivery out of its crowd.
type gone struct{ d *delivery }

func (g gone) step(p *pump) bool {
	p.leave(g.d)
	return true
}

// step implements task.
func (d *delivery) step(*pump) bool {
	d.advance()
	return true
}

// advance hands over all that there is, as far as the credit goes. It is the pump's.
func (d *delivery) advance() {
	d.mu.Lock()
	defer d.mu.Unlock()
	defer func() {
		if thrown := recover(); thrown != nil {
			d.thrown = &pumpPanic{stack: debug.Stack()}
			d.stop()
		}
	}()
	for !d.over {
		if d.credit.used() && d.park() {
			return
		}
		batch := d.sub.Next(maxMessage)
		switch {
		case len(batch.Data) > 0:
			if d.err = d.hand(nil, batch); d.err != nil {
				d.stop()
				return
			}
		case batch.End == nil && d.crowd != nil:
			return
		case batch.End == nil:
			d.pump.join(d) // and look again: it may have come before we watched
		}
		if batch.End != nil {
			d.end = batch.End
			d.stop()
			return
		}
	}
}

// A pumpPanic is what a panic in a pump becomes in the handler: one stream's trouble is
// no other's.
type pumpPanic struct{ stack []byte }

// stop ends the pump's part.
func (d *delivery) stop() {
	d.over = true
	d.pump.leave(d)
	close(d.done)
}

// park waits until the transport has taken something: nobody looks at the stream
// meanwhile. It reports whether there is anything to wait for.
func (d *delivery) park() bool {
	d.pump.leave(d)
	d.parkedAt = time.Now()
	if d.timer == nil {
		d.timer = time.AfterFunc(d.slow, d.tooSlow)
	} else {
		d.timer.Reset(d.slow)
	}
	return d.credit.park()
}

// tooSlow ends the stream of a client that has taken nothing since it was parked.
func (d *delivery) tooSlow() {
	d.mu.Lock()
	defer d.mu.Unlock()
	// It may have taken something since, and be parked no more, or again.
	if d.over || time.Since(d.parkedAt) < d.slow || !d.credit.parked.Load() {
		return
	}
	d.over, d.tooLate = true, true
	close(d.done)
}

// started returns the stream's first event, encoded.
func (d *delivery) started() []byte {
	return appendEvent(nil, &sauronv1.Event{Kind: &sauronv1.Event_Started{Started: &sauronv1.Started{
		RequestId:     d.sub.RequestID(),
		GenerationId:  d.sub.GenerationID(),
		Participation: participations[d.sub.Participation()],
	}}})
}

// hand gives a batch's events to the transport, after the event first if it is not
// empty.
func (d *delivery) hand(first []byte, b manager.Batch) error {
	data := b.Data
	if len(first) > 0 {
		data = append(first, data...)
	}
	if len(data) == 0 {
		return nil
	}
	if err := d.stream.SendMsg(d.credit.message(data)); err != nil {
		return err
	}
	d.last = b.Last
	d.events += int64(b.Events)
	d.metrics.delivered.Add(float64(b.Events))
	if b.FirstToken {
		d.firstToken = time.Since(d.joined)
		d.metrics.tokenAfter(d.sub.Participation(), d.firstToken)
	}
	return nil
}

// private hands over one event that is this stream's alone.
func (d *delivery) private(e *sauronv1.Event) error {
	return d.stream.SendMsg(d.credit.message(appendEvent(nil, e)))
}

// finish ends the stream as its generation, or a Cancel, has decided.
func (d *delivery) finish(end *manager.End) (manager.Outcome, error) {
	switch {
	case end.Err != nil:
		return end.Outcome, statusOf(end.Err, d.last)
	case end.Outcome == manager.Cancelled:
		return end.Outcome, d.private(&sauronv1.Event{Kind: &sauronv1.Event_Finished{
			Finished: &sauronv1.Finished{Outcome: sauronv1.Outcome_OUTCOME_CANCELLED},
		}})
	}
	d.usage = end.Usage
	return end.Outcome, nil
}

// lost ends a stream that the client, or its connection, has ended.
func (d *delivery) lost(err error) (manager.Outcome, error) {
	if d.ctx.Err() != nil {
		err = status.FromContextError(d.ctx.Err()).Err()
	}
	if ownDeadline(d.stream.Context()) {
		return manager.Deadline, err
	}
	return manager.Disconnected, err
}

// attributes returns what the log's line of this stream says besides its end.
func (d *delivery) attributes() []slog.Attr {
	attrs := []slog.Attr{
		slog.String("request_id", d.sub.RequestID()),
		slog.String("generation_id", d.sub.GenerationID()),
		slog.String("participation", string(d.sub.Participation())),
		slog.Int64("events", d.events),
	}
	if d.firstToken > 0 {
		attrs = append(attrs, slog.Duration("first_token", d.firstToken))
	}
	if d.usage != nil {
		attrs = append(attrs, slog.Int64("completion_tokens", d.usage.Completion))
	}
	return attrs
}

var participations = map[manager.Participation]sauronv1.Participation{
	manager.Leader:   sauronv1.Participation_PARTICIPATION_LEADER,
	manager.Follower: sauronv1.Participation_PARTICIPATION_FOLLOWER,
	manager.Replay:   sauronv1.Participation_PARTICIPATION_REPLAY,
}
