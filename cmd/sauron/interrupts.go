package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
)

// errInterrupted ends what a second signal ends.
var errInterrupted = errors.New("interrupted")

// interrupts are what SIGINT and SIGTERM mean: the first asks for a good end, the
// second for one at once.
type interrupts struct {
	soft context.Context // ends at the first signal; a child of hard
	hard context.Context // ends at the second signal, with errInterrupted
	stop func()          // gives the signals back; soft and hard end
}

// interrupts takes over the signals until stop is called.
func (p *process) interrupts(ctx context.Context) interrupts {
	signals := make(chan os.Signal, 2) // two mean something; none is lost while nobody looks
	giveBack := p.notify(signals)
	hard, endHard := context.WithCancelCause(ctx)
	soft, endSoft := context.WithCancelCause(hard)

	var watcher sync.WaitGroup
	watcher.Go(func() {
		select {
		case s := <-signals:
			endSoft(fmt.Errorf("signal: %v", s))
		case <-hard.Done():
			return
		}
		select {
		case <-signals:
			endHard(errInterrupted)
		case <-hard.Done():
		}
	})
	return interrupts{soft: soft, hard: hard, stop: func() {
		giveBack()
		endHard(nil)
		watcher.Wait()
	}}
}
