package server

import (
	"context"
	"log/slog"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
	"github.com/sauron-stream/sauron/manager"
	"github.com/sauron-stream/sauron/manager/event"
	"github.com/sauron-stream/sauron/manager/fault"
)

// A delivery hands one subscription's events to one gRPC stream, from the handler's
// goroutine. It never blocks in SendMsg: the stream's credit keeps it from the
// transport's limit.
type delivery struct {
	sub     *manager.Subscription
	stream  grpc.ServerStream
	ctx     context.Context // the stream's, but that it ends a little before the deadline
	credit  *credit
	metrics *metrics
	joined  time.Time
	slow    time.Duration // how long the client may take nothing

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
	for started := d.started(); ; started = nil {
		if d.credit.used() {
			if ended, outcome, err := d.park(); ended {
				return outcome, err
			}
			continue
		}
		batch := d.sub.Next(maxMessage)
		if err := d.hand(started, batch); err != nil {
			return d.lost(err)
		}
		if batch.End != nil {
			return d.finish(batch.End)
		}
		if len(batch.Data) > 0 {
			continue
		}
		select {
		case <-d.sub.Wait():
		case <-d.sub.Cancelled():
		case <-d.ctx.Done():
			return d.lost(nil)
		}
	}
}

// park waits until the transport has taken something. It reports whether the stream
// ends instead.
func (d *delivery) park() (ended bool, outcome manager.Outcome, err error) {
	timer := time.NewTimer(d.slow)
	defer timer.Stop()
	select {
	case <-d.credit.given:
		return false, "", nil
	case <-d.sub.Cancelled():
		outcome, err = d.finish(d.sub.Next(0).End)
	case <-d.ctx.Done():
		outcome, err = d.lost(nil)
	case <-timer.C:
		outcome, err = manager.Slow, statusOf(fault.New(fault.SlowConsumer, nil), d.last)
	}
	return true, outcome, err
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
