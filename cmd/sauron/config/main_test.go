package config_test

import (
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/sauron-stream/sauron/cmd/sauron/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// environment is the environment variables of one test.
type environment map[string]string

func (e environment) lookup(name string) (string, bool) {
	v, ok := e[name]
	return v, ok
}

// load loads args and env, which must be right.
func load(t *testing.T, env environment, args ...string) *config.Config {
	t.Helper()
	cfg, err := config.Load(args, env.lookup)
	if err != nil {
		t.Fatalf("Load(%q) = %v, want a configuration", args, err)
	}
	return cfg
}

// write writes a config file and returns its path.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sauron.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
