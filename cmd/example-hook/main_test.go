package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// childFile, if set, makes the test binary the program itself, with that file.
const childFile = "EXAMPLE_HOOK_TEST_FILE"

func TestMain(m *testing.M) {
	if file := os.Getenv(childFile); file != "" {
		os.Exit(run(context.Background(), []string{"--listen", "127.0.0.1:0", "--file", file}, os.Stderr))
	}
	goleak.VerifyTestMain(m)
}

var listening = regexp.MustCompile(`msg=listening address=(\S+)`)

// The whole program: it serves, and stops on a signal with status 0.
func TestRunUntilSignal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "system.txt")
	writeFile(t, path, "Be brief.")
	r, w := io.Pipe()
	exited := make(chan int, 1)
	go func() {
		exited <- run(context.WithoutCancel(t.Context()), []string{"--listen", "127.0.0.1:0", "--file", path}, w)
		w.Close()
	}()
	lines := bufio.NewScanner(r)
	if !lines.Scan() {
		t.Fatalf("no output: %v", lines.Err())
	}
	address := listening.FindStringSubmatch(lines.Text())
	if address == nil {
		t.Fatalf("first line = %q, want the address", lines.Text())
	}

	conn, err := grpc.NewClient(address[1], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatalf("NewClient: %v", err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	resp, err := sauronv1.NewPrepareServiceClient(conn).Prepare(ctx, request())
	if err != nil {
		t.Fatalf("Prepare: %v", err)
	}
	if got := resp.GetRequest().GetMessages()[0].GetContent(); got != "Be brief." {
		t.Errorf("first message = %q, want the file's text", got)
	}

	if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatalf("kill: %v", err)
	}
	if !lines.Scan() || !strings.Contains(lines.Text(), "msg=stopped") || !strings.Contains(lines.Text(), "terminated") {
		t.Errorf("last line = %q, want the stop and its signal", lines.Text())
	}
	if got := <-exited; got != exitOK {
		t.Errorf("status = %d, want %d", got, exitOK)
	}
}

// A second signal ends the program even if a call never does.
func TestSecondSignal(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatalf("mkfifo: %v", err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatalf("executable: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	child := exec.CommandContext(ctx, self)
	child.Env = append(os.Environ(), childFile+"="+fifo)
	stderr, err := child.StderrPipe()
	if err != nil {
		t.Fatalf("pipe: %v", err)
	}
	if err := child.Start(); err != nil {
		t.Fatalf("start: %v", err)
	}
	lines := bufio.NewScanner(stderr)
	lines.Scan()
	address := listening.FindStringSubmatch(lines.Text())
	if address == nil {
		t.Fatalf("first line = %q, want the address", lines.Text())
	}

	conn, err := grpc.NewClient(address[1], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatalf("NewClient: %v", err)
	}
	defer conn.Close()
	called := make(chan error, 1)
	go func() {
		_, err := sauronv1.NewPrepareServiceClient(conn).Prepare(ctx, request())
		called <- err
	}()
	// Opening blocks until the call reads the file, which it does until we close.
	w, err := os.OpenFile(fifo, os.O_WRONLY, 0)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	defer w.Close()

	// Nobody tells when the first signal has been taken, so more are sent until
	// the program is gone: none of them would end it if all were taken.
	exited := make(chan error, 1)
	go func() { exited <- child.Wait() }()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for running := true; running; {
		_ = child.Process.Signal(syscall.SIGTERM) // an error if it is gone, which the next round sees
		select {
		case <-exited:
			running = false
		case <-again.C:
		}
	}
	if ws, ok := child.ProcessState.Sys().(syscall.WaitStatus); !ok || !ws.Signaled() || ws.Signal() != syscall.SIGTERM {
		t.Errorf("ended with %v, want by the second signal", child.ProcessState)
	}
	if err := <-called; status.Code(err) != codes.Unavailable {
		t.Errorf("call ended with %v, want %v", err, codes.Unavailable)
	}
}

// Wrong usage and what cannot be served are told apart by the exit status, with
// one text on stderr.
func TestRunStatus(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		want int
		text string
	}{
		{"help", []string{"-h"}, exitOK, "-listen"},
		{"no_file", nil, exitUsage, "--file is required"},
		{"unknown_flag", []string{"--fil", "x"}, exitUsage, "-fil"},
		{"argument", []string{"--file", "x", "y"}, exitUsage, `unexpected argument "y"`},
		{"bad_address", []string{"--file", "x", "--listen", "127.0.0.1:x"}, exitFailed, "cannot listen"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var stderr bytes.Buffer
			if got := run(t.Context(), tt.args, &stderr); got != tt.want || !strings.Contains(stderr.String(), tt.text) {
				t.Errorf("status = %d, stderr = %q; want %d and %q", got, stderr.String(), tt.want, tt.text)
			}
		})
	}
}
