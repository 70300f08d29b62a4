package main

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/google/pprof/profile"

	"github.com/sauron-stream/sauron/cmd/bench/plan"
	"github.com/sauron-stream/sauron/cmd/bench/proc"
	"github.com/sauron-stream/sauron/cmd/bench/report"
	"github.com/sauron-stream/sauron/cmd/bench/trial"
)

// profiles runs Sauron at the main points once more and asks it where its time goes.
func profiles(ctx context.Context, r *trial.Runner, binary string, quick bool) ([]report.Profile, error) {
	length := 10 * time.Second
	if quick {
		length = time.Second
	}
	var all []report.Profile
	for _, p := range plan.Profiled(quick, length+2*time.Second) {
		taken := &profile.Profile{}
		_, err := r.Run(ctx, p, trial.Variant{Name: plan.Sauron, Binary: binary}, func(ctx context.Context, admin string) error {
			data, err := proc.Get(ctx, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%.0f", admin, length.Seconds()))
			if err != nil {
				return err
			}
			taken, err = profile.Parse(bytes.NewReader(data))
			return err
		})
		if err != nil {
			return nil, err
		}
		all = append(all, report.Profile{Title: p.Name, Taken: taken})
	}
	return all, nil
}
