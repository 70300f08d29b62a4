package server

import (
	"bufio"
	"context"
	"fmt"
	"iter"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
	"github.com/sauron-stream/sauron/manager"
	"github.com/sauron-stream/sauron/manager/event"
	"github.com/sauron-stream/sauron/manager/upstream/sim"
)

func mustSim(t *testing.T, cfg sim.Config) *sim.Upstream {
	t.Helper()
	u, err := sim.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// blockingUpstream answers "done" when it is released.
type blockingUpstream struct{ release chan struct{} }

func (u *blockingUpstream) Streamer(*sauronv1.GenerateRequest, string) manager.Streamer { return u }

func (u *blockingUpstream) Upstream() manager.Upstream { return manager.Upstream{Name: "b"} }

func (u *blockingUpstream) Stream(ctx context.Context) iter.Seq2[event.Event, error] {
	return func(yield func(event.Event, error) bool) {
		select {
		case <-u.release:
		case <-ctx.Done():
			yield(event.Event{}, context.Cause(ctx))
			return
		}
		_ = yield(event.Text("done"), nil) &&
			yield(event.Event{Kind: event.KindFinished, Finish: &event.Finish{Reason: event.FinishStop}}, nil)
	}
}

// metric returns the value of one sample on /metrics, 0 if there is none. name is
// the sample as the text format writes it, labels in order.
func (r *running) metric(t *testing.T, name string) float64 {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+r.AdminAddr().String()+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			v, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	return 0
}

// eventually waits until a sample has a value: some are counted after the client
// has seen the end.
func (r *running) eventually(t *testing.T, name string, want float64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		got := r.metric(t, name)
		if got == want {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal(fmt.Errorf("%s is %v, want %v", name, got, want))
		}
	}
}
