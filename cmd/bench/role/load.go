package role

import (
	"context"
	"fmt"
	"io"

	"github.com/sauron-stream/sauron/cmd/bench/clock"
	"github.com/sauron-stream/sauron/cmd/bench/load"
	"github.com/sauron-stream/sauron/cmd/bench/proc"
)

// playLoad asks once to warm the server up, then, when it is told to, for everything.
func playLoad(ctx context.Context, cfg Client, words <-chan string, out io.Writer) error {
	c, err := clock.New()
	if err != nil {
		return err
	}
	warm, err := load.Run(ctx, load.WarmUp(cfg.Spec, cfg.WarmUp), c, func() error { return nil })
	if err != nil {
		return fmt.Errorf("warm-up: %w", err)
	}
	if warm.Received != 1 || warm.Failed > 0 {
		return fmt.Errorf("warm-up: %+v", warm)
	}
	if err := proc.Write(out, SaidWarm, true); err != nil {
		return err
	}
	if err := await(ctx, words, TellOpen); err != nil {
		return err
	}
	result, err := load.Run(ctx, cfg.Spec, c, func() error { return proc.Write(out, SaidOpened, true) })
	if err != nil {
		return err
	}
	if err := proc.Write(out, SaidResult, result); err != nil {
		return err
	}
	<-ctx.Done() // the bench still looks at this process
	return nil
}
