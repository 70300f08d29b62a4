package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"log/slog"
	"net"

	"github.com/sauron-stream/sauron/cmd/sauron/config"
	"github.com/sauron-stream/sauron/server"
)

// serve serves until a signal, then drains. A second signal ends it at once. What
// is wrong with the configuration is said before anything listens.
func (p *process) serve(ctx context.Context, args []string) int {
	cfg, err := config.Load(args, p.env)
	if errors.Is(err, flag.ErrHelp) {
		return p.print(config.Usage())
	}
	if err != nil {
		return p.fail("serve", exitUsage, err)
	}
	log := newLogger(p.stderr, cfg)
	backends, err := newBackends(cfg, log)
	if err != nil {
		return p.fail("serve", exitUsage, err)
	}
	status := p.serveRoutes(ctx, cfg, backends, log)
	if err := backends.close(); err != nil {
		log.WarnContext(ctx, "closing connections failed", slog.Any("error", err))
	}
	return status
}

func (p *process) serveRoutes(ctx context.Context, cfg *config.Config, backends *backends, log *slog.Logger) int {
	// Before it listens: who sees the address may send the signal.
	in := p.interrupts(ctx)
	defer in.stop()
	srv, err := server.New(serverConfig(cfg, backends.routes, log))
	if err != nil {
		return p.fail("serve", exitFailed, err)
	}
	log.InfoContext(ctx, "serving",
		slog.String("address", srv.Addr().String()),
		slog.String("admin_address", addressText(srv.AdminAddr())),
		slog.String("version", buildVersion()),
		slog.Int("routes", len(cfg.Routes)))
	if cfg.BuiltInSimulator {
		_, _ = io.WriteString(p.stderr, examples(p.program, srv.Addr()))
	}
	if err := srv.Run(in.soft, in.hard.Done()); err != nil {
		return p.fail("serve", exitFailed, err)
	}
	log.InfoContext(ctx, "exiting", slog.Any("cause", context.Cause(in.soft)))
	return exitOK
}

// addressText returns a's text, or nothing for no address.
func addressText(a net.Addr) string {
	if a == nil {
		return ""
	}
	return a.String()
}

// newLogger returns the service's logger.
func newLogger(w io.Writer, cfg *config.Config) *slog.Logger {
	options := &slog.HandlerOptions{Level: cfg.LogLevel}
	if cfg.LogFormat == config.LogJSON {
		// JSON has no durations, and a number without a unit is a riddle.
		options.ReplaceAttr = func(_ []string, a slog.Attr) slog.Attr {
			if a.Value.Kind() == slog.KindDuration {
				a.Value = slog.StringValue(a.Value.Duration().String())
			}
			return a
		}
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
