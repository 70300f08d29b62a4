//go:build !unix

package child

import "os/exec"

// There are no process groups here: a context kills the process alone.

func ownGroup(*exec.Cmd) {}

func killGroup(*exec.Cmd) {}
