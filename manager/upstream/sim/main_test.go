package sim_test

import (
	"context"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/types/known/structpb"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
	"github.com/sauron-stream/sauron/manager"
	"github.com/sauron-stream/sauron/manager/event"
	"github.com/sauron-stream/sauron/manager/upstream/sim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// config returns a simulator that takes no time.
func config() sim.Config { return sim.Config{Name: "sim", Tokens: 5} }

func newSim(t *testing.T, cfg sim.Config) *sim.Upstream {
	t.Helper()
	u, err := sim.New(cfg)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return u
}

func request(content string) *sauronv1.GenerateRequest {
	return &sauronv1.GenerateRequest{
		Model:    "default",
		Messages: []*sauronv1.Message{{Role: sauronv1.Role_ROLE_USER, Content: content}},
	}
}

// withExtension returns a request with the extension `sim`.
func withExtension(t *testing.T, members map[string]any) *sauronv1.GenerateRequest {
	t.Helper()
	r := request("hello")
	ext, err := structpb.NewStruct(map[string]any{"sim": members})
	if err != nil {
		t.Fatalf("NewStruct: %v", err)
	}
	r.Extensions = ext
	return r
}

// A run is all that one stream yielded, each with the time since its start.
type run struct {
	events []event.Event
	at     []time.Duration
	err    error
	errAt  time.Duration
}

// collect reads a stream to its end and checks that an error is the last pair.
func collect(ctx context.Context, t *testing.T, s manager.Streamer) run {
	t.Helper()
	var r run
	start := time.Now()
	for e, err := range s.Stream(ctx) {
		if r.err != nil {
			t.Fatalf("after the error %v the stream yielded %v, %v", r.err, e, err)
		}
		if err != nil {
			r.err, r.errAt = err, time.Since(start)
			continue
		}
		r.events = append(r.events, e)
		r.at = append(r.at, time.Since(start))
	}
	return r
}

// text returns the text of the events before the first other kind, and the rest.
func (r run) text() (text string, tokens int, rest []event.Event) {
	for i, e := range r.events {
		if e.Kind != event.KindText {
			return text, i, r.events[i:]
		}
		text += e.Text
	}
	return text, len(r.events), nil
}
