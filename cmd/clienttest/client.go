package main

import (
	"context"
	"slices"
)

// A client is an example client that is ready to run.
type client struct {
	name string
	dir  string   // of the example
	env  []string // of its process
	argv []string // the program and what comes before the client's own arguments
}

// start starts the client with arguments of its own.
func (c client) start(ctx context.Context, args ...string) (*process, error) {
	return start(ctx, c.dir, c.env, slices.Concat(c.argv, args)...)
}
