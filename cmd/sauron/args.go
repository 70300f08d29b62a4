package main

import (
	"errors"
	"flag"
	"io"
)

// defaultAddress is where `sauron serve` listens if nothing is set.
const defaultAddress = "127.0.0.1:50051"

var errNoAddress = errors.New("--address: must not be empty")

// newFlags returns the flags of a client's command, which print nothing by
// themselves.
func newFlags(command string) *flag.FlagSet {
	fs := flag.NewFlagSet(command, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	return fs
}

// parseArgs parses args, in which flags may also follow what is not a flag, and
// returns the latter.
func parseArgs(fs *flag.FlagSet, args []string) ([]string, error) {
	var rest []string
	for {
		if err := fs.Parse(args); err != nil {
			return nil, err
		}
		if fs.NArg() == 0 {
			return rest, nil
		}
		if used := len(args) - fs.NArg(); used > 0 && args[used-1] == "--" {
			return append(rest, fs.Args()...), nil
		}
		rest = append(rest, fs.Arg(0))
		args = fs.Args()[1:]
	}
}
