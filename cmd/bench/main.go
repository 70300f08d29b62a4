// Command bench measures Sauron beside the designs that it replaces, on this machine,
// and writes a report.
//
//	go run .                      everything; writes ../../docs/bench
//	go run . -quick               one short pass, to show that all of it works
//	go run . -only scale,paced    some groups
//	go run . -beside other=PATH   another sauron in the same runs
//	go run . -beside 'gogc=GOGC=400 self --log-level error'
//
// One called before, with a goroutine for each subscription, is built from the history
// unless it is given: three goals compare with it.
//
// Server, client and upstream are processes of their own that talk over loopback. Exit
// 0: the report is written and every event of Sauron's came once and in order; 1: not
// so; 2: usage; 130: interrupted. No figure of time makes it fail. Linux only.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/sauron-stream/sauron/cmd/bench/proc"
	"github.com/sauron-stream/sauron/cmd/bench/role"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func run(args []string, in io.Reader, out, progress io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM) //nolint:forbidigo // the program's root
	defer stop()
	if _, err := proc.RaiseFiles(); err != nil {
		say(progress, "%v", err)
		return 1
	}
	if len(args) == 3 && args[0] == "role" {
		if err := role.Run(ctx, args[1], args[2], in, out); err != nil && ctx.Err() == nil {
			say(progress, "%v", err)
			return 1
		}
		return 0
	}
	o, err := parse(args, progress)
	if err != nil {
		return 2
	}
	err = measure(ctx, o, progress)
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
