package systemtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// python is an interpreter with gRPC, and skips the test if there is none.
func python(t *testing.T) string {
	t.Helper()
	interpreter := "python3"
	if path := os.Getenv("PYTHON"); path != "" {
		interpreter = path
	}
	path, err := exec.LookPath(interpreter)
	if err != nil {
		t.Skipf("no Python: %v", err)
	}
	if out, err := exec.CommandContext(t.Context(), path, "-c", "import grpc, grpc_tools, grpc_status").CombinedOutput(); err != nil {
		t.Skipf("Python has no gRPC (pip install grpcio-tools grpcio-status): %v\n%s", err, out)
	}
	return path
}

// A client in another language, generated from the contract alone, can stream,
// cancel from another thread, and read the details of a failure.
func TestPythonClient(t *testing.T) {
	t.Parallel()
	interpreter := python(t)
	generated := t.TempDir()
	proto := filepath.Join("..", "..", "proto")
	if _, err := run(t, nil, interpreter, "-m", "grpc_tools.protoc", "-I", proto, "--python_out", generated,
		"--grpc_python_out", generated, filepath.Join(proto, "sauron", "v1", "generation_service.proto")); err != nil {
		t.Fatal(err)
	}
	up := newUpstream(t, func(x *exchange) {
		switch content(x) {
		case "stream":
			x.answer("one", " two")
		case "cancel":
			x.headers()
			x.text("one")
			<-x.ctx.Done()
		case "error":
			refuses(429, complaint("rate_limit", "", ""), "Retry-After", "60")(x)
		}
	})
	s := serve(t, up)
	env := []string{"PYTHONPATH=" + generated}
	for _, tt := range []struct{ scenario, want string }{
		{"stream", `{
			"headers": ["sauron-generation-id", "sauron-request-id"], "participation": "PARTICIPATION_LEADER",
			"sequences": [0, 1, 2, 3, 4, 5, 6, 7, 8], "text": "one two", "outcome": "OUTCOME_COMPLETED"
		}`},
		{"cancel", `{"text": "one", "outcome": "OUTCOME_CANCELLED", "state": "CANCEL_STATE_CANCELLED"}`},
		{"error", `{
			"text": "", "code": "RESOURCE_EXHAUSTED", "reason": "UPSTREAM_RATE_LIMITED", "domain": "sauron",
			"metadata": {"upstream_status": "429", "last_sequence": "4"}, "retry_seconds": 60
		}`},
	} {
		t.Run(tt.scenario, func(t *testing.T) {
			out, err := run(t, env, interpreter, filepath.Join("testdata", "client.py"), s.address, tt.scenario)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(decoded(t, tt.want), decoded(t, out)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}
