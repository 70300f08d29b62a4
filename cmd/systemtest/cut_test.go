package systemtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/sauron-stream/sauron/client"
	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// never lets connections live.
func never() int64 { return -1 }

// returning returns a client that comes back by itself, through c, on a connection of
// its own.
func (c *cutter) returning(t *testing.T, options ...client.Option) *client.Client {
	t.Helper()
	conn, err := grpc.NewClient(c.address, append(client.DialOptions(), grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return client.New(conn, options...)
}

// An answer is what one iteration of a returning client has brought.
type answer struct {
	text        strings.Builder
	generations map[string]bool
	last        int64 // sequence
	err         error
}

// returns reads the whole answer to req, and tells seen, unless it is nil, of each delta.
// The answer's error also says what is wrong with the order.
func returns(ctx context.Context, c *client.Client, req *sauronv1.GenerateRequest, seen chan<- string) *answer {
	a := &answer{generations: map[string]bool{}}
	for e, err := range c.Events(ctx, req) {
		switch {
		case err != nil:
			a.err = err
			return a
		case e.GetStarted() != nil:
			a.generations[e.GetStarted().GetGenerationId()] = true
			a.last = 0
		case e.GetSequence() != a.last+1:
			a.err = fmt.Errorf("event %d after %d", e.GetSequence(), a.last)
			return a
		default:
			a.last = e.GetSequence()
		}
		a.text.WriteString(e.GetTextDelta())
		if seen != nil && e.GetTextDelta() != "" {
			seen <- e.GetTextDelta()
		}
	}
	return a
}

// whole returns what keeps a from being text, of one generation.
func (a *answer) whole(text string) error {
	switch {
	case a.err != nil:
		return a.err
	case a.text.String() != text:
		return fmt.Errorf("text %q, want %q", a.text.String(), text)
	case len(a.generations) != 1:
		return fmt.Errorf("%d generations", len(a.generations))
	}
	return nil
}

// A client whose connection is cut at random bytes, a thousand times over many
// generations, gets the exact text of each, from one upstream stream.
func TestThousandCuts(t *testing.T) {
	t.Parallel()
	const cuts, callers, tokens = 1000, 16, 40
	up := newUpstream(t, func(x *exchange) {
		x.headers()
		for i := range tokens {
			pass(t, time.Millisecond)
			x.text(fmt.Sprintf("%s-%d ", x.content(), i))
		}
		x.finish()
	})
	s := serve(t, up, "--max-concurrent-llm-streams=16", "--orphan-grace=60s")
	c := newCutter(t, s.address, func() int64 { return rand.Int64N(1600) })
	var generations atomic.Int64
	var all sync.WaitGroup
	for caller := range callers {
		one := c.returning(t, client.WithBudget(4*patience))
		all.Go(func() {
			for i := 0; c.cuts.Load() < cuts && !t.Failed(); i++ {
				generations.Add(1)
				content := fmt.Sprintf("%d.%d", caller, i)
				var want strings.Builder
				for n := range tokens {
					fmt.Fprintf(&want, "%s-%d ", content, n)
				}
				if err := returns(t.Context(), one, ask("id"+content, content), nil).whole(want.String()); err != nil {
					t.Errorf("%s: %v", content, err)
				}
			}
		})
	}
	all.Wait()
	if got, want := up.count(), int(generations.Load()); got != want {
		t.Errorf("%d upstream streams for %d generations", got, want)
	}
	t.Logf("%d cuts in %d generations", c.cuts.Load(), generations.Load())
}

// The cut falls into each of the last bytes of a stream: of its last event, of the status
// behind it.
func TestCutInTheLastBytes(t *testing.T) {
	t.Parallel()
	const last = 100
	up := newUpstream(t, func(x *exchange) { x.answer("some ", "text") })
	// Who is lost gives no slot up to others.
	s := serve(t, up, fmt.Sprint("--max-concurrent-llm-streams=", 2*last+1), "--orphan-grace=60s")
	var all sync.WaitGroup
	for back := range int64(last) {
		c := newCutter(t, s.address, never)
		c.tail.Store(back + 1)
		one := c.returning(t)
		all.Go(func() {
			id := fmt.Sprint("id", back)
			if err := returns(t.Context(), one, ask(id, id), nil).whole("some text"); err != nil {
				t.Errorf("cut %d bytes before the end: %v", back+1, err)
			}
			if cuts := c.cuts.Load(); cuts != 1 {
				t.Errorf("cut %d bytes before the end: %d cuts", back+1, cuts)
			}
		})
	}
	all.Wait()
	if got := up.count(); got != last {
		t.Errorf("%d upstream streams, want %d", got, last)
	}
}

// When the server is another one after a cut, a part of an answer is followed by a clear
// error, and nothing by a new generation. No text is ever mixed.
func TestRestart(t *testing.T) {
	for name, end := range map[string]os.Signal{"killed": os.Kill, "drained": syscall.SIGTERM} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			up := steered(t)
			noteSources()
			old := settings{flags: []string{"--openai-base-url", up.base()}}.start(t)
			said := old.stderr.match(t, `msg=serving address=(\S+)`)
			c := newCutter(t, said[1], never)
			begin := func(id string) (x *exchange, seen <-chan string, end <-chan *answer) {
				texts, answers := make(chan string, 10), make(chan *answer, 1)
				one := c.returning(t)
				go func() { answers <- returns(patient(t), one, ask(id, id), texts) }()
				x = up.next(t)
				x.headers()
				return x, texts, answers
			}
			partly, seen, partlyEnd := begin("partly")
			notYet, _, notYetEnd := begin("notYet")
			partly.text("old ")
			receive(t, seen, "delta")
			replacement := serve(t, up)
			c.target.Store(replacement.address)
			old.signal(t, end)

			again := up.next(t)
			again.answer("new ", "text")
			got := receive(t, notYetEnd, "answer")
			if got.err != nil || got.text.String() != "new text" || len(got.generations) != 2 {
				t.Errorf("%q of %d generations and %v, want the second one's", got.text.String(), len(got.generations), got.err)
			}
			got = receive(t, partlyEnd, "answer")
			if client.Reason(got.err) != "GENERATION_GONE" || got.text.String() != "old " {
				t.Errorf("%q and %v, want the old text and GENERATION_GONE", got.text.String(), got.err)
			}
			partly.end()
			notYet.end()
			if up.count() != 3 {
				t.Errorf("%d upstream requests, want 3", up.count())
			}
			old.exit(t)
		})
	}
}

// Fifty callers lose their connections at once and come back with jitter, half of them
// under new ids: while the generation runs, and when it has ended meanwhile. There is no
// second upstream stream, and no event is lost or doubled.
func TestRetryStorm(t *testing.T) {
	for _, completed := range []bool{false, true} {
		t.Run(fmt.Sprint("completed_", completed), func(t *testing.T) {
			t.Parallel()
			const callers, text = 50, "one two three"
			up := steered(t)
			s := serve(t, up, "--orphan-grace=60s")
			c := newCutter(t, s.address, never)
			seen, ends := make(chan string, 10*callers), make(chan error, callers)
			for i := range callers {
				one, once := c.returning(t), c.returning(t, client.WithBudget(0))
				ctx := patient(t)
				go func() {
					req := ask(fmt.Sprint("id", i), "A")
					if i%2 == 0 {
						ends <- returns(ctx, one, req, seen).whole(text)
						return
					}
					if a := returns(ctx, once, req, seen); status.Code(a.err) != codes.Unavailable {
						ends <- fmt.Errorf("%q and %w, want a lost connection", a.text.String(), a.err)
						return
					}
					pass(t, rand.N(200*time.Millisecond))
					req.RequestId += "-again"
					ends <- returns(ctx, one, req, seen).whole(text)
				}()
			}
			x := up.next(t)
			x.headers()
			s.counts(t, count{"sauron_subscriptions", callers})
			x.text("one ")
			for range callers {
				receive(t, seen, "first delta")
			}

			open := c.hold()
			c.cutAll()
			s.counts(t, count{"sauron_subscriptions", 0}, orphans(1))
			x.text("two ")
			if completed {
				x.text("three")
				x.finish()
				s.counts(t, stage("streaming", 0))
			}
			open()
			if !completed {
				s.counts(t, count{"sauron_subscriptions", callers})
				x.text("three")
				x.finish()
			}
			for range callers {
				if err := receive(t, ends, "answer"); err != nil {
					t.Error(err)
				}
			}
			if got := up.count(); got != 1 {
				t.Errorf("%d upstream streams, want 1", got)
			}
		})
	}
}

// `sauron generate` says that it lost its connection, comes back, and prints the answer
// as if nothing had been.
func TestGenerateCommandComesBack(t *testing.T) {
	t.Parallel()
	up := steered(t)
	s := serve(t, up)
	c := newCutter(t, s.address, never)
	p := start(t, []string{quickExit}, programs.sauron, "generate", "--address", c.address, "--request-id", "cli", "A")
	x := up.next(t)
	x.headers()
	x.text("one ")
	p.stdout.match(t, "^one $")
	c.cutAll()
	s.counts(t, count{`sauron_requests_total{outcome="disconnected",participation="leader",route="*"}`, 1})
	x.text("two ")
	p.stdout.match(t, "^one two $")
	x.text("three")
	x.finish()
	if status := p.exit(t); status != 0 || p.stdout.String() != "one two three\n" {
		t.Errorf("exit status %d, standard output %q", status, p.stdout)
	}
	if got := p.stderr.String(); !strings.HasPrefix(got, "\nsauron generate: UNAVAILABLE: ") ||
		!strings.HasSuffix(got, "; going on after event 5\n") || strings.Count(got, "\n") != 2 {
		t.Errorf("standard error %q", got)
	}
	if up.count() != 1 {
		t.Errorf("%d upstream requests, want 1", up.count())
	}
}
