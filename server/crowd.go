package server

import (
	"runtime"
	"sync/atomic"
	"time"
)

// A crowd is those streams of one generation and one pump that have all that there is,
// and wait for more. It is the one thing that the generation wakes for all of them.
type crowd struct {
	pump    *pump
	waiting []*delivery // the pump's; each knows its place in it

	queued atomic.Bool // it is among the pump's tasks, or its timer will put it there
	timer  *time.Timer // of the interval that runs; nil before the first
	last   time.Time   // when it was looked at last; the pump's
}

// Wake implements manager.Watcher.
func (c *crowd) Wake() {
	if c.queued.Swap(true) {
		return
	}
	c.pump.push(c)
}

// step implements task: it hands everybody what is new.
func (c *crowd) step(p *pump) bool {
	if p.interval > 0 {
		if wait := p.interval - time.Since(c.last); wait > 0 {
			c.timer = time.AfterFunc(wait, func() { p.push(c) })
			return true
		}
		c.last = time.Now()
	}
	c.queued.Store(false)                      // before looking: what comes from now on wakes it again
	for i := len(c.waiting) - 1; i >= 0; i-- { // backwards: who can't go on leaves the crowd
		c.waiting[i].advance()
		if i%handsOver == handsOver-1 {
			runtime.Gosched()
		}
	}
	return true
}

// handsOver is after how many streams a pump lets others run: the transport writes what
// was handed over before it has gone cold, and nobody waits for a whole crowd.
const handsOver = 32

// join adds d to its generation's crowd.
func (p *pump) join(d *delivery) {
	c := p.crowds[d.sub.GenerationID()]
	if c == nil {
		c = &crowd{pump: p, last: d.seen}
		p.crowds[d.sub.GenerationID()] = c
		d.sub.Watch(c)
	}
	d.crowd, d.place = c, len(c.waiting)
	c.waiting = append(c.waiting, d)
}

// leave takes d out of its crowd, if it is in one. The last one out ends it.
func (p *pump) leave(d *delivery) {
	c := d.crowd
	if c == nil {
		return
	}
	last := len(c.waiting) - 1
	c.waiting[d.place] = c.waiting[last]
	c.waiting[d.place].place = d.place
	c.waiting[last] = nil
	c.waiting = c.waiting[:last]
	d.crowd, d.seen = nil, c.last
	if last == 0 {
		d.sub.Unwatch(c)
		if c.timer != nil {
			c.timer.Stop()
		}
		delete(p.crowds, d.sub.GenerationID())
	}
}
