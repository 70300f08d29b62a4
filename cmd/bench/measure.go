package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/sauron-stream/sauron/cmd/bench/plan"
	"github.com/sauron-stream/sauron/cmd/bench/proc"
	"github.com/sauron-stream/sauron/cmd/bench/report"
	"github.com/sauron-stream/sauron/cmd/bench/trial"
)

// measure builds the binary, runs everything and writes the report.
func measure(ctx context.Context, o options, progress io.Writer) error {
	began := time.Now()
	root, err := checkout(ctx)
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "sauron-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }() // it is in the system's own place for such
	binary := filepath.Join(folder, "sauron")
	say(progress, "building sauron")
	if _, err := command(ctx, root, "go", "build", "-o", binary, "./cmd/sauron"); err != nil {
		return err
	}
	if !o.quick && !o.has(plan.Before) {
		say(progress, "building sauron as it was before the pumps")
		if before, err := buildBefore(ctx, root, folder); err != nil {
			say(progress, "left out: %v", err) // a checkout may lack its history
		} else {
			o.beside = append(o.beside, plan.NamedBinary{Name: plan.Before, Path: before})
		}
	}
	runner, err := newRunner()
	if err != nil {
		return err
	}
	data := report.Data{Facts: facts(ctx, root, o, runner)}
	steps := plan.Make(o.quick, plan.Variants{Binary: binary, Others: o.beside})
	say(progress, "profiling")
	if data.Profiles, err = profiles(ctx, runner, binary, o.quick); err != nil {
		return err
	}
	out := o.folder(root)
	var wrong error
	for repetition := range o.reps {
		say(progress, "repetition %d of %d", repetition+1, o.reps)
		outcomes, err := repeat(ctx, o, runner, steps, repetition, progress)
		if err != nil {
			return err
		}
		data.Outcomes, data.Facts.Reps = append(data.Outcomes, outcomes...), repetition+1
		wrong = errors.Join(wrong, wrongs(outcomes))
		// Each time: a bench that is broken off has what it has.
		if err := data.Write(out); err != nil {
			return err
		}
	}
	say(progress, "%s, after %s", filepath.Join(out, "report.md"), time.Since(began).Round(time.Second))
	return wrong
}

// buildBefore builds the sauron that the pumps have replaced, and returns its path.
func buildBefore(ctx context.Context, root, folder string) (string, error) {
	source := filepath.Join(folder, "before")
	binary := filepath.Join(folder, "sauron-before")
	if err := os.Mkdir(source, 0o755); err != nil {
		return "", err
	}
	archive := source + ".tar"
	if _, err := command(ctx, root, "git", "archive", "--output", archive, plan.BeforeCommit); err != nil {
		return "", err
	}
	if _, err := command(ctx, source, "tar", "-xf", archive); err != nil {
		return "", err
	}
	_, err := command(ctx, source, "go", "build", "-o", binary, "./cmd/sauron")
	return binary, err
}

// repeat runs all steps once.
func repeat(ctx context.Context, o options, r *trial.Runner, steps []plan.Step, repetition int, progress io.Writer) ([]trial.Outcome, error) {
	var all []trial.Outcome
	for _, step := range steps {
		if !o.runs(step.Point.Group) {
			continue
		}
		for i := range step.Variants {
			// Each repetition begins with another variant.
			outcome, err := r.Run(ctx, step.Point, step.Variants[(i+repetition)%len(step.Variants)], nil)
			if err != nil {
				return nil, err
			}
			outcome.Repetition = repetition
			all = append(all, outcome)
			say(progress, "%s", line(outcome))
		}
	}
	return all, nil
}

// wrongs says what in the runs must not be.
func wrongs(outcomes []trial.Outcome) error {
	var errs []error
	for _, o := range outcomes {
		if w := o.Wrong(); w != "" {
			errs = append(errs, fmt.Errorf("%s, %s, %s: %s", o.Point.Group, o.Point.Name, o.Variant, w))
		}
	}
	return errors.Join(errs...)
}

// facts says where and of what the figures are.
func facts(ctx context.Context, root string, o options, r *trial.Runner) report.Facts {
	f := report.Facts{Quick: o.quick, Reps: o.reps, Command: o.command(), Commit: "unknown", Cores: "no core is anyone's own"}
	// A checkout without git has no commit to name.
	if commit, err := command(ctx, root, "git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"); err == nil {
		f.Commit = commit
	}
	if len(r.Servers) > 0 {
		f.Cores = fmt.Sprintf("the server on core %v, the client and the upstream on %v", r.Servers, r.Clients)
	}
	f.Gather()
	return f
}

// line is what a run shows while the bench goes on.
func line(o trial.Outcome) string {
	return fmt.Sprintf("%-9s %-46s %-24s %7.2f us  p50 %7.2f ms  p99 %7.2f ms  %8.0f/s  lost %d",
		o.Point.Group, o.Point.Name, o.Variant, o.CPUPerDelivery().Seconds()*1e6,
		o.Latency.P50.Seconds()*1e3, o.Latency.P99.Seconds()*1e3, o.PerSecond(), o.Lost)
}

// newRunner puts servers on the first core and everything else on the others; with one
// core there is nothing to put.
func newRunner() (*trial.Runner, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cpus, err := proc.CPUs()
	if err != nil {
		return nil, err
	}
	r := &trial.Runner{Self: self}
	if len(cpus) > 1 {
		r.Servers, r.Clients = cpus[:1], cpus[1:]
	}
	return r, nil
}

// checkout returns the folder of the product's module.
func checkout(ctx context.Context) (string, error) {
	return command(ctx, "", "go", "list", "-m", "-f", "{{.Dir}}", "github.com/sauron-stream/sauron")
}

// command runs a program to its end and returns what it printed.
func command(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		text := ""
		if ended, ok := errors.AsType[*exec.ExitError](err); ok {
			text = "\n" + string(ended.Stderr)
		}
		return "", fmt.Errorf("%s %s: %w%s", name, strings.Join(args, " "), err, text)
	}
	return strings.TrimSpace(string(out)), nil
}
