package main

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// A service puts a file's text in front of conversations. It is safe for
// concurrent use.
type service struct {
	sauronv1.UnimplementedPrepareServiceServer

	file string // path of the text
	log  *slog.Logger
}

// Prepare returns the request with a system message before its messages. All else
// is as it came, unknown fields too: a hook that is older than the service must
// not drop what it does not know. If the file cannot be read, it is UNAVAILABLE.
func (s *service) Prepare(ctx context.Context, req *sauronv1.PrepareRequest) (*sauronv1.PrepareResponse, error) {
	if req.GetRequest() == nil {
		return nil, status.Error(codes.InvalidArgument, "no request")
	}
	text, err := os.ReadFile(s.file)
	switch {
	case err != nil:
		// The path is the operator's affair, not the caller's.
		s.log.LogAttrs(ctx, slog.LevelError, "cannot read the system message",
			slog.String("generation_id", req.GetGenerationId()), slog.Any("error", err))
		return nil, status.Error(codes.Unavailable, "system message is not available")
	case !utf8.Valid(text): // protobuf could not carry it
		s.log.LogAttrs(ctx, slog.LevelError, "system message is not UTF-8",
			slog.String("generation_id", req.GetGenerationId()), slog.String("file", s.file))
		return nil, status.Error(codes.Unavailable, "system message is not available")
	}
	// The message was decoded for this call alone, so it can be changed in place.
	out := req.GetRequest()
	if content := strings.TrimSpace(string(text)); content != "" {
		out.Messages = slices.Insert(out.Messages, 0, &sauronv1.Message{
			Role: sauronv1.Role_ROLE_SYSTEM, Content: content,
		})
	}
	return &sauronv1.PrepareResponse{Request: out}, nil
}
