package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
)

// The npm package of the mock.
const (
	aimockPackage = "@copilotkit/aimock"
	aimockVersion = "1.43.0"
)

// fixtures are the mock's answers and their pace.
//
//go:embed fixtures.json
var fixtures []byte

// startAimock starts the mock with the fixtures.
func startAimock(ctx context.Context, work *workspace) (*backend, error) {
	script, err := work.installAimock(ctx)
	if err != nil {
		return nil, err
	}
	answers := work.path("fixtures.json")
	if err := os.WriteFile(answers, fixtures, 0o644); err != nil {
		return nil, err
	}
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	base := &url.URL{Scheme: "http", Host: address}
	env, err := work.serverEnv()
	if err != nil {
		return nil, err
	}
	work.step("starting aimock")
	server, err := work.start(ctx, command{name: "aimock", env: env, argv: []string{
		"node", script, "--host", base.Hostname(), "--port", base.Port(),
		"--fixtures", answers, "--strict", "--validate-on-load",
	}})
	if err != nil {
		return nil, err
	}
	err = server.await(ctx, func(ctx context.Context) error {
		_, err := get(ctx, base.JoinPath("health"))
		return err
	})
	if err != nil {
		server.Stop()
		return nil, err
	}
	return &backend{
		name:    "aimock " + aimockVersion + ", a mock",
		base:    base,
		model:   "gpt-4o",
		load:    readableLoad(5), // what the fixtures answer
		server:  server,
		journal: func(ctx context.Context) (int, error) { return countJournal(ctx, base) },
	}, nil
}

// installAimock gets the package and returns the path of its script.
func (w *workspace) installAimock(ctx context.Context) (string, error) {
	dir, err := w.once("aimock-"+aimockVersion, func(dir string) error {
		w.step("getting %s %s", aimockPackage, aimockVersion)
		return w.run(ctx, command{name: "npm-install", argv: []string{
			"npm", "install", "--no-fund", "--no-audit", "--prefix", dir, aimockPackage + "@" + aimockVersion,
		}})
	})
	return filepath.Join(dir, "node_modules", filepath.FromSlash(aimockPackage), "dist", "cli.js"), err
}

// countJournal counts the chat completions that the mock has recorded.
func countJournal(ctx context.Context, base *url.URL) (int, error) {
	page, err := get(ctx, base.JoinPath("__aimock", "journal"))
	if err != nil {
		return 0, err
	}
	var entries []struct {
		Method string `json:"method"`
		Path   string `json:"path"`
	}
	if err := json.Unmarshal(page, &entries); err != nil {
		return 0, err
	}
	count := 0
	for _, e := range entries {
		if e.Method == http.MethodPost && e.Path == chatPath {
			count++
		}
	}
	return count, nil
}
