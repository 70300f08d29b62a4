package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/sauron-stream/sauron/cmd/internal/child"
)

// A workspace is the folder in the checkout that holds what the tests get and
// make.
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
	w := &workspace{root: root, dir: filepath.Join(root, ".build", "e2e"), progress: progress}
	return w, os.MkdirAll(w.path("logs"), 0o755)
}

func (w *workspace) path(elem ...string) string {
	return filepath.Join(append([]string{w.dir}, elem...)...)
}

// step tells whoever watches what is being done.
func (w *workspace) step(format string, args ...any) {
	say(w.progress, format, args...)
}

// say writes one line for whoever watches.
func say(to io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(to, "e2e: "+format+"\n", args...)
}

// once returns the path of the named folder, which fill makes unless an earlier
// run did. What is half made never stands under its name.
func (w *workspace) once(name string, fill func(dir string) error) (string, error) {
	dir := w.path(name)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	partial := dir + ".partial"
	if err := os.RemoveAll(partial); err != nil {
		return "", err
	}
	if err := os.MkdirAll(partial, 0o755); err != nil {
		return "", err
	}
	if err := fill(partial); err != nil {
		return "", err
	}
	return dir, os.Rename(partial, dir)
}
