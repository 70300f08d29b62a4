package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sauron-stream/sauron/client"
	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

const generateUsage = `Usage: sauron generate [flags] TEXT

Sends TEXT ("-": standard input) as a user's message and prints the answer as it
comes. Reasoning goes to standard error. Ctrl-C cancels the request by its id; a
second one leaves at once.

Flags:
  --address     address of the service (default ` + defaultAddress + `)
  --model       the route to ask for (default default)
  --request-id  the request's id (default made up)
  --coalescing  off, live or replay: whom to share the answer with (default the
                route's)
  --json        print the events as they are, one JSON object a line
  --count N     N identical callers at once, then a table of how they fared; their
                ids are the request's id with -1, -2, ...
`

// maxCount is far more callers than a look at sharing needs.
const maxCount = 10_000

// A generateOptions is the command line of `sauron generate`.
type generateOptions struct {
	address   string
	model     string
	requestID string // never empty
	coalesce  sauronv1.Coalescing
	json      bool
	count     int // 0: one caller, whose answer is printed
	text      string
}

// generate prints a generation as it comes, or how several callers of one fared.
func (p *process) generate(ctx context.Context, args []string) int {
	opts, err := p.generateOptions(args)
	if errors.Is(err, flag.ErrHelp) {
		return p.print(generateUsage)
	}
	if err != nil {
		return p.usageError("generate", err)
	}
	in := p.interrupts(ctx)
	defer in.stop()
	if opts.count > 0 {
		return p.generateCrowd(in, opts)
	}
	return p.generateOne(in, opts)
}

func (p *process) generateOptions(args []string) (generateOptions, error) {
	var opts generateOptions
	fs := newFlags("generate")
	fs.StringVar(&opts.address, "address", defaultAddress, "")
	fs.StringVar(&opts.model, "model", "default", "")
	fs.StringVar(&opts.requestID, "request-id", rand.Text(), "")
	fs.Func("coalescing", "", func(s string) error {
		c, ok := sauronv1.Coalescing_value["COALESCING_"+strings.ToUpper(s)]
		if !ok || c == 0 {
			return errors.New("must be off, live or replay")
		}
		opts.coalesce = sauronv1.Coalescing(c)
		return nil
	})
	fs.BoolVar(&opts.json, "json", false, "")
	fs.Func("count", "", func(s string) error {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > maxCount {
			return fmt.Errorf("must be from 1 to %d", maxCount)
		}
		opts.count = n
		return nil
	})
	texts, err := parseArgs(fs, args)
	switch {
	case err != nil:
		return opts, err
	case len(texts) != 1:
		return opts, errors.New("one text is needed; quote it")
	case opts.address == "":
		return opts, errNoAddress
	case opts.requestID == "":
		return opts, errors.New("--request-id: must not be empty")
	case opts.json && opts.count > 0:
		return opts, errors.New("--json and --count: only one of them")
	}
	opts.text = texts[0]
	if opts.text == "-" {
		text, err := io.ReadAll(p.stdin)
		if err != nil {
			return opts, fmt.Errorf("standard input: %w", err)
		}
		opts.text = string(text)
	}
	switch {
	case strings.TrimSpace(opts.text) == "":
		return opts, errors.New("the text is empty")
	case !utf8.ValidString(opts.text):
		return opts, errors.New("the text is not UTF-8")
	}
	return opts, nil
}

// request returns the request of the caller called id.
func (o generateOptions) request(id string) *sauronv1.GenerateRequest {
	return &sauronv1.GenerateRequest{
		RequestId:  id,
		Model:      o.model,
		Coalescing: o.coalesce,
		Messages:   []*sauronv1.Message{{Role: sauronv1.Role_ROLE_USER, Content: o.text}},
	}
}

// generateOne prints one caller's answer.
func (p *process) generateOne(in interrupts, opts generateOptions) int {
	conn, err := dial(opts.address)
	if err != nil {
		return p.usageError("generate", fmt.Errorf("--address: %w", err))
	}
	defer conn.Close() //nolint:errcheck // nothing is left to lose
	closeWith(in, conn)
	if err := greet(in.soft, conn); err != nil {
		return p.fail("generate", exitFailed, err)
	}

	var printer interface {
		event(*sauronv1.Event) error
		inLine() bool
		end() error
	} = newTextPrinter(p.stdout, p.stderr)
	if opts.json {
		printer = &jsonPrinter{p.stdout}
	}
	c := &caller{
		client: client.New(conn, client.WithBudget(p.budget), client.WithRetryHook(func(r client.Retry) { p.retrying(r, printer.inLine()) })),
		req:    opts.request(opts.requestID),
		event:  printer.event,
	}
	outcome, err := c.run(in)
	if endErr := printer.end(); err == nil {
		err = endErr
	}
	return p.generateStatus(outcome, err)
}

// retrying says that a lost stream is being taken up again, or the request made again.
// inLine: below the answer, which may be on the same terminal.
func (p *process) retrying(r client.Retry, inLine bool) {
	if inLine {
		_, _ = fmt.Fprintln(p.stderr)
	}
	next := "trying again"
	if r.GenerationID != "" {
		next = fmt.Sprintf("going on after event %d", r.After)
	}
	_, _ = fmt.Fprintf(p.stderr, "sauron generate: %s; %s\n", oneLine(explain(r.Err)), next)
}

// generateStatus says in one line why an answer is not whole, and returns the
// exit status.
func (p *process) generateStatus(outcome sauronv1.Outcome, err error) int {
	switch {
	case errors.Is(err, errInterrupted):
		return p.fail("generate", exitCancelled, err)
	case err != nil:
		return p.fail("generate", exitFailed, errors.New(explain(err)))
	case outcome == sauronv1.Outcome_OUTCOME_CANCELLED:
		return p.fail("generate", exitCancelled, errors.New("cancelled"))
	case outcome == sauronv1.Outcome_OUTCOME_COMPLETED:
		return exitOK
	}
	return p.fail("generate", exitFailed, fmt.Errorf("the server answered %v", outcome))
}
