// Command clienttest runs the example clients, each as a process, against the real
// sauron binary, through a proxy that cuts connections or lets them fall silent:
//
//	go run ./cmd/clienttest
//
// A client must print the text that a plain gRPC client gets from the server itself,
// byte for byte, however often its connection is lost, and cost one upstream stream;
// it must cancel by id, say what a failure's details are, and get past a full queue.
//
// Python is what the environment variable PYTHON names, else a virtual environment in
// .build/venv; Node.js is on the PATH. What the clients need is installed once, by pip
// and npm. A client whose toolchain is not to be had is skipped, with the reason at the
// end. What runs here talks over loopback only, is bounded in time, and is stopped
// before the program exits. Exit 0: nothing failed; 1: something did; 130: interrupted.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const (
	runLimit   = 15 * time.Minute // for everything
	trialLimit = time.Minute      // for one client in one scenario
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, out, progress io.Writer) int {
	if len(args) > 0 {
		say(progress, "usage: clienttest")
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM) //nolint:forbidigo // the program's root
	defer stop()
	limited, cancel := context.WithTimeout(ctx, runLimit)
	defer cancel()
	failed, err := test(limited, out, progress)
	switch {
	case ctx.Err() != nil:
		say(progress, "interrupted")
		return 130
	case err != nil:
		say(progress, "%v", err)
		return 1
	case failed > 0:
		return 1
	}
	return 0
}

// test puts every client that can run here through every scenario, and returns how
// many trials failed.
func test(ctx context.Context, out, progress io.Writer) (failed int, err error) {
	work, err := newWorkspace(ctx, progress)
	if err != nil {
		return 0, err
	}
	binary, err := work.buildSauron(ctx)
	if err != nil {
		return 0, err
	}
	r := newReport(out)
	for _, tc := range toolchains {
		work.step("preparing the client in %s", tc.name)
		c, err := tc.client(ctx, work)
		if err != nil {
			r.unprepared(tc.name, err)
			continue
		}
		for _, s := range scenarios {
			if err := ctx.Err(); err != nil {
				return r.failed, fmt.Errorf("not all scenarios ran: %w", err)
			}
			r.trial(c.name, s.name, try(ctx, trial{work: work, sauron: binary, client: c, scenario: s}))
		}
	}
	return r.failed, r.end()
}

// say writes one line for whoever watches.
func say(to io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(to, "clienttest: "+format+"\n", args...)
}
