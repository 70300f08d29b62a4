package main

import (
	"context"
	"runtime"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestCancel(t *testing.T) {
	fake, address := serveFake(t, nil)
	fake.cancelled["running"] = make(chan struct{})
	fake.finished["ended"] = true
	tests := []struct {
		name, id string
		status   int
		out, err string
	}{
		{"running", "running", exitOK, "cancelled\n", ""},
		{"ended", "ended", exitOK, "already finished\n", ""},
		{"unknown", "nobody", exitFailed, "", "sauron cancel: no request is called \"nobody\"\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSession()
			s.check(t, s.do(t, "cancel", "--address", address, tt.id), tt.status, tt.out, tt.err)
		})
	}
}

func TestCancelFails(t *testing.T) {
	fake, address := serveFake(t, nil)
	fake.onCancel = func(context.Context) error { return status.Error(codes.InvalidArgument, "bad id") }
	s := newSession()
	s.check(t, s.do(t, "cancel", "--address", address, "a b"), exitFailed, "", "sauron cancel: INVALID_ARGUMENT: bad id\n")
}

func TestCommandLineMistakes(t *testing.T) {
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"command", []string{"serv"}, "sauron: no such command: \"serv\"; see `sauron --help`\n"},
		{"help", []string{"help", "serv"}, "sauron: no such command: \"serv\"; see `sauron --help`\n"},
		{"cancel", []string{"cancel"}, "sauron cancel: one request id is needed; see `sauron cancel --help`\n"},
		{"cancel_two", []string{"cancel", "a", "b"}, "sauron cancel: one request id is needed; see `sauron cancel --help`\n"},
		{"cancel_empty", []string{"cancel", ""}, "sauron cancel: one request id is needed; see `sauron cancel --help`\n"},
		{"cancel_flag", []string{"cancel", "a", "-x"}, "sauron cancel: flag provided but not defined: -x; see `sauron cancel --help`\n"},
		{"cancel_address", []string{"cancel", "a", "--address="}, "sauron cancel: --address: must not be empty; see `sauron cancel --help`\n"},
		{"version", []string{"version", "now"}, "sauron version: unexpected argument \"now\"; see `sauron version --help`\n"},
		{"serve", []string{"serve", "--orphan-grace=10"}, "sauron serve: --orphan-grace: \"10\" is not a duration, such as 500ms, 10s or 2m\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSession()
			s.check(t, s.do(t, tt.args...), exitUsage, "", tt.want)
		})
	}
}

func TestNoCommand(t *testing.T) {
	s := newSession()
	if status := s.do(t); status != exitUsage || !strings.HasPrefix(s.err.String(), "Usage: sauron COMMAND") {
		t.Errorf("exit status %d, standard error:\n%s", status, s.err)
	}
}

func TestHelp(t *testing.T) {
	tests := []struct {
		name string
		args []string
		want []string
	}{
		{"all", []string{"help"}, []string{"Usage: sauron COMMAND", "serve ", "generate ", "cancel ", "version ", "help "}},
		{"flag", []string{"--help"}, []string{"Usage: sauron COMMAND"}},
		{"help_help", []string{"help", "help"}, []string{"Usage: sauron COMMAND"}},
		{"serve", []string{"serve", "--help"}, []string{"Usage: sauron serve", "--orphan-grace", "SAURON_ORPHAN_GRACE"}},
		{"help_serve", []string{"help", "serve"}, []string{"Usage: sauron serve"}},
		{"generate", []string{"generate", "-h"}, []string{"--address", "--model", "--request-id", "--coalescing", "--json", "--count"}},
		{"cancel", []string{"help", "cancel"}, []string{"Usage: sauron cancel", "--address"}},
		{"version", []string{"version", "--help"}, []string{"Usage: sauron version"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSession()
			if status := s.do(t, tt.args...); status != exitOK || s.err.String() != "" {
				t.Errorf("exit status %d, standard error:\n%s", status, s.err)
			}
			for _, want := range tt.want {
				if !strings.Contains(s.out.String(), want) {
					t.Errorf("help has no %q:\n%s", want, s.out)
				}
			}
		})
	}
}

func TestVersion(t *testing.T) {
	for _, arg := range []string{"version", "--version"} {
		s := newSession()
		status := s.do(t, arg)
		words := strings.Fields(s.out.String())
		if status != exitOK || len(words) != 4 || words[0] != "sauron" || words[1] == "" ||
			words[2] != runtime.Version() || words[3] != runtime.GOOS+"/"+runtime.GOARCH {
			t.Errorf("exit status %d, standard output:\n%s", status, s.out)
		}
	}
}
