package client

import (
	"context"
	"errors"
	"iter"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// ErrCancelled is what Text ends with when somebody cancelled the request by its id.
var ErrCancelled = errors.New("client: the request was cancelled")

// cancelTimeout bounds one Cancel, which the server answers at once, and, if that went
// well, then the end of the stream that it cancelled.
const cancelTimeout = 5 * time.Second

// A Client calls one Sauron service. Use New.
type Client struct {
	conn    grpc.ClientConnInterface
	rpc     sauronv1.GenerationServiceClient
	budget  time.Duration
	onRetry func(Retry)
}

// New returns a Client on conn, which stays the caller's. DialOptions are good for it.
func New(conn grpc.ClientConnInterface, options ...Option) *Client {
	c := &Client{
		conn: conn, rpc: sauronv1.NewGenerationServiceClient(conn),
		budget: DefaultBudget, onRetry: func(Retry) {},
	}
	for _, o := range options {
		o(c)
	}
	return c
}

// Events yields the events of the generation that req asks for: Started, those of its
// log in order, and Finished at the end. Started comes again, and sequences begin
// again at 1, if the generation was gone before any of its answer had been yielded.
//
// An error is the last pair, with no event: the server's status, DATA_LOSS where events
// don't fit together, or the cause of ctx when that ended; if it had ended before,
// nothing is sent. req is not changed. Without a request id it gets a random one; with a
// resume point of its own Started is followed by what lies beyond that.
func (c *Client) Events(ctx context.Context, req *sauronv1.GenerateRequest) iter.Seq2[*sauronv1.Event, error] {
	return func(yield func(*sauronv1.Event, error) bool) {
		g := newGeneration(c, req, yield)
		if err := g.run(ctx); err != nil && !errors.Is(err, errLeft) {
			yield(nil, err)
		}
	}
}

// Text yields the answer's text as it comes. It ends without an error if and only if
// the answer is whole; ErrCancelled says that the request was cancelled by its id, any
// other error is as Events yields it.
func (c *Client) Text(ctx context.Context, req *sauronv1.GenerateRequest) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		cancelled := false
		for e, err := range c.Events(ctx, req) {
			switch {
			case err != nil:
				yield("", err)
				return
			case e.GetTextDelta() != "" && !yield(e.GetTextDelta(), nil):
				return
			}
			cancelled = e.GetFinished().GetOutcome() == sauronv1.Outcome_OUTCOME_CANCELLED
		}
		if cancelled {
			yield("", ErrCancelled)
		}
	}
}

// Cancel cancels the request called id: each of its streams ends with
// Finished{OUTCOME_CANCELLED}. Others that read the same generation go on. An id that
// the server does not know is a NOT_FOUND status.
func (c *Client) Cancel(ctx context.Context, id string) (sauronv1.CancelState, error) {
	ctx, cancel := context.WithTimeout(ctx, cancelTimeout)
	defer cancel()
	resp, err := c.rpc.Cancel(ctx, &sauronv1.CancelRequest{RequestId: id})
	return resp.GetState(), err
}

// closed reports whether err is there because the caller closed the connection. What a
// proxy says of a connection of its own looks the same, so the connection is asked, if
// it can be.
func (c *Client) closed(err error) bool {
	if conn, ok := c.conn.(interface{ GetState() connectivity.State }); ok {
		return conn.GetState() == connectivity.Shutdown
	}
	return errors.Is(err, grpc.ErrClientConnClosing) //nolint:staticcheck // a CANCELLED may be a proxy's
}
