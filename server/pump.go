package server

import (
	"hash/maphash"
	"runtime"
	"sync"
	"time"

	"github.com/sauron-stream/sauron/manager"
)

// pumps are the goroutines that hand events to streams: about one a core, each for many
// streams. Waking a goroutine per stream costs several times what it then does.
type pumps struct {
	all     []*pump
	seed    maphash.Seed
	running sync.WaitGroup
}

// newPumps starts the pumps. interval is the least time between two wake-ups of one
// reader; 0: none.
func newPumps(interval time.Duration) *pumps {
	p := &pumps{seed: maphash.MakeSeed()}
	for range runtime.GOMAXPROCS(0) {
		one := newPump(interval)
		p.all = append(p.all, one)
		p.running.Go(one.run)
	}
	return p
}

// readersTogether is how many readers of one generation a pump gets before the next one
// gets some: few enough that a large crowd is spread, and so many that for nearly every
// generation one wake-up an event will do.
const readersTogether = 64

// of returns the pump for a subscription.
func (p *pumps) of(s *manager.Subscription) *pump {
	home := maphash.String(p.seed, s.GenerationID()) + uint64(s.Ordinal()/readersTogether)
	return p.all[home%uint64(len(p.all))]
}

// close ends the pumps, when no stream is left.
func (p *pumps) close() {
	for _, one := range p.all {
		one.push(stop{})
	}
	p.running.Wait()
}

// A pump does tasks one after the other. What they do with streams and crowds is done in
// its goroutine alone. It never blocks but for want of tasks.
type pump struct {
	crowds   map[string]*crowd // by generation; the goroutine's
	interval time.Duration

	mu    sync.Mutex // guards tasks
	tasks []task
	kick  chan struct{} // holds a token when there may be tasks; capacity 1
}

// A task is something that a pump does next.
type task interface {
	// step does it. It reports whether the pump goes on.
	step(*pump) bool
}

func newPump(interval time.Duration) *pump {
	return &pump{crowds: make(map[string]*crowd), interval: interval, kick: make(chan struct{}, 1)}
}

// push has t done soon. It does not block.
func (p *pump) push(t task) {
	p.mu.Lock()
	p.tasks = append(p.tasks, t)
	first := len(p.tasks) == 1
	p.mu.Unlock()
	if first { // otherwise it was told of the first and has not looked yet
		select {
		case p.kick <- struct{}{}:
		default:
		}
	}
}

func (p *pump) run() {
	var tasks []task
	for range p.kick {
		p.mu.Lock()
		tasks, p.tasks = p.tasks, tasks[:0]
		p.mu.Unlock()
		for i := range tasks {
			t := tasks[i]
			tasks[i] = nil // a task that is done is not kept while the pump sleeps
			if !t.step(p) {
				return
			}
		}
	}
}

// A stop is the task that ends a pump.
type stop struct{}

func (stop) step(*pump) bool { return false }
