package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// ollamaVersion is the newest that the go command can build: later ones keep a
// header in a folder that module archives leave out.
const ollamaVersion = "v0.6.5"

// warmLimit bounds loading a model and the first token of it.
const warmLimit = 2 * time.Minute

// startOllama starts Ollama with real weights, or with random ones where those
// can't be had or are not understood.
func startOllama(ctx context.Context, work *workspace) (*backend, error) {
	back, err := serveOllama(ctx, work, smollm2)
	if err == nil || ctx.Err() != nil {
		return back, err
	}
	work.step("no real weights: %v", err)
	back, fallbackErr := serveOllama(ctx, work, randomWeights)
	if fallbackErr != nil {
		return nil, errors.Join(err, fallbackErr)
	}
	back.remark = smollm2.title + " could not be used here, so the weights are random"
	return back, nil
}

func startOllamaRandom(ctx context.Context, work *workspace) (*backend, error) {
	return serveOllama(ctx, work, randomWeights)
}

// serveOllama starts an Ollama of the workspace's own and loads m into it.
func serveOllama(ctx context.Context, work *workspace, m model) (*backend, error) {
	program, err := work.installOllama(ctx)
	if err != nil {
		return nil, err
	}
	weights, err := m.file(ctx, work)
	if err != nil {
		return nil, err
	}
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	env, err := work.serverEnv(
		"OLLAMA_HOST="+address,
		"OLLAMA_MODELS="+work.path("ollama-models"),
		// One answer at a time. Several in one batch are rounded differently from
		// run to run, and temperature 0 then no longer means the same text.
		"OLLAMA_NUM_PARALLEL=1",
	)
	if err != nil {
		return nil, err
	}
	work.step("starting Ollama with %s", m.title)
	server, err := work.start(ctx, command{name: "ollama", env: env, argv: []string{program, "serve"}})
	if err != nil {
		return nil, err
	}
	back := &backend{
		name:   "Ollama " + ollamaVersion + " with " + m.title,
		base:   &url.URL{Scheme: "http", Host: address},
		model:  m.name,
		load:   m.load,
		server: server,
	}
	if err := back.loadOllama(ctx, work, m, weights, command{
		name: "ollama-create", env: env, argv: []string{program, "create", m.name},
	}); err != nil {
		server.Stop()
		return nil, err
	}
	return back, nil
}

// installOllama compiles the server and returns its path.
func (w *workspace) installOllama(ctx context.Context) (string, error) {
	const module = "github.com/ollama/ollama"
	dir, err := w.once("ollama-"+ollamaVersion, func(dir string) error {
		w.step("compiling Ollama %s, which takes some minutes", ollamaVersion)
		return w.run(ctx, command{
			name: "go-install-ollama",
			argv: []string{"go", "install", module + "@" + ollamaVersion},
			env:  append(os.Environ(), "GOBIN="+dir, "CGO_ENABLED=1"),
		})
	})
	return filepath.Join(dir, "ollama"), err
}

// loadOllama waits for the server, gives it the weights by the create command,
// and asks for some tokens, so that the model is in memory when the callers come.
func (b *backend) loadOllama(ctx context.Context, work *workspace, m model, weights string, create command) error {
	err := b.server.await(ctx, func(ctx context.Context) error {
		_, err := get(ctx, b.base.JoinPath("api", "version"))
		return err
	})
	if err != nil {
		return err
	}
	modelfile := filepath.Join(filepath.Dir(weights), "Modelfile")
	// Half of the cores: the engine's threads spin while they wait for each other,
	// which is slow where others want the same cores.
	threads := min(4, max(1, runtime.NumCPU()/2))
	recipe := fmt.Sprintf("FROM %s\n%sPARAMETER num_ctx 2048\nPARAMETER num_thread %d\n", weights, m.recipe, threads)
	if err := os.WriteFile(modelfile, []byte(recipe), 0o644); err != nil {
		return err
	}
	create.argv = append(create.argv, "-f", modelfile)
	if err := work.run(ctx, create); err != nil {
		return err
	}
	body, err := json.Marshal(map[string]any{
		"model":       m.name,
		"stream":      true,
		"max_tokens":  16,
		"temperature": 0,
		"messages":    []any{map[string]any{"role": "user", "content": "Hello"}},
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, warmLimit)
	defer cancel()
	first, err := ask(ctx, b.base, body)
	switch {
	case err != nil:
		return fmt.Errorf("asking %s for tokens: %w", m.title, err)
	case !first.done || first.text == "":
		return fmt.Errorf("%s gives no text", m.title)
	}
	return nil
}
