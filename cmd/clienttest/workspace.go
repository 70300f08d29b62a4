package main

import (
	"context"
	"io"
	"os"
	"path/filepath"

	"github.com/sauron-stream/sauron/cmd/internal/child"
)

// A workspace is the folder in the checkout that holds what the tests make.
type workspace struct {
	root     string // of the module
	dir      string
	progress io.Writer
}

func newWorkspace(ctx context.Context, progress io.Writer) (*workspace, error) {
	root, err := child.Checkout(ctx)
	if err != nil {
		return nil, err
	}
	w := &workspace{root: root, dir: filepath.Join(root, ".build", "clienttest"), progress: progress}
	return w, os.MkdirAll(w.home(), 0o755)
}

// home is the home folder of what is tested, which is to see nothing of the user's.
func (w *workspace) home() string { return filepath.Join(w.dir, "home") }

// step tells whoever watches what is being done.
func (w *workspace) step(format string, args ...any) { say(w.progress, format, args...) }

// buildSauron compiles the checkout's binary and returns its path.
func (w *workspace) buildSauron(ctx context.Context) (string, error) {
	w.step("building sauron")
	binary := filepath.Join(w.dir, "sauron")
	return binary, runTool(ctx, w.root, "go", "build", "-o", binary, "./cmd/sauron")
}

// isolated is the environment of what is tested.
func (w *workspace) isolated() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + w.home()}
}
