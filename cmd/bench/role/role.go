// Package role is what the bench's own processes do: the upstream, an older design, a
// client. A role gets its configuration as an argument, says on its output what the
// bench waits for, and ends with its input.
package role

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/sauron-stream/sauron/cmd/bench/load"
)

// The roles.
const (
	Upstream = "upstream"
	Design   = "design"
	Load     = "load"
)

// Run plays a role until its input ends or ctx does.
func Run(ctx context.Context, name, config string, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	words := make(chan string)
	go func() { // ends with the process at the latest
		defer cancel()
		for lines := bufio.NewScanner(in); lines.Scan(); {
			select {
			case words <- lines.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	switch name {
	case Upstream:
		return decoded(ctx, config, words, out, playUpstream)
	case Design:
		return decoded(ctx, config, words, out, playDesign)
	case Load:
		return decoded(ctx, config, words, out, playLoad)
	}
	return fmt.Errorf("there is no role %q", name)
}

func decoded[C any](ctx context.Context, config string, words <-chan string, out io.Writer,
	play func(context.Context, C, <-chan string, io.Writer) error,
) error {
	var c C
	if err := json.Unmarshal([]byte(config), &c); err != nil {
		return err
	}
	return play(ctx, c, words, out)
}

// await waits for a word.
func await(ctx context.Context, words <-chan string, want string) error {
	select {
	case got := <-words:
		if got != want {
			return fmt.Errorf("told to %q, want %q", got, want)
		}
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Addresses is where a server listens.
type Addresses struct{ Service, Admin string }

// The words that roles are told, and the kinds of what they say.
const (
	SaidAddresses = "addresses"
	SaidReached   = "reached" // the upstream: everything that is to be asked was asked
	SaidStats     = "stats"
	SaidWarm      = "warm"   // the client: the warm-up is over
	SaidOpened    = "opened" // the client: all answers have begun
	SaidResult    = "result"

	TellGo    = "go"    // the upstream: answer
	TellStats = "stats" // the upstream
	TellOpen  = "open"  // the client: ask
)

// Client is what the load role gets.
type Client struct {
	Spec   load.Spec
	WarmUp int // the generation of the warm-up
}
