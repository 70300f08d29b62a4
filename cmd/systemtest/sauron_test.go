package systemtest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// A sauron is `sauron serve` as a process.
type sauron struct {
	*process
	address string // gRPC
	admin   string // HTTP
}

// settings say how to start one.
type settings struct {
	file  string // the config file's text; empty: none
	env   []string
	flags []string
}

// quickExit keeps the race detector from waiting at the end for one more race.
const quickExit = "GORACE=atexit_sleep_ms=0"

// environment is what every sauron of these tests gets: free ports, and at the end
// of a test no waiting for streams that nobody reads any more.
var environment = []string{
	quickExit,
	"SAURON_LISTEN=127.0.0.1:0", "SAURON_ADMIN_LISTEN=127.0.0.1:0", "SAURON_LOG_LEVEL=debug",
	"SAURON_DRAIN_DELAY=0s", "SAURON_DRAIN_TIMEOUT=0s",
}

// start starts the process, which need not come to serve.
func (s settings) start(t *testing.T) *process {
	t.Helper()
	args := append([]string{"serve"}, s.flags...)
	if s.file != "" {
		args = append(args, "--config", write(t, "sauron.yaml", s.file))
	}
	return start(t, append(append([]string{}, environment...), s.env...), programs.sauron, args...)
}

// serve starts a service and waits until it serves. At the end of the test it is
// asked to end, must do so with status 0, and must have logged no race, panic or
// secret.
func (s settings) serve(t *testing.T) *sauron {
	t.Helper()
	p := s.start(t)
	t.Cleanup(func() {
		_ = p.cmd.Process.Signal(syscall.SIGTERM) // or it has ended already
		if status := p.exit(t); status != 0 {
			t.Errorf("sauron ended with status %d", status)
		}
		log := p.stderr.String()
		for _, word := range []string{"DATA RACE", "panic", "goroutine "} {
			if strings.Contains(log, word) {
				t.Errorf("the log has %q", word)
			}
		}
		wantNoSecrets(t, "the log", log)
		if t.Failed() {
			t.Logf("sauron's log:\n%s", log)
		}
	})
	said := p.stderr.match(t, `msg=serving address=(\S+) admin_address=(\S+)`)
	return &sauron{process: p, address: said[1], admin: said[2]}
}

// serve starts a service with one upstream for every model.
func serve(t *testing.T, up *upstream, flags ...string) *sauron {
	t.Helper()
	return settings{flags: append([]string{"--openai-base-url", up.base()}, flags...)}.serve(t)
}

// write writes a file of the test's own and returns its path.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// dial returns a connection of its own. grpc-go opens it with the first call.
func (s *sauron) dial(t *testing.T, options ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	options = append(options, grpc.WithTransportCredentials(insecure.NewCredentials()))
	conn, err := grpc.NewClient(s.address, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// client returns a client on a connection of its own.
func (s *sauron) client(t *testing.T, options ...grpc.DialOption) sauronv1.GenerationServiceClient {
	t.Helper()
	return sauronv1.NewGenerationServiceClient(s.dial(t, options...))
}

// clients returns clients, each on a connection of its own.
func (s *sauron) clients(t *testing.T, n int) []sauronv1.GenerationServiceClient {
	t.Helper()
	clients := make([]sauronv1.GenerationServiceClient, n)
	for i := range clients {
		clients[i] = s.client(t)
	}
	return clients
}

// metrics returns the metrics page.
func (s *sauron) metrics(ctx context.Context) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.admin+"/metrics", nil)
	if err != nil {
		return "", err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	return string(page), err
}

// A count is a sample of the metrics and the value that it must come to.
type count struct {
	sample string // as the text format writes it
	want   float64
}

// counts waits until all samples have their values at one moment. A sample that is
// not there is 0.
func (s *sauron) counts(t *testing.T, all ...count) {
	t.Helper()
	eventually(t, func() error {
		page, err := s.metrics(t.Context())
		if err != nil {
			return err
		}
		for _, c := range all {
			if got := sample(page, c.sample); got != c.want {
				return fmt.Errorf("%s is %v, want %v", c.sample, got, c.want)
			}
		}
		return nil
	})
}

// sample returns a sample's value on a metrics page, 0 if it is not there.
func sample(page, name string) float64 {
	for line := range strings.Lines(page) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+" "); ok {
			if v, err := strconv.ParseFloat(value, 64); err == nil {
				return v
			}
		}
	}
	return 0
}

// stage is the number of generations in a stage.
func stage(name string, want int) count {
	return count{fmt.Sprintf("sauron_generations{stage=%q}", name), float64(want)}
}

// orphans is the number of generations that go on for a lease alone.
func orphans(want int) count { return count{"sauron_orphans", float64(want)} }

// cancel cancels id and fails unless the answer is want. It returns when the answer
// came.
func cancel(t *testing.T, c sauronv1.GenerationServiceClient, id string, want sauronv1.CancelState) time.Time {
	t.Helper()
	answer, err := c.Cancel(patient(t), &sauronv1.CancelRequest{RequestId: id})
	at := time.Now()
	if err != nil || answer.GetState() != want {
		t.Errorf("cancel %s: %v, %v, want %v", id, answer, err, want)
	}
	return at
}

const (
	stateCancelled = sauronv1.CancelState_CANCEL_STATE_CANCELLED
	stateFinished  = sauronv1.CancelState_CANCEL_STATE_ALREADY_FINISHED
)
