package trial

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/sauron-stream/sauron/cmd/bench/proc"
	"github.com/sauron-stream/sauron/cmd/bench/role"
)

const readyPoll = 10 * time.Millisecond

// Flags that lift the limits which would queue the bench's load, and keep the end of a
// trial short. Everything else is as it comes.
var flags = []string{
	"--max-concurrent-llm-streams", "20000",
	"--queue-capacity", "20000",
	"--prepared-backlog", "20000",
	"--slow-consumer-timeout", "10m",
	"--upstream-idle-timeout", "10m",
	"--drain-delay", "0s", "--drain-timeout", "0s",
	"--admin-pprof",
	"--log-level", "error",
}

// startSauron starts the real binary and waits until it is ready.
func startSauron(ctx context.Context, v Variant, upstream string, cpus []int) (*proc.Process, role.Addresses, error) {
	service, err := freeAddress(ctx)
	if err != nil {
		return nil, role.Addresses{}, err
	}
	admin, err := freeAddress(ctx)
	if err != nil {
		return nil, role.Addresses{}, err
	}
	p, err := proc.Start(context.WithoutCancel(ctx), proc.Command{
		Name: "sauron", CPUs: cpus, Env: v.Env,
		Argv: slices.Concat([]string{
			v.Binary, "serve", "--listen", service, "--admin-listen", admin, "--openai-base-url", upstream,
		}, flags, v.Flags),
	})
	if err != nil {
		return nil, role.Addresses{}, err
	}
	if err := ready(ctx, p, admin); err != nil {
		p.Stop()
		return nil, role.Addresses{}, err
	}
	return p, role.Addresses{Service: service, Admin: admin}, nil
}

// ready waits until the service says that it is.
func ready(ctx context.Context, p *proc.Process, admin string) error {
	for {
		_, err := proc.Get(ctx, "http://"+admin+"/readyz")
		if err == nil {
			return nil
		}
		if ended := p.Alive(); ended != nil {
			return ended
		}
		if late := pause(ctx, readyPoll); late != nil {
			return fmt.Errorf("sauron is not ready: %w", errors.Join(late, err))
		}
	}
}

// freeAddress returns an address of this machine that nobody listens on.
func freeAddress(ctx context.Context) (string, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
