package role

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sauron-stream/sauron/cmd/bench/clock"
	"github.com/sauron-stream/sauron/cmd/bench/proc"
	"github.com/sauron-stream/sauron/cmd/bench/upstream"
)

// playUpstream serves answers.
func playUpstream(ctx context.Context, cfg upstream.Config, words <-chan string, out io.Writer) error {
	c, err := clock.New()
	if err != nil {
		return err
	}
	u := upstream.New(cfg, c)
	listener, err := listen(ctx)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	serveHTTP(ctx, group, listener, u)
	if err := proc.Write(out, SaidAddresses, Addresses{Service: listener.Addr().String()}); err != nil {
		return err
	}
	group.Go(func() error {
		reached := u.Reached()
		for {
			select {
			case <-reached:
				reached = nil
				if err := proc.Write(out, SaidReached, true); err != nil {
					return err
				}
			case word := <-words:
				switch word {
				case TellGo:
					u.Open()
				case TellStats:
					if err := proc.Write(out, SaidStats, u.Stats()); err != nil {
						return err
					}
				default:
					return fmt.Errorf("told to %q", word)
				}
			case <-ctx.Done():
				return nil
			}
		}
	})
	return group.Wait()
}

// listen returns a listener on a free port of this machine.
func listen(ctx context.Context) (net.Listener, error) {
	var config net.ListenConfig
	return config.Listen(ctx, "tcp", "127.0.0.1:0")
}

// serveHTTP serves until ctx ends.
func serveHTTP(ctx context.Context, group *errgroup.Group, listener net.Listener, h http.Handler) {
	server := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	group.Go(func() error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		return server.Close()
	})
}
