// Command example-hook is a prepare hook to start from: it puts a system message
// from a file in front of every conversation.
//
// Run it, and name it in a route of the service's configuration:
//
//	example-hook --file instructions.txt
//
//	prepare: {address: "127.0.0.1:50052"}
//
// The file is read again for each generation, so an edit counts from the next one
// on. An empty file adds nothing. SIGTERM and SIGINT stop it after the calls that
// run; a second signal stops it at once. It exits with 0 after a stop, 1 if it
// cannot serve and 2 on wrong usage.
//
// The hook answers whoever reaches its address, in plain text: keep it inside the
// mesh, or on loopback as it is by default.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"
)

// Exit statuses.
const (
	exitOK = iota
	exitFailed
	exitUsage
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stderr)) //nolint:forbidigo // the root of the process
}

// run serves until ctx ends or a signal comes, and returns the exit status.
func run(ctx context.Context, args []string, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, os.Interrupt)
	defer stop()
	context.AfterFunc(ctx, stop) // gives a second signal its own effect back

	flags := flag.NewFlagSet("example-hook", flag.ContinueOnError)
	flags.SetOutput(stderr)
	listen := flags.String("listen", "127.0.0.1:50052", "gRPC `address` to listen on")
	file := flags.String("file", "", "`path` of the system message's text; required")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil: // the flag set has said it
		return exitUsage
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "example-hook: unexpected argument %q\n", flags.Arg(0)) //nolint:errcheck // nowhere else to say it
		return exitUsage
	case *file == "":
		fmt.Fprintln(stderr, "example-hook: --file is required") //nolint:errcheck // nowhere else to say it
		return exitUsage
	}

	logger := slog.New(slog.NewTextHandler(stderr, nil))
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", *listen)
	if err != nil {
		logger.LogAttrs(ctx, slog.LevelError, "cannot listen", slog.Any("error", err))
		return exitFailed
	}
	logger.LogAttrs(ctx, slog.LevelInfo, "listening", slog.String("address", listener.Addr().String()))
	if err := serve(ctx, listener, &service{file: *file, log: logger}); err != nil {
		logger.LogAttrs(ctx, slog.LevelError, "cannot serve", slog.Any("error", err))
		return exitFailed
	}
	logger.LogAttrs(ctx, slog.LevelInfo, "stopped", slog.Any("cause", context.Cause(ctx)))
	return exitOK
}
