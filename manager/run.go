package manager

import (
	"context"
	"errors"
	"time"

	"github.com/sauron-stream/sauron/manager/event"
	"github.com/sauron-stream/sauron/manager/fault"
)

// run is the owner goroutine of a generation: it takes it from the queue to its
// end.
func (m *Manager) run(b *broadcast) {
	defer b.cancel(nil)
	finished, err := m.generate(b)
	report := m.end(b, finished, err)
	if m.cfg.OnGeneration != nil {
		m.cfg.OnGeneration(report)
	}
}

// generate runs all stages. It returns the event that completes the answer, not
// yet logged, or why there is none.
func (m *Manager) generate(b *broadcast) (*event.Event, error) {
	if err := m.await(b.ctx, b, preparing, time.NewTimer(m.cfg.MaxQueueWait)); err != nil {
		return nil, err
	}
	m.enter(b, event.StagePreparing)
	streamer, err := m.prepare(b)
	if err != nil {
		return nil, err
	}

	// The hand-off: from here on preparing depends on nobody who streams, but for
	// a backlog that is full.
	m.mu.Lock()
	m.preparedLocked(b, b.limit)
	m.advanceLocked()
	m.mu.Unlock()
	wait := time.NewTimer(m.cfg.MaxQueueWait)
	if err := m.await(b.ctx, b, inBacklog, wait); err != nil {
		return nil, err
	}
	m.enter(b, event.StageWaiting)
	if err := m.await(b.ctx, b, streaming, wait); err != nil {
		return nil, err
	}
	m.enter(b, event.StageStreaming)

	ctx, cancel := context.WithTimeoutCause(b.ctx, m.cfg.GenerationTimeout, fault.New(fault.GenerationTimeout, nil))
	defer cancel()
	for {
		finished, err := m.attempt(ctx, b, streamer)
		retry, ok := errors.AsType[*fault.Retry](err)
		if !ok {
			return finished, err
		}
		if err := m.pause(ctx, b, retry.After); err != nil {
			return nil, err
		}
	}
}

// prepare calls the preparer and says what its failure means.
func (m *Manager) prepare(b *broadcast) (Streamer, error) {
	streamer, err := b.preparer.Prepare(b.ctx, b.id)
	b.preparer = nil // it holds the whole request, and the log may be kept for long
	switch {
	case b.ctx.Err() != nil:
		return nil, context.Cause(b.ctx)
	case err != nil:
		if _, ok := errors.AsType[*fault.Error](err); !ok {
			err = fault.New(fault.PrepareFailed, err)
		}
		return nil, err
	}
	b.limit = streamer.Upstream()
	return streamer, nil
}

// await blocks until b has come to a place, but not beyond limit.
func (m *Manager) await(ctx context.Context, b *broadcast, want place, limit *time.Timer) error {
	for {
		m.mu.Lock()
		at := b.place
		m.mu.Unlock()
		// On the way to a slot the backlog may be passed before anybody looks.
		if at == want || want == inBacklog && at == streaming {
			return nil
		}
		select {
		case <-b.moved:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-limit.C:
			return refuse(fault.QueueTimeout, nil)
		}
	}
}

// attempt runs one upstream stream. A *fault.Retry says that another may follow.
func (m *Manager) attempt(ctx context.Context, b *broadcast, streamer Streamer) (*event.Event, error) {
	b.attempts++
	finished, err := m.stream(ctx, b, streamer)
	if m.cfg.OnAttempt != nil {
		outcome := Failed
		switch {
		case finished != nil:
			outcome = Completed
		case b.ctx.Err() != nil:
			outcome = Stopped
		}
		m.cfg.OnAttempt(b.limit.Name, outcome)
	}
	return finished, err
}

// stream appends what one upstream stream yields.
func (m *Manager) stream(ctx context.Context, b *broadcast, streamer Streamer) (*event.Event, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	idle := m.cfg.UpstreamIdleTimeout
	timer := time.AfterFunc(idle, func() { cancel(fault.New(fault.UpstreamStalled, nil)) })
	defer timer.Stop()

	for e, err := range streamer.Stream(ctx) {
		switch {
		case err == nil && e.Kind == event.KindFinished:
			return &e, nil // whole, even if a limit was reached at this moment
		case ctx.Err() != nil:
			return nil, context.Cause(ctx) // whatever the streamer made of it
		case err != nil:
			return nil, b.judge(err)
		}
		timer.Reset(idle)
		if e.Kind != event.KindAlive {
			m.take(b, e)
		}
		if b.written > m.cfg.MaxGenerationBytes {
			return nil, fault.New(fault.GenerationTooLarge, nil)
		}
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return nil, fault.New(fault.UpstreamBroken, errors.New("manager: the stream ended without an end"))
}

// judge says what a streamer's error means for the generation.
func (b *broadcast) judge(err error) error {
	if retry, ok := errors.AsType[*fault.Retry](err); ok {
		if !b.yielded {
			return retry
		}
		return fault.New(fault.UpstreamBroken, retry.Err)
	}
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	return fault.New(fault.UpstreamBroken, err)
}

// take logs what the upstream yielded, long deltas in pieces.
func (m *Manager) take(b *broadcast, e event.Event) {
	b.yielded = true
	b.token = b.token || e.IsToken()
	if e.Kind == event.KindUsage {
		b.usage = e.Usage
	}
	for piece := range pieces(e) {
		m.append(b, piece)
	}
}

// pause gives the slot back, waits, and takes a slot again.
func (m *Manager) pause(ctx context.Context, b *broadcast, after time.Duration) error {
	b.clock(event.StageWaiting)
	m.mu.Lock()
	m.pauseLocked(b)
	m.advanceLocked()
	m.mu.Unlock()

	timer := time.NewTimer(after)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return context.Cause(ctx)
	}

	m.mu.Lock()
	m.unpauseLocked(b)
	m.advanceLocked()
	m.mu.Unlock()
	if err := m.await(ctx, b, streaming, time.NewTimer(m.cfg.MaxQueueWait)); err != nil {
		return err
	}
	b.clock(event.StageStreaming)
	return nil
}

// end closes the log and takes b off the registry in one step, and decides how long
// the log is kept.
func (m *Manager) end(b *broadcast, finished *event.Event, err error) Report {
	b.clock(event.StageEnded)
	m.mu.Lock()
	defer m.mu.Unlock()
	end := &End{Outcome: Completed, Usage: b.usage}
	f, _ := errors.AsType[*fault.Error](err)
	switch {
	case b.dying:
		end.Outcome, err = Stopped, context.Cause(b.ctx) // nobody will read this
	case finished != nil:
		m.append(b, *finished)
	case f.Reason == fault.Draining:
		end.Outcome, end.Err = Stopped, f
	default:
		end.Outcome, end.Err = Failed, f
	}
	b.log.close(end)
	b.ended = true
	b.completed = end.Outcome == Completed
	b.keepable = !b.dying && (end.Outcome == Completed || b.token)
	if !b.keepable {
		delete(m.readable, b.id)
	}
	delete(m.live, b)
	m.removeLocked(b)
	m.keepLocked(b, end.Outcome)
	m.advanceLocked()
	m.settleLocked()
	return Report{
		GenerationID: b.id,
		Tenant:       b.leader.tenant,
		Route:        b.route,
		Upstream:     b.limit.Name,
		Outcome:      end.Outcome,
		Err:          err,
		Events:       b.log.length.Load(),
		Bytes:        b.written,
		Requests:     b.joined,
		Attempts:     b.attempts,
		Usage:        b.usage,
		Stages:       b.spent,
		Reached:      b.reached,
	}
}

// keepLocked decides what becomes of the log of a generation that has just ended.
// A log that completed while a lease was out stays joinable by its key until that
// lease would have ended: clients often retry under a new id.
func (m *Manager) keepLocked(b *broadcast, outcome Outcome) {
	var until time.Time
	for q := range b.requests {
		switch {
		case q.hold == nil:
		case !b.keepable:
			m.releaseLocked(q)
		case q.hold.until.After(until):
			until = q.hold.until
		}
	}
	if m.joinable[b.key] == b {
		if outcome != Completed || until.IsZero() {
			delete(m.joinable, b.key)
		} else {
			b.joinTimer = time.AfterFunc(time.Until(until), func() {
				m.mu.Lock()
				defer m.mu.Unlock()
				if m.joinable[b.key] == b {
					delete(m.joinable, b.key)
				}
			})
		}
	}
	if outcome == Completed && b.window > 0 {
		m.enterWindowLocked(b)
	}
	if b.subs == 0 && b.holds == 0 && !b.inWindow {
		m.freeLocked(b)
	}
}
