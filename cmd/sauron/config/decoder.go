package config

import (
	"errors"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// A decoder reads one value of the config file into where it belongs. Its errors
// are whole: they say where the value stands.
type decoder func(n *yaml.Node, at place) error

// A place is where a value stands: the file, and the keys that lead to it.
type place struct{ file, path string }

// key returns the place below p that name leads to.
func (p place) key(name string) place {
	if p.path != "" {
		name = p.path + "." + name
	}
	return place{p.file, name}
}

// item returns the place of a list's element.
func (p place) item(i int) place { return place{p.file, fmt.Sprintf("%s[%d]", p.path, i)} }

// of returns the place as errors have it, with n's line.
func (p place) of(n *yaml.Node) string {
	if p.path == "" {
		return fmt.Sprintf("%s:%d", p.file, n.Line)
	}
	return fmt.Sprintf("%s:%d: %s", p.file, n.Line, p.path)
}

func (p place) errorf(n *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("%s: %w", p.of(n), fmt.Errorf(format, args...))
}

// scalar reads a single value as it is written, whatever type YAML would give
// it: one parser a setting, not two.
func scalar(set func(string) error) decoder {
	return func(n *yaml.Node, at place) error {
		v := resolve(n)
		err := errors.New("must be a single value")
		switch {
		case isNull(v):
			err = errors.New("has no value")
		case v.Kind == yaml.ScalarNode:
			err = set(v.Value)
		}
		if err != nil {
			return at.errorf(n, "%w", err)
		}
		return nil
	}
}

// object reads a mapping of the given keys and no others, each at most once, in
// the order of the file. what says what a key is, such as "a setting".
func object(what string, fields map[string]decoder) decoder {
	return mapping(func(key *yaml.Node, at place) (decoder, error) {
		read, ok := fields[key.Value]
		if !ok {
			return nil, at.errorf(key, "is not %s", what)
		}
		return read, nil
	})
}

// mapping reads a mapping of any keys, each at most once. field says how to read
// a key's value.
func mapping(field func(key *yaml.Node, at place) (decoder, error)) decoder {
	return func(n *yaml.Node, at place) error {
		v := resolve(n)
		if v.Kind != yaml.MappingNode {
			return at.errorf(n, "must be a mapping of keys to values")
		}
		seen := make(map[string]int, len(v.Content)/2)
		for i := 0; i+1 < len(v.Content); i += 2 {
			key, value := resolve(v.Content[i]), v.Content[i+1]
			if key.Kind != yaml.ScalarNode {
				return at.errorf(v.Content[i], "a key must be a single value")
			}
			below := at.key(printable(key.Value))
			if line, ok := seen[key.Value]; ok {
				return below.errorf(v.Content[i], "is already set in line %d", line)
			}
			seen[key.Value] = key.Line
			read, err := field(key, below)
			if err != nil {
				return err
			}
			if err := read(value, below); err != nil {
				return err
			}
		}
		return nil
	}
}

// list reads a list of at least one element.
func list(element decoder) decoder {
	return func(n *yaml.Node, at place) error {
		v := resolve(n)
		if v.Kind != yaml.SequenceNode || len(v.Content) == 0 {
			return at.errorf(n, "must be a list of at least one")
		}
		for i, e := range v.Content {
			if err := element(e, at.item(i)); err != nil {
				return err
			}
		}
		return nil
	}
}

// keep leaves a value for later.
func keep(p **yaml.Node) decoder {
	return func(n *yaml.Node, _ place) error {
		*p = n
		return nil
	}
}

// resolve returns what an alias stands for.
func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// printable returns key as an error may print it, on one line.
func printable(key string) string {
	for _, r := range key {
		if r <= ' ' || r > '~' {
			return fmt.Sprintf("%q", key)
		}
	}
	if key == "" {
		return `""`
	}
	return key
}
