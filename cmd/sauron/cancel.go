package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// cancelTimeout bounds one Cancel, which the server answers at once.
const cancelTimeout = 5 * time.Second

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

	state, err := cancelByID(ctx, sauronv1.NewGenerationServiceClient(conn), ids[0])
	switch {
	case status.Code(err) == codes.NotFound:
		return p.fail("cancel", exitFailed, fmt.Errorf("no request is called %q", ids[0]))
	case err != nil:
		return p.fail("cancel", exitFailed, errors.New(explain(err)))
	}
	return p.print(state + "\n")
}

// cancelByID cancels id and returns what was found, in words. It waits for
// cancelTimeout at most.
func cancelByID(ctx context.Context, client sauronv1.GenerationServiceClient, id string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, cancelTimeout)
	defer cancel()
	resp, err := client.Cancel(ctx, &sauronv1.CancelRequest{RequestId: id})
	if err != nil {
		return "", err
	}
	switch resp.GetState() {
	case sauronv1.CancelState_CANCEL_STATE_CANCELLED:
		return "cancelled", nil
	case sauronv1.CancelState_CANCEL_STATE_ALREADY_FINISHED:
		return "already finished", nil
	case sauronv1.CancelState_CANCEL_STATE_UNSPECIFIED:
	}
	return "", fmt.Errorf("the server answered %v", resp.GetState())
}
