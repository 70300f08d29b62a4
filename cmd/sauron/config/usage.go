package config

import (
	"fmt"
	"strings"
)

// Usage returns the help of `sauron serve`: every setting with its default
// and its environment variable.
func Usage() string {
	var b strings.Builder
	b.WriteString(`Usage: sauron serve [flags]

Serves gRPC. With nothing set it serves the built-in simulator on loopback.

A flag goes over its environment variable, that over the key of the config file
(the flag's name with underscores), that over the default. The config file also
takes upstreams and routes.

Flags:
`)
	var c Config
	for _, s := range c.settings() {
		def := s.def
		if def == "" {
			def = "none"
		}
		fmt.Fprintf(&b, "  --%s\n        %s (default %s; %s)\n", s.name, s.help, def, s.variable())
	}
	b.WriteString("  --help\n        print this\n")
	return b.String()
}
