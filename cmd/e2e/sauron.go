package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// A sauron is the running service under test.
type sauron struct {
	process *process
	conns   []*grpc.ClientConn
	admin   *url.URL
}

// buildSauron compiles the checkout's binary and returns its path.
func (w *workspace) buildSauron(ctx context.Context) (string, error) {
	w.step("building sauron")
	binary := w.path("sauron")
	return binary, w.run(ctx, command{
		name: "go-build",
		argv: []string{"go", "build", "-o", binary, "./cmd/sauron"},
		dir:  w.root,
	})
}

// startSauron starts the binary before the upstream and waits until it says
// that it serves. The caller must stop it.
func (w *workspace) startSauron(ctx context.Context, binary string, upstream *url.URL) (*sauron, error) {
	listen, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	admin, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	env, err := w.serverEnv()
	if err != nil {
		return nil, err
	}
	p, err := w.start(ctx, command{name: "sauron", env: env, argv: []string{
		binary, "serve", "--listen", listen, "--admin-listen", admin,
		"--openai-base-url", upstream.JoinPath("v1").String(),
		"--upstream-idle-timeout", "4m", // the upstream queues what it cannot run at once
		"--drain-delay", "0s", "--drain-timeout", "3s",
	}})
	if err != nil {
		return nil, err
	}
	s := &sauron{process: p, admin: &url.URL{Scheme: "http", Host: admin}}
	for range connections {
		conn, err := grpc.NewClient(listen, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			s.stop()
			return nil, err
		}
		s.conns = append(s.conns, conn)
	}
	if err := p.await(ctx, s.ready); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// stop ends the service and returns its exit code.
func (s *sauron) stop() int {
	code := s.process.Stop()
	for _, conn := range s.conns {
		_ = conn.Close() // its server is gone
	}
	return code
}

func (s *sauron) ready(ctx context.Context) error {
	resp, err := healthpb.NewHealthClient(s.conns[0]).Check(ctx, &healthpb.HealthCheckRequest{}, grpc.WaitForReady(true))
	if err != nil {
		return err
	}
	if resp.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		return fmt.Errorf("health is %v", resp.GetStatus())
	}
	_, err = get(ctx, s.admin.JoinPath("readyz"))
	return err
}

// upstreamStreams returns how many upstream streams the service has counted. They
// are counted at their end, so it waits a moment for the number that is wanted.
func (s *sauron) upstreamStreams(ctx context.Context, want int) (int, error) {
	errCounting := errors.New("not that many yet")
	count := 0
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	err := s.process.await(ctx, func(ctx context.Context) error {
		page, err := get(ctx, s.admin.JoinPath("metrics"))
		if err != nil {
			return err
		}
		if count = sum(page, "sauron_upstream_streams_total"); count < want {
			return errCounting
		}
		return nil
	})
	if errors.Is(err, errCounting) {
		err = nil
	}
	return count, err
}

// sum adds the samples of one metric on a Prometheus text page, whatever their
// labels.
func sum(page []byte, metric string) int {
	total := 0.0
	for lines := bufio.NewScanner(bytes.NewReader(page)); lines.Scan(); {
		line := lines.Text()
		if name, _, _ := strings.Cut(line, "{"); name != metric {
			continue
		}
		if value, err := strconv.ParseFloat(line[strings.LastIndex(line, " ")+1:], 64); err == nil {
			total += value
		}
	}
	return int(total)
}
