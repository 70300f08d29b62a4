package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// leastNode is the oldest Node.js that the client in TypeScript runs on.
const leastNode = 20

func typescriptClient(ctx context.Context, w *workspace) (client, error) {
	dir := filepath.Join(w.root, "examples", "typescript")
	node, err := lookPath("node")
	if err != nil {
		return client{}, err
	}
	npm, err := lookPath("npm")
	if err != nil {
		return client{}, err
	}
	version, err := exec.CommandContext(ctx, node, "--version").Output()
	if err != nil {
		return client{}, missing("node --version: %v", err)
	}
	if err := checkNode(string(version)); err != nil {
		return client{}, err
	}
	if !installed(dir) {
		if err := runTool(ctx, dir, npm, "ci", "--no-audit", "--no-fund"); err != nil {
			return client{}, missing("%v", err)
		}
	}
	err = runTool(ctx, dir, npm, "run", "build")
	argv := []string{node, filepath.Join("dist", "client.js")}
	return client{name: "TypeScript", dir: dir, env: w.isolated(), argv: argv}, err
}

// checkNode returns an error if version, as Node.js says it, is too old.
func checkNode(version string) error {
	version = strings.TrimSpace(version)
	major, _, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	if n, err := strconv.Atoi(major); err != nil || n < leastNode {
		return missing("Node.js is %q, and %d is needed", version, leastNode)
	}
	return nil
}

// installed reports whether the packages in dir are those that its lock file names:
// npm leaves a note when it has installed them.
func installed(dir string) bool {
	lock, err := os.Stat(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		return false
	}
	note, err := os.Stat(filepath.Join(dir, "node_modules", ".package-lock.json"))
	return err == nil && !note.ModTime().Before(lock.ModTime())
}
