package trial

import (
	"context"
	"errors"
	"time"

	"github.com/sauron-stream/sauron/cmd/bench/proc"
	"github.com/sauron-stream/sauron/cmd/bench/role"
)

// A meter reads what the kernel and the server count.
type meter struct {
	setup *setup

	began                    time.Time
	server, client, upstream time.Duration // processor times then
	heap                     proc.Heap     // allocations then
	page                     proc.Heap     // what reading them costs
}

// base measures the server before the streams.
func (m *meter) base(o *Outcome) (err error) {
	if m.setup.server != nil {
		o.Base, err = m.setup.server.Memory()
	}
	return err
}

// idle measures the server with all streams open.
func (m *meter) idle(ctx context.Context, o *Outcome) error {
	if err := pause(ctx, settle); err != nil || m.setup.server == nil {
		return err
	}
	var err error
	o.Idle, err = m.setup.server.Memory()
	return err
}

// begin notes the counters.
func (m *meter) begin(ctx context.Context) error {
	if m.setup.server != nil {
		if err := m.readHeap(ctx); err != nil {
			return err
		}
	}
	m.began = time.Now()
	return m.times(&m.server, &m.client, &m.upstream)
}

// readHeap notes the allocations, and what reading them costs. Only now: the memory that
// it takes would be there for the streams.
func (m *meter) readHeap(ctx context.Context) error {
	var pages [3]proc.Heap // the first is dearer than those that follow
	for i := range pages {
		var err error
		if pages[i], err = proc.ReadHeap(ctx, m.setup.admin); err != nil {
			return err
		}
	}
	m.heap = pages[2]
	m.page = proc.Heap{
		Objects: min(pages[1].Objects-pages[0].Objects, pages[2].Objects-pages[1].Objects),
		Bytes:   min(pages[1].Bytes-pages[0].Bytes, pages[2].Bytes-pages[1].Bytes),
	}
	return nil
}

// times reads the processor times.
func (m *meter) times(server, client, upstream *time.Duration) error {
	var errs [3]error
	if m.setup.server != nil {
		*server, errs[0] = m.setup.server.CPU()
	}
	*client, errs[1] = m.setup.client.CPU()
	*upstream, errs[2] = m.setup.upstream.CPU()
	return errors.Join(errs[:]...)
}

// end reads the counters again.
func (m *meter) end(ctx context.Context, o *Outcome) error {
	o.Wall = time.Since(m.began)
	if err := m.times(&o.CPU, &o.Client, &o.Upstream); err != nil {
		return err
	}
	o.CPU, o.Client, o.Upstream = o.CPU-m.server, o.Client-m.client, o.Upstream-m.upstream
	if m.setup.server != nil {
		var err error
		if o.Peak, err = m.setup.server.Memory(); err != nil {
			return err
		}
		heap, err := proc.ReadHeap(ctx, m.setup.admin)
		if err != nil {
			return err
		}
		o.Heap = proc.Heap{
			Objects: heap.Objects - m.heap.Objects - m.page.Objects,
			Bytes:   heap.Bytes - m.heap.Bytes - m.page.Bytes,
		}
	}
	if err := m.setup.upstream.Say(role.TellStats); err != nil {
		return err
	}
	return m.setup.upstream.Hear(ctx, role.SaidStats, &o.Paid)
}

// pause waits.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
