package main

import (
	"context"
	"errors"
	"flag"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sauron-stream/sauron/client"
	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

const cancelUsage = `Usage: sauron cancel [flags] ID

Cancels the request called ID. Others that read the same generation go on; if
there are none, it is stopped.

Flags:
  --address   address of the service (default ` + defaultAddress + `)
`

// cancel cancels a request by its id and prints what was found.
func (p *process) cancel(ctx context.Context, args []string) int {
	fs := newFlags("cancel")
	address := fs.String("address", defaultAddress, "")
	ids, err := parseArgs(fs, args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return p.print(cancelUsage)
	case err != nil:
		return p.usageError("cancel", err)
	case len(ids) != 1 || ids[0] == "":
		return p.usageError("cancel", errors.New("one request id is needed"))
	case *address == "":
		return p.usageError("cancel", errNoAddress)
	}
	conn, err := dial(*address)
	if err != nil {
		return p.usageError("cancel", fmt.Errorf("--address: %w", err))
	}
	defer conn.Close() //nolint:errcheck // nothing is left to lose

	state, err := client.New(conn).Cancel(ctx, ids[0])
	switch {
	case status.Code(err) == codes.NotFound:
		return p.fail("cancel", exitFailed, fmt.Errorf("no request is called %q", ids[0]))
	case err != nil:
		return p.fail("cancel", exitFailed, errors.New(explain(err)))
	case state == sauronv1.CancelState_CANCEL_STATE_CANCELLED:
		return p.print("cancelled\n")
	case state == sauronv1.CancelState_CANCEL_STATE_ALREADY_FINISHED:
		return p.print("already finished\n")
	}
	return p.fail("cancel", exitFailed, fmt.Errorf("the server answered %v", state))
}
