package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

// startLimit is how long the server may take to serve.
const startLimit = 20 * time.Second

var serving = regexp.MustCompile(`msg=serving address=(\S+) admin_address=(\S+)`)

// A sauron is a running `sauron serve`.
type sauron struct {
	*process

	address string // gRPC
	admin   string // HTTP
}

// startSauron starts the server with flags of its own and waits until it serves. The
// caller must stop it.
func startSauron(ctx context.Context, w *workspace, binary string, flags ...string) (*sauron, error) {
	argv := append([]string{
		binary, "serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0",
		"--drain-delay", "0s", "--drain-timeout", "0s",
	}, flags...)
	p, err := start(ctx, w.dir, w.isolated(), argv...)
	if err != nil {
		return nil, err
	}
	starting, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	said, err := p.stderr.Match(starting, serving)
	if err != nil {
		p.Stop()
		return nil, fmt.Errorf("sauron: %w\n%s", err, p.stderr.Tail(5))
	}
	return &sauron{process: p, address: said[1], admin: said[2]}, nil
}

// writeConfig writes a config file and returns its path.
func (w *workspace) writeConfig(text string) (string, error) {
	path := filepath.Join(w.dir, "sauron.yaml")
	return path, os.WriteFile(path, []byte(text), 0o600)
}
