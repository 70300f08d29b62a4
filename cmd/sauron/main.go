// Command sauron is a gRPC service in front of LLM servers, and a client of it.
//
//	sauron serve      serve gRPC
//	sauron generate   print a generation as it comes
//	sauron cancel     cancel a request by its id
//	sauron version    print the version
//
// Exit status 0 means done or complete, 1 failed, 2 a mistake on the command
// line or in the configuration, 130 cancelled.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	// A write to a pipe that nobody reads must fail instead of ending the process:
	// generate then cancels what nobody will see, and serve outlives its log.
	signal.Ignore(syscall.SIGPIPE)
	p := &process{
		program: os.Args[0],
		env:     os.LookupEnv,
		stdin:   os.Stdin,
		stdout:  os.Stdout,
		stderr:  os.Stderr,
		budget:  10 * time.Second, // servers keep what was lost for about as long
		notify: func(c chan<- os.Signal) func() {
			signal.Notify(c, os.Interrupt, syscall.SIGTERM)
			return func() { signal.Stop(c) }
		},
	}
	os.Exit(p.run(context.Background(), os.Args[1:])) //nolint:forbidigo // the root of all others
}
