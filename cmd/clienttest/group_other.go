//go:build !unix

package main

import "os/exec"

// There are no process groups here: a context kills the process alone.

func ownGroup(*exec.Cmd) {}

func killGroup(*exec.Cmd) {}
