package role

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/sauron-stream/sauron/cmd/bench/design/bare"
	"github.com/sauron-stream/sauron/cmd/bench/design/brute"
	"github.com/sauron-stream/sauron/cmd/bench/design/channel"
	"github.com/sauron-stream/sauron/cmd/bench/design/llm"
	"github.com/sauron-stream/sauron/cmd/bench/design/pools"
	"github.com/sauron-stream/sauron/cmd/bench/design/sse"
	"github.com/sauron-stream/sauron/cmd/bench/proc"
	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// The older designs.
const (
	Bare    = "bare"
	Channel = "channel"
	Brute   = "brute"
	Pools   = "pools"
	SSE     = "sse"
)

// Older is what the design role gets.
type Older struct {
	Design   string
	Upstream string // its base URL
	Streams  int    // that there will be at a time
}

// playDesign serves one of the older designs.
func playDesign(ctx context.Context, cfg Older, _ <-chan string, out io.Writer) error {
	client, err := llm.New(cfg.Upstream)
	if err != nil {
		return err
	}
	defer client.Close()
	service, err := listen(ctx)
	if err != nil {
		return err
	}
	admin, err := listen(ctx)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	serveHTTP(ctx, group, admin, http.HandlerFunc(heapPage))

	var implementation sauronv1.GenerationServiceServer
	switch cfg.Design {
	case SSE:
		serveHTTP(ctx, group, service, sse.New(ctx, client))
	case Bare:
		implementation = bare.New(ctx, client)
	case Channel:
		implementation = channel.New(ctx, client)
	case Brute:
		implementation = brute.New(client)
	case Pools:
		implementation = pools.New(ctx, client, cfg.Streams+1) // one for the warm-up
	default:
		return fmt.Errorf("there is no design %q", cfg.Design)
	}
	if implementation != nil {
		server := grpc.NewServer()
		sauronv1.RegisterGenerationServiceServer(server, implementation)
		group.Go(func() error { return server.Serve(service) })
		group.Go(func() error {
			<-ctx.Done()
			server.Stop()
			return nil
		})
	}
	if err := proc.Write(out, SaidAddresses, Addresses{service.Addr().String(), admin.Addr().String()}); err != nil {
		return err
	}
	return group.Wait()
}

// heapPage is the metrics page of an older design.
func heapPage(w http.ResponseWriter, _ *http.Request) {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	_ = proc.WriteHeap(w, proc.Heap{Objects: float64(stats.Mallocs), Bytes: float64(stats.TotalAlloc)}) // the reader may have gone
}
