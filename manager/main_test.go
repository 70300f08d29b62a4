package manager_test

import (
	"os/exec"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The manager knows no transport: neither gRPC, protobuf, HTTP nor what is above it.
func TestImports(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for dep := range strings.Lines(string(out)) {
		for _, forbidden := range []string{"google.golang.org/", "net/http", "/sauron/gen/", "/sauron/server", "/manager/prepare", "/manager/upstream"} {
			if strings.Contains(dep, forbidden) {
				t.Errorf("manager depends on %s", strings.TrimSpace(dep))
			}
		}
	}
}
