package systemtest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// grpcurl is the program, or why there is none.
func grpcurl(t *testing.T) string {
	t.Helper()
	if path, err := exec.LookPath("grpcurl"); err == nil {
		return path
	}
	root, err := exec.CommandContext(t.Context(), "go", "env", "GOPATH").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range filepath.SplitList(strings.TrimSpace(string(root))) {
		if path, err := exec.LookPath(filepath.Join(folder, "bin", "grpcurl")); err == nil {
			return path
		}
	}
	t.Skip("grpcurl is neither on the PATH nor in the bin folder of GOPATH")
	return ""
}

// run runs somebody else's program to its end, with env besides our own, and returns
// what it wrote to standard output. No proxy comes between it and the service.
func run(t *testing.T, env []string, program string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var stdout, stderr strings.Builder
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(append(os.Environ(), "no_proxy=127.0.0.1"), env...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", program, err, &stderr)
	}
	return stdout.String(), nil
}

// Who has nothing of ours but the address can find out what the service offers, and
// use all of it.
func TestGRPCurl(t *testing.T) {
	t.Parallel()
	program := grpcurl(t)
	arrived, gone := make(chan struct{}), make(chan struct{})
	up := newUpstream(t, func(x *exchange) {
		if content(x) == "answer" {
			x.answer("one", " two")
			return
		}
		close(arrived)
		<-x.ctx.Done()
		close(gone)
	})
	s := serve(t, up)
	call := func(t *testing.T, args ...string) string {
		t.Helper()
		out, err := run(t, nil, program, append([]string{"-plaintext"}, args...)...)
		if err != nil {
			t.Fatalf("%q: %v", args, err)
		}
		return out
	}
	wantLines := func(t *testing.T, out string, want ...string) {
		t.Helper()
		for _, line := range want {
			if !strings.Contains(out, line) {
				t.Errorf("no %q in:\n%s", line, out)
			}
		}
	}

	t.Run("list", func(t *testing.T) {
		wantLines(t, call(t, s.address, "list"),
			"grpc.health.v1.Health\n", "grpc.reflection.v1.ServerReflection\n", "sauron.v1.GenerationService\n")
		wantLines(t, call(t, s.address, "list", "sauron.v1.GenerationService"),
			"sauron.v1.GenerationService.Cancel\n", "sauron.v1.GenerationService.Generate\n")
	})
	t.Run("describe", func(t *testing.T) {
		wantLines(t, call(t, s.address, "describe", "sauron.v1.GenerationService"),
			"rpc Generate ( .sauron.v1.GenerateRequest ) returns ( stream .sauron.v1.GenerateResponse );",
			"rpc Cancel ( .sauron.v1.CancelRequest ) returns ( .sauron.v1.CancelResponse );")
		wantLines(t, call(t, s.address, "describe", ".sauron.v1.Event"), "string text_delta = 4;")
	})
	t.Run("health", func(t *testing.T) {
		wantLines(t, call(t, s.address, "grpc.health.v1.Health/Check"), `"status": "SERVING"`)
		wantLines(t, call(t, "-d", `{"service":"sauron.v1.GenerationService"}`, s.address, "grpc.health.v1.Health/Check"),
			`"status": "SERVING"`)
	})
	t.Run("generate", func(t *testing.T) {
		out := call(t, "-d", `{"model":"m","messages":[{"role":"ROLE_USER","content":"answer"}]}`,
			s.address, "sauron.v1.GenerationService/Generate")
		text, last := "", ""
		for decoder := json.NewDecoder(strings.NewReader(out)); decoder.More(); {
			var m struct {
				Events []struct {
					TextDelta string                   `json:"textDelta"`
					Finished  struct{ Outcome string } `json:"finished"`
				} `json:"events"`
			}
			if err := decoder.Decode(&m); err != nil {
				t.Fatalf("%v in:\n%s", err, out)
			}
			for _, e := range m.Events {
				text += e.TextDelta
				last = e.Finished.Outcome
			}
		}
		if text != "one two" || last != "OUTCOME_COMPLETED" {
			t.Errorf("text %q, outcome %s in:\n%s", text, last, out)
		}
	})
	t.Run("cancel", func(t *testing.T) {
		running := begin(t, s.client(t), ask("mine", "hold"))
		receive(t, arrived, "request at the upstream")
		wantLines(t, call(t, "-d", `{"request_id":"mine"}`, s.address, "sauron.v1.GenerationService/Cancel"),
			`"state": "CANCEL_STATE_CANCELLED"`)
		receive(t, gone, "end of the upstream's request")
		running.wantCancelled(t, "")
	})
}
