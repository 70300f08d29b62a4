package manager

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/singleflight"

	"github.com/sauron-stream/sauron/manager/fault"
)

// ErrUnknownRequest is what Cancel returns for an id that names nothing, or
// nothing of that tenant.
var ErrUnknownRequest = errors.New("manager: unknown request id")

// Why a generation is stopped. They travel as context causes.
var (
	errAbandoned = errors.New("manager: nobody is left")
	errEvicted   = errors.New("manager: nobody is attached and others need the place")
)

// A Manager coalesces generations. It is safe for concurrent use. Use New.
type Manager struct {
	// Set by New, then read-only.
	cfg    Config
	ctx    context.Context // parent of every generation
	cancel context.CancelCauseFunc

	// Safe by themselves.
	creating singleflight.Group
	running  sync.WaitGroup // one per owner goroutine
	logBytes atomic.Int64
	appended atomic.Uint64
	orphaned atomic.Uint64

	mu        sync.Mutex // guards the fields below, and what says so in broadcast and request
	draining  bool       // no new generation
	closed    bool
	idle      chan struct{} // non-nil while Drain waits; closed when all is done
	live      map[*broadcast]struct{}
	joinable  map[Key]*broadcast    // b is in it if and only if any request of its key may join
	readable  map[string]*broadcast // by generation id: b is in it if and only if a resume may attach
	replays   replayWindow
	requests  map[requestName]*request
	memory    memory
	admission admission
	subs      int
	orphans   uint64 // counts who became an orphan, for their order
}

// New returns a Manager. The caller must Close it.
func New(cfg Config) *Manager {
	ctx, cancel := context.WithCancelCause(context.Background()) //nolint:forbidigo // root of every generation; ends in Close
	m := &Manager{
		cfg:      cfg,
		ctx:      ctx,
		cancel:   cancel,
		live:     make(map[*broadcast]struct{}),
		joinable: make(map[Key]*broadcast),
		readable: make(map[string]*broadcast),
		requests: make(map[requestName]*request),
		admission: admission{
			queueCapacity:   cfg.QueueCapacity,
			permits:         cfg.MaxConcurrentRequests,
			backlogCapacity: cfg.PreparedBacklog,
			slots:           cfg.MaxConcurrentLLMStreams,
			on:              make(map[string]int),
		},
	}
	m.replays = m.newReplayWindow() // it calls back
	return m
}

// Drain refuses new generations from now on and stops those that nobody listens
// to. Attaching to running ones and Cancel still work. It blocks until nothing runs
// and nobody reads, or until ctx ends: then what still runs ends as DRAINING.
func (m *Manager) Drain(ctx context.Context) {
	m.mu.Lock()
	m.draining = true
	for b := range m.live {
		if b.orphanLocked() {
			m.stopLocked(b, errAbandoned)
		}
	}
	m.advanceLocked()
	if m.idle == nil {
		m.idle = make(chan struct{})
		m.settleLocked()
	}
	idle := m.idle
	m.mu.Unlock()

	select {
	case <-idle:
	case <-ctx.Done():
		m.cancel(refuse(fault.Draining, context.Cause(ctx)))
	}
}

// settleLocked tells Drain when all is done.
func (m *Manager) settleLocked() {
	if m.idle == nil || len(m.live) > 0 || m.subs > 0 {
		return
	}
	select {
	case <-m.idle:
	default:
		close(m.idle)
	}
}

// Close ends every generation as DRAINING and waits for the owner goroutines. Ended
// logs are let go. It is idempotent.
func (m *Manager) Close() {
	m.mu.Lock()
	m.draining, m.closed = true, true
	m.mu.Unlock()
	m.cancel(refuse(fault.Draining, nil))
	m.running.Wait()
	m.replays.close()

	m.mu.Lock()
	defer m.mu.Unlock()
	for _, q := range m.requests {
		m.releaseLocked(q)
	}
	if m.memory.timer != nil {
		m.memory.timer.Stop()
	}
	m.memory = memory{}
}
