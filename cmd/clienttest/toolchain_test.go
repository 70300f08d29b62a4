package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func newTestWorkspace(t *testing.T) *workspace {
	t.Helper()
	return &workspace{root: t.TempDir(), dir: t.TempDir(), progress: io.Discard}
}

// script writes an executable and puts its folder alone on the PATH.
func script(t *testing.T, name, text string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
}

func wantMissing(t *testing.T, err error, word string) {
	t.Helper()
	if _, ok := errors.AsType[*missingError](err); !ok || !strings.Contains(err.Error(), word) {
		t.Errorf("error %v, want a missing toolchain with %q", err, word)
	}
}

// TestNoToolchain verifies that a machine without any is no failure.
func TestNoToolchain(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("PYTHON", "")
	for _, tc := range toolchains {
		_, err := tc.client(t.Context(), newTestWorkspace(t))
		wantMissing(t, err, "not found")
	}
}

// TestPythonWithoutGRPC verifies that an interpreter which was named is taken as it is.
func TestPythonWithoutGRPC(t *testing.T) {
	script(t, "snake", "echo No module named grpc >&2; exit 1")
	t.Setenv("PYTHON", "snake")
	_, err := pythonClient(t.Context(), newTestWorkspace(t))
	wantMissing(t, err, "No module named grpc")
}

// TestNoVirtualEnvironment verifies that what cannot be installed is missing.
func TestNoVirtualEnvironment(t *testing.T) {
	script(t, "python3", "echo ensurepip is not available >&2; exit 1")
	t.Setenv("PYTHON", "")
	_, err := pythonClient(t.Context(), newTestWorkspace(t))
	wantMissing(t, err, "ensurepip is not available")
}

// TestPythonStubsFail verifies that what the client is made from must be in order.
func TestPythonStubsFail(t *testing.T) {
	script(t, "snake", `case "$1" in -c) exit 0;; *) echo no such proto >&2; exit 1;; esac`)
	t.Setenv("PYTHON", "snake")
	w := newTestWorkspace(t)
	if err := os.MkdirAll(filepath.Join(w.root, "examples", "python"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := pythonClient(t.Context(), w)
	if _, ok := errors.AsType[*missingError](err); ok || err == nil || !strings.Contains(err.Error(), "no such proto") {
		t.Errorf("error %v, want a failure", err)
	}
}

// TestCheckNode verifies which versions will do.
func TestCheckNode(t *testing.T) {
	for _, version := range []string{"v20.0.0\n", "v22.11.0\n", "v100.1.2\n"} {
		if err := checkNode(version); err != nil {
			t.Errorf("%q: %v", version, err)
		}
	}
	for _, version := range []string{"v18.20.1\n", "", "none"} {
		wantMissing(t, checkNode(version), "is needed")
	}
}

// TestInstalled verifies that packages are installed anew when the lock file changed.
func TestInstalled(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	touch := func(at time.Time, elem ...string) {
		path := filepath.Join(append([]string{dir}, elem...)...)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	check := func(when string, want bool) {
		if got := installed(dir); got != want {
			t.Errorf("%s: %v, want %v", when, got, want)
		}
	}
	check("without a lock file", false)
	touch(now, "package-lock.json")
	check("without packages", false)
	touch(now.Add(time.Second), "node_modules", ".package-lock.json")
	check("after npm ci", true)
	touch(now.Add(time.Minute), "package-lock.json")
	check("with a newer lock file", false)
}
