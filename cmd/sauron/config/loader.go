package config

import (
	"flag"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"
)

// A loader makes one Config. It is used once, by one goroutine.
type loader struct {
	env      func(string) (string, bool)
	cfg      *Config
	settings []setting // bound to cfg

	// Set by readSettings.
	source    map[string]string // by setting: who said the value that holds
	upstreams *yaml.Node        // nil: not in the file
	routes    *yaml.Node        // nil: not in the file
}

// newLoader returns a loader whose configuration holds the defaults.
func newLoader(env func(string) (string, bool)) *loader {
	l := &loader{env: env, cfg: &Config{}, source: map[string]string{}}
	l.settings = l.cfg.settings()
	for _, s := range l.settings {
		if s.def == "" {
			continue
		}
		if err := s.set(s.def); err != nil {
			panic(fmt.Sprintf("config: default of %s: %v", s.name, err))
		}
	}
	return l
}

// readSettings reads the sources from the lowest to the highest, each over the
// ones before it.
func (l *loader) readSettings(args []string) error {
	flags, err := l.parseFlags(args)
	if err != nil {
		return err
	}
	if err := l.readFile(flags); err != nil {
		return err
	}
	for _, s := range l.settings {
		if v, ok := l.env(s.variable()); ok {
			if err := l.apply(s, v, s.variable()); err != nil {
				return err
			}
		}
	}
	for _, s := range l.settings {
		if v, ok := flags[s.name]; ok {
			if err := l.apply(s, v, "--"+s.name); err != nil {
				return err
			}
		}
	}
	return nil
}

// apply sets s to value and remembers that source said it.
func (l *loader) apply(s setting, value, source string) error {
	if err := s.set(value); err != nil {
		return fmt.Errorf("%s: %w", source, err)
	}
	l.source[s.name] = source
	return nil
}

// parseFlags returns the flags of args by name, as they are written.
func (l *loader) parseFlags(args []string) (map[string]string, error) {
	given := map[string]string{}
	fs := flag.NewFlagSet("sauron serve", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // whoever called Load prints the error
	for _, s := range l.settings {
		note := func(v string) error {
			given[s.name] = v
			return nil
		}
		if s.onFlag {
			fs.BoolFunc(s.name, s.help, note)
		} else {
			fs.Func(s.name, s.help, note)
		}
	}
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	return given, nil
}
