package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is set by the linker: -ldflags "-X main.version=v1.2.3".
var version string

const versionUsage = `Usage: sauron version

Prints the version, and what it was built with and for.
`

// version prints the version, and what it was built with and for.
func (p *process) version(_ context.Context, args []string) int {
	rest, err := parseArgs(newFlags("version"), args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return p.print(versionUsage)
	case err != nil:
		return p.usageError("version", err)
	case len(rest) > 0:
		return p.usageError("version", fmt.Errorf("unexpected argument %q", rest[0]))
	}
	return p.print(fmt.Sprintf("sauron %s %s %s/%s\n", buildVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH))
}

// buildVersion returns the version that the linker or the module system knows.
func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}
