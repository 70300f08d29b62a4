package server

import (
	"context"
	"log/slog"
	"time"

	"github.com/sauron-stream/sauron/manager"
	"github.com/sauron-stream/sauron/manager/event"
)

// logGeneration writes the one line of a generation, at its end. It holds no prompt,
// no text and no key.
func logGeneration(log *slog.Logger, r manager.Report) {
	level := slog.LevelInfo
	if r.Outcome == manager.Failed {
		level = slog.LevelWarn
	}
	attrs := []slog.Attr{
		slog.String("generation_id", r.GenerationID),
		slog.String("tenant", r.Tenant),
		slog.String("route", r.Route),
		slog.String("upstream", r.Upstream),
		slog.String("outcome", string(r.Outcome)),
		slog.Int("requests", r.Requests),
		slog.Int("attempts", r.Attempts),
		slog.Int64("events", r.Events),
		slog.Int64("bytes", r.Bytes),
	}
	for s := event.StageQueued; s <= r.Reached; s++ {
		attrs = append(attrs, slog.Duration(s.String(), r.Stages[s].Round(time.Microsecond)))
	}
	if r.Usage != nil {
		attrs = append(attrs,
			slog.Int64("prompt_tokens", r.Usage.Prompt), slog.Int64("completion_tokens", r.Usage.Completion))
	}
	if r.Err != nil {
		attrs = append(attrs, slog.String("error", r.Err.Error()))
	}
	log.LogAttrs(context.Background(), level, "generation ended", attrs...) //nolint:forbidigo // no caller's context reaches a generation
}
