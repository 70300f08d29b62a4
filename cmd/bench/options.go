package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sauron-stream/sauron/cmd/bench/plan"
)

// options is the command line.
type options struct {
	quick  bool
	out    string
	reps   int
	only   []string // groups; empty: all
	beside []plan.NamedBinary
}

// repetitions is how many there are if nobody says.
const repetitions = 5

// parse reads the command line. It prints its own errors.
func parse(args []string, output io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(output)
	flags.BoolVar(&o.quick, "quick", false, "one short pass over everything")
	flags.StringVar(&o.out, "out", "", "the report's `folder` (default docs/bench in the checkout; with -quick .build/bench)")
	flags.IntVar(&o.reps, "reps", 0, "repetitions (default 5; with -quick 1)")
	flags.Func("only", "`groups` to run, with commas: "+strings.Join(plan.Groups(), ", "), o.setOnly)
	flags.Func("beside", "another sauron to run beside this one, `name=[VAR=value] path [flags]`, path self for the same binary; may be repeated", o.setBeside)
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		say(output, "bench takes flags only")
		flags.Usage()
		return o, errors.New("usage")
	}
	if o.reps <= 0 {
		o.reps = repetitions
		if o.quick {
			o.reps = 1
		}
	}
	return o, nil
}

// runs reports whether a group is asked for.
func (o *options) runs(group string) bool { return len(o.only) == 0 || slices.Contains(o.only, group) }

// has reports whether a sauron of that name is to run beside.
func (o *options) has(name string) bool {
	return slices.ContainsFunc(o.beside, func(b plan.NamedBinary) bool { return b.Name == name })
}

// folder returns where the report goes. A quick one must not replace a real one.
func (o *options) folder(root string) string {
	switch {
	case o.out != "":
		return o.out
	case o.quick:
		return filepath.Join(root, ".build", "bench")
	}
	return filepath.Join(root, "docs", "bench")
}

// command returns the command line that does the same again, but for paths.
func (o *options) command() string {
	words := []string{"cd cmd/bench && go run ."}
	if o.quick {
		words = append(words, "-quick")
	}
	if o.reps != repetitions && !o.quick || o.reps != 1 && o.quick {
		words = append(words, fmt.Sprintf("-reps %d", o.reps))
	}
	if len(o.only) > 0 {
		words = append(words, "-only "+strings.Join(o.only, ","))
	}
	for _, b := range o.beside {
		if b.Name != plan.Before {
			words = append(words, fmt.Sprintf("-beside '%s'=...", b.Name))
		}
	}
	return strings.Join(words, " ")
}

func (o *options) setOnly(groups string) error {
	for g := range strings.SplitSeq(groups, ",") {
		if !slices.Contains(plan.Groups(), g) {
			return fmt.Errorf("there is no group %q", g)
		}
		o.only = append(o.only, g)
	}
	return nil
}

func (o *options) setBeside(value string) error {
	name, command, _ := strings.Cut(value, "=")
	b := plan.NamedBinary{Name: name}
	words := strings.Fields(command)
	for len(words) > 0 && strings.Contains(words[0], "=") {
		b.Env, words = append(b.Env, words[0]), words[1:]
	}
	if name == "" || len(words) == 0 {
		return errors.New("want name=path, with variables before the path and flags behind it if need be")
	}
	b.Path, b.Flags = words[0], words[1:]
	o.beside = append(o.beside, b)
	return nil
}

// say writes one line for people.
func say(w io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(w, format+"\n", args...) // nobody to tell
}
