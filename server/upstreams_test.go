package server

import (
	"context"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
	"github.com/sauron-stream/sauron/manager"
	"github.com/sauron-stream/sauron/manager/event"
	"github.com/sauron-stream/sauron/manager/prepare"
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

// scriptedUpstream yields an extension event a number of times.
type scriptedUpstream struct {
	extension string
	events    int
	pause     time.Duration // before each
	rest      time.Duration // before the end
}

func (u *scriptedUpstream) routes() []prepare.RouteConfig {
	return []prepare.RouteConfig{{Model: "*", Upstream: u, UpstreamName: "scripted", Coalesce: true}}
}

func (u *scriptedUpstream) Streamer(*sauronv1.GenerateRequest, string) manager.Streamer { return u }

func (u *scriptedUpstream) Upstream() manager.Upstream { return manager.Upstream{Name: "scripted"} }

func (u *scriptedUpstream) Stream(ctx context.Context) iter.Seq2[event.Event, error] {
	return func(yield func(event.Event, error) bool) {
		for i := range u.events + 1 {
			pause := u.pause
			if i == u.events {
				pause = u.rest
			}
			timer := time.NewTimer(pause)
			select {
			case <-timer.C:
			case <-ctx.Done():
				yield(event.Event{}, context.Cause(ctx))
				return
			}
			if i < u.events && !yield(event.Event{Kind: event.KindExtension, Text: u.extension}, nil) {
				return
			}
		}
		yield(event.Event{Kind: event.KindFinished, Finish: &event.Finish{}}, nil)
	}
}

// get returns an admin page.
func (r *running) get(t *testing.T, path string) (code int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+r.AdminAddr().String()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(page)
}

// metric returns the value of one sample on /metrics, 0 if there is none. name is
// the sample as the text format writes it, labels in order.
func (r *running) metric(t *testing.T, name string) float64 {
	t.Helper()
	_, page := r.get(t, "/metrics")
	for line := range strings.Lines(page) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+" "); ok {
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
	r.eventuallyDo(t, func() error {
		if got := r.metric(t, name); got != want {
			return fmt.Errorf("%s is %v, want %v", name, got, want)
		}
		return nil
	})
}

// eventuallyDo waits until f finds nothing wrong.
func (r *running) eventuallyDo(t *testing.T, f func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal(err)
		}
	}
}
