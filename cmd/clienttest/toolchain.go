package main

import (
	"context"
	"fmt"
	"os/exec"
)

// A toolchain makes an example client ready to run.
type toolchain struct {
	name string
	// client returns the client. The error is a *missingError if that is no fault of
	// the client's.
	client func(context.Context, *workspace) (client, error)
}

// toolchains are those of all example clients.
var toolchains = []toolchain{
	{"Python", pythonClient},
	{"TypeScript", typescriptClient},
}

// A missingError says what a client would need that is not there.
type missingError struct{ reason string }

func (e *missingError) Error() string { return e.reason }

func missing(format string, args ...any) error {
	return &missingError{fmt.Sprintf(format, args...)}
}

// lookPath returns the path of a program.
func lookPath(program string) (string, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return "", missing("%v", err)
	}
	return path, nil
}
