// Command e2e puts the sauron binary in front of a third party's LLM server on
// this machine, lets callers share a generation, and reports what it saw.
//
//	go run ./cmd/e2e real                    a real engine with a small real model
//	go run ./cmd/e2e real --random-weights   the same engine, weights made here
//	go run ./cmd/e2e mock                    a mock with paced answers and a journal
//
// What it needs (a server, weights, a mock) it gets once through the ordinary
// package clients and keeps under .build/e2e in the checkout. What it runs talks
// over loopback only, is bounded in time, and is stopped before it exits, on a
// failure and on an interrupt too. Exit 0: everything was as promised; 1: it was
// not, or something could not be had; 2: usage; 130: interrupted.
package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// observeLimit bounds everything from starting sauron to having asked everybody.
const observeLimit = 10 * time.Minute

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, out, progress io.Writer) int {
	start, err := parse(args, progress)
	if err != nil {
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM) //nolint:forbidigo // the program's root
	defer stop()

	err = test(ctx, start, out, progress)
	switch {
	case ctx.Err() != nil:
		say(progress, "interrupted")
		return 130
	case err != nil:
		say(progress, "%v", err)
		return 1
	}
	return 0
}

// parse returns the function that starts the backend which args ask for. It
// prints its own errors.
func parse(args []string, output io.Writer) (starter, error) {
	flags := flag.NewFlagSet("e2e", flag.ContinueOnError)
	flags.SetOutput(output)
	flags.Usage = func() {
		say(output, "usage: e2e real [--random-weights] | e2e mock")
	}
	random := false
	mode := ""
	if len(args) > 0 {
		mode, args = args[0], args[1:]
	}
	if mode == "real" {
		flags.BoolVar(&random, "random-weights", false, "use the model with random weights")
	}
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	switch {
	case flags.NArg() > 0:
	case mode == "real" && random:
		return startOllamaRandom, nil
	case mode == "real":
		return startOllama, nil
	case mode == "mock":
		return startAimock, nil
	}
	flags.Usage()
	return nil, errors.New("usage")
}

// test runs the scenario once and writes the report to out.
func test(ctx context.Context, start starter, out, progress io.Writer) error {
	work, err := newWorkspace(ctx, progress)
	if err != nil {
		return err
	}
	binary, err := work.buildSauron(ctx)
	if err != nil {
		return err
	}
	back, err := start(ctx, work)
	if err != nil {
		return err
	}
	defer back.server.Stop()

	ctx, cancel := context.WithTimeout(ctx, observeLimit)
	defer cancel()
	seen, err := observe(ctx, work, binary, back)
	if err != nil {
		return err
	}
	findings := judge(back.load, seen)
	if err := writeReport(out, back, seen, findings); err != nil {
		return err
	}
	return failure(findings)
}
