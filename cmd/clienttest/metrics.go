package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	poll       = 20 * time.Millisecond // between two looks at the metrics, which can only be polled
	awaitLimit = 20 * time.Second      // for a metric to come to a value
)

// A metric is the sum of the samples of one name that have a label.
type metric struct {
	name  string
	label string // as the text format writes it; empty: all samples
}

var (
	live      = metric{name: "sauron_generations"} // by stage
	upstreams = metric{name: "sauron_upstream_streams_total"}
	refused   = metric{"sauron_requests_total", `outcome="refused"`}
	cancelled = metric{"sauron_requests_total", `outcome="cancelled"`}
)

func (m metric) String() string { return m.name + "{" + m.label + "}" }

// in returns the metric's value on a page of the text format.
func (m metric) in(page string) int {
	sum := 0.0
	for line := range strings.Lines(page) {
		sample, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		name, labels, _ := strings.Cut(sample, "{")
		if name != m.name || !strings.Contains(labels, m.label) {
			continue
		}
		if v, err := strconv.ParseFloat(value, 64); err == nil {
			sum += v
		}
	}
	return int(sum)
}

// await waits until a metric is want.
func (s *sauron) await(ctx context.Context, m metric, want int) error {
	ctx, cancel := context.WithTimeout(ctx, awaitLimit)
	defer cancel()
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for {
		got, err := s.value(ctx, m)
		if err != nil || got == want {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("%v is %d, want %d: %w", m, got, want, ctx.Err())
		}
	}
}

// value returns a metric's value.
func (s *sauron) value(ctx context.Context, m metric) (int, error) {
	page, err := s.metrics(ctx)
	return m.in(page), err
}

// metrics returns the page of the server's metrics.
func (s *sauron) metrics(ctx context.Context) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.admin+"/metrics", nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	page, err := io.ReadAll(resp.Body)
	return string(page), err
}
