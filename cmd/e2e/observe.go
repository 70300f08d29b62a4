package main

import (
	"context"
	"fmt"
	"time"
)

// An observation is all that is known when the scenario is over: what the
// callers saw, and what others saw of the same.
type observation struct {
	story
	took time.Duration // from the first call to the last end

	passed   []exchange // what went through the proxy before the upstream
	counted  int        // by the service's own metric
	recorded *int       // by the backend's journal; nil if it keeps none
	direct   []answer   // the upstream's own answers to the bodies in passed
	exitCode int        // of the service
}

// observe starts the service before the backend, with a witness between them,
// plays the scenario, and asks everybody what they saw.
func observe(ctx context.Context, work *workspace, binary string, back *backend) (observation, error) {
	var seen observation
	between, err := newWitness(ctx, back.base)
	if err != nil {
		return seen, err
	}
	defer between.close()
	service, err := work.startSauron(ctx, binary, between.url)
	if err != nil {
		return seen, err
	}
	defer service.stop()

	work.step("%d identical callers and %d different ones", identicalCallers, len(back.load.others))
	begun := time.Now()
	seen.story = scenario{conns: service.conns, model: back.model, load: back.load}.run(ctx)
	seen.took = time.Since(begun)
	if err := ctx.Err(); err != nil {
		return seen, fmt.Errorf("the callers' streams did not end in time: %w", err)
	}

	if seen.counted, err = service.upstreamStreams(ctx, len(back.load.questions())); err != nil {
		return seen, err
	}
	seen.exitCode = service.stop()
	seen.passed = between.exchanges()
	if back.journal != nil {
		n, err := back.journal(ctx)
		if err != nil {
			return seen, err
		}
		seen.recorded = &n
	}

	work.step("the same bodies again, straight to the upstream")
	for _, e := range seen.passed {
		a, err := ask(ctx, back.base, e.body)
		if err != nil {
			return seen, fmt.Errorf("asking the upstream directly: %w", err)
		}
		seen.direct = append(seen.direct, a)
	}
	return seen, nil
}
