package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"

	"go.yaml.in/yaml/v3"
)

// The keys of the config file that are not settings.
const (
	keyUpstreams = "upstreams"
	keyRoutes    = "routes"
)

// readFile reads the config file, if flags or the environment name one, and
// applies its settings. Upstreams and routes are kept for later: what they leave
// out comes from settings that are not read yet.
func (l *loader) readFile(flags map[string]string) error {
	source := "--" + configFile
	path, ok := flags[configFile]
	if !ok {
		source = setting{name: configFile}.variable()
		path, _ = l.env(source)
	}
	if path == "" {
		return nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("%s: %w", source, err)
	}
	root, err := parse(path, data)
	if err != nil || root == nil {
		return err
	}
	return object("a setting", l.topLevel())(root, place{file: path})
}

// topLevel returns what the top level of the config file takes.
func (l *loader) topLevel() map[string]decoder {
	fields := map[string]decoder{
		keyUpstreams: keep(&l.upstreams),
		keyRoutes:    keep(&l.routes),
	}
	for _, s := range l.settings {
		if s.name == configFile {
			continue
		}
		read := scalar(s.set)
		fields[s.key()] = func(n *yaml.Node, at place) error {
			l.source[s.name] = at.of(n)
			return read(n, at)
		}
	}
	return fields
}

// parse returns the mapping that data consists of, or nil if it is empty.
func parse(path string, data []byte) (*yaml.Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, syntaxError(path, err)
	}
	var next yaml.Node
	switch err := dec.Decode(&next); {
	case err == nil:
		return nil, fmt.Errorf("%s:%d: a second document; the file must have one", path, next.Line)
	case !errors.Is(err, io.EOF):
		return nil, syntaxError(path, err)
	}
	if root := doc.Content[0]; !isNull(root) {
		return root, nil
	}
	return nil, nil
}

var yamlError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// syntaxError puts the file before err, and the line where every other error has
// it. The parser does not always know the line, and it may be that of the block
// which it could not read.
func syntaxError(path string, err error) error {
	m := yamlError.FindStringSubmatch(err.Error())
	switch {
	case m == nil:
		return fmt.Errorf("%s: %w", path, err)
	case m[1] == "":
		return fmt.Errorf("%s: %s", path, m[2])
	}
	return fmt.Errorf("%s:%s: %s", path, m[1], m[2])
}
