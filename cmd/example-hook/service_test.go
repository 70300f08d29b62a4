package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// writeFile makes the text of the file at path.
func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatalf("write: %v", err)
	}
}

func request() *sauronv1.PrepareRequest {
	r := &sauronv1.GenerateRequest{
		Model:    "m",
		Messages: []*sauronv1.Message{{Role: sauronv1.Role_ROLE_USER, Content: "secret prompt"}},
		Sampling: &sauronv1.Sampling{Temperature: new(0.5)},
	}
	r.ProtoReflect().SetUnknown([]byte{0xf8, 0x07, 1}) // field 127
	return &sauronv1.PrepareRequest{Tenant: "t", GenerationId: "g", Request: r}
}

// The system message comes first, everything else is as it was, and the file is
// read for each call.
func TestPrepare(t *testing.T) {
	path := filepath.Join(t.TempDir(), "system.txt")
	s := &service{file: path, log: slog.New(slog.DiscardHandler)}
	for _, tt := range []struct{ text, want string }{
		{"Be brief.\n", "Be brief."},
		{"Be long.\nAnd kind.\n", "Be long.\nAnd kind."},
		{" \n", ""},
		{"", ""},
	} {
		writeFile(t, path, tt.text)
		want := proto.CloneOf(request().GetRequest())
		if tt.want != "" {
			system := &sauronv1.Message{Role: sauronv1.Role_ROLE_SYSTEM, Content: tt.want}
			want.Messages = []*sauronv1.Message{system, want.Messages[0]}
		}
		got, err := s.Prepare(t.Context(), request())
		if err != nil {
			t.Fatalf("text %q: %v", tt.text, err)
		}
		if diff := cmp.Diff(want, got.GetRequest(), protocmp.Transform()); diff != "" {
			t.Errorf("text %q (-want +got)\n%s", tt.text, diff)
		}
	}
}

// What goes wrong is said neutrally to the caller, and fully but without the
// prompt to the log.
func TestPrepareErrors(t *testing.T) {
	dir := t.TempDir()
	binary := filepath.Join(dir, "binary")
	writeFile(t, binary, "\xff\xfe")
	for _, tt := range []struct {
		name, file string
		request    *sauronv1.PrepareRequest
		code       codes.Code
		text       string
		logged     int // lines
	}{
		{"no_file", filepath.Join(dir, "none"), request(), codes.Unavailable, "system message is not available", 1},
		{"not_utf8", binary, request(), codes.Unavailable, "system message is not available", 1},
		{"no_request", binary, &sauronv1.PrepareRequest{}, codes.InvalidArgument, "no request", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log bytes.Buffer
			s := &service{file: tt.file, log: slog.New(slog.NewTextHandler(&log, nil))}
			got, err := s.Prepare(t.Context(), tt.request)
			if status.Code(err) != tt.code || status.Convert(err).Message() != tt.text || got != nil {
				t.Errorf("Prepare = %v, %v; want %v %q", got, err, tt.code, tt.text)
			}
			lines := strings.Count(log.String(), "\n")
			if lines != tt.logged || strings.Contains(log.String(), "secret") {
				t.Errorf("log = %q, want %d lines without the prompt", log.String(), tt.logged)
			}
			if lines > 0 && (!strings.Contains(log.String(), tt.file) || !strings.Contains(log.String(), "generation_id=g")) {
				t.Errorf("log = %q, want the file and the generation", log.String())
			}
		})
	}
}
