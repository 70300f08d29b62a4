package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// The exit statuses.
const (
	exitOK        = 0
	exitFailed    = 1
	exitUsage     = 2
	exitCancelled = 130 // as shells have it for SIGINT
)

// A process is what a command has of the process that it runs in. All of it is
// set at construction and read-only.
type process struct {
	program string // as it was started
	env     func(string) (string, bool)
	stdin   io.Reader
	stdout  io.Writer
	stderr  io.Writer
	budget  time.Duration // how long a caller tries again
	// notify has SIGINT and SIGTERM sent to c, which then do not end the process
	// until stop is called.
	notify func(c chan<- os.Signal) (stop func())
}

// A command is one of the words that may follow `sauron`.
type command struct {
	name    string
	summary string
	run     func(p *process, ctx context.Context, args []string) int
}

func commands() []command {
	return []command{
		{"serve", "serve gRPC", (*process).serve},
		{"generate", "print a generation as it comes", (*process).generate},
		{"cancel", "cancel a request by its id", (*process).cancel},
		{"version", "print the version", (*process).version},
		{"help", "print this, or the help of a command", (*process).help},
	}
}

// run runs the command that args begin with and returns the exit status.
func (p *process) run(ctx context.Context, args []string) int {
	if len(args) == 0 {
		_, _ = io.WriteString(p.stderr, commandList())
		return exitUsage
	}
	name := args[0]
	if name == "--help" || name == "-help" || name == "-h" {
		name = "help"
	}
	if name == "--version" {
		name = "version"
	}
	for _, c := range commands() {
		if c.name == name {
			return c.run(p, ctx, args[1:])
		}
	}
	return p.usageError("", fmt.Errorf("no such command: %q", args[0]))
}

// help prints the list of commands, or the help of the one that args name.
func (p *process) help(ctx context.Context, args []string) int {
	if len(args) > 0 && args[0] != "help" {
		return p.run(ctx, []string{args[0], "--help"})
	}
	return p.print(commandList())
}

// commandList returns the help of sauron itself.
func commandList() string {
	var b strings.Builder
	b.WriteString("Usage: sauron COMMAND [flags]\n\nCommands:\n")
	for _, c := range commands() {
		fmt.Fprintf(&b, "  %-9s %s\n", c.name, c.summary)
	}
	b.WriteString("\n`sauron COMMAND --help` prints a command's flags.\n")
	return b.String()
}

// print prints text on standard output, which is all that a command has to do.
func (p *process) print(text string) int {
	if _, err := io.WriteString(p.stdout, text); err != nil {
		return p.fail("", exitFailed, err)
	}
	return exitOK
}

// usageError says in one line what is wrong with the command line of command,
// which is empty for that of sauron itself.
func (p *process) usageError(command string, err error) int {
	name := strings.TrimSpace("sauron " + command)
	return p.fail(command, exitUsage, fmt.Errorf("%w; see `%s --help`", err, name))
}

// fail prints err in one line and returns status.
func (p *process) fail(command string, status int, err error) int {
	name := strings.TrimSpace("sauron " + command)
	_, _ = fmt.Fprintf(p.stderr, "%s: %s\n", name, oneLine(err.Error()))
	return status
}
