package upstream

import (
	"context"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/sauron-stream/sauron/cmd/bench/clock"
	"github.com/sauron-stream/sauron/cmd/bench/marker"
	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
	"github.com/sauron-stream/sauron/manager/event"
	"github.com/sauron-stream/sauron/manager/upstream/openai"
)

func newUpstream(t *testing.T, cfg Config) (*Upstream, *openai.Upstream) {
	t.Helper()
	c, err := clock.New()
	if err != nil {
		t.Fatal(err)
	}
	u := New(cfg, c)
	server := httptest.NewServer(u)
	t.Cleanup(server.Close)
	client, err := openai.New(openai.Config{Name: "bench", BaseURL: server.URL + "/v1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return u, client
}

// read reads one answer with the product's own parser and returns its marks.
func read(ctx context.Context, t *testing.T, client *openai.Upstream, generation int) (marks []marker.Mark, whole bool) {
	t.Helper()
	request := &sauronv1.GenerateRequest{Messages: []*sauronv1.Message{
		{Role: sauronv1.Role_ROLE_USER, Content: Prompt(generation)},
	}}
	for e, err := range client.Streamer(request, "bench").Stream(ctx) {
		if err != nil {
			t.Error(err)
		}
		if e.Kind == event.KindText {
			if len(e.Text) != 48 {
				t.Errorf("text of %d bytes, want 48", len(e.Text))
			}
			var s marker.Scanner
			s.Scan([]byte(e.Text), func(m marker.Mark) { marks = append(marks, m) })
		}
		whole = e.Kind == event.KindFinished
	}
	return marks, whole
}

// TestAnswer reads a gated answer: whole, in order, paced, of its own generation.
func TestAnswer(t *testing.T) {
	u, client := newUpstream(t, Config{Tokens: 5, Interval: 10 * time.Millisecond, Gated: true, Expect: 1})
	opened := make(chan time.Time, 1)
	go func() {
		<-u.Reached()
		opened <- time.Now()
		u.Open()
	}()
	marks, whole := read(t.Context(), t, client, 42)
	if took := time.Since(<-opened); took < 40*time.Millisecond {
		t.Errorf("the answer took %v, want 40ms or more", took)
	}
	var sequences []uint32
	for i, m := range marks {
		sequences = append(sequences, m.Sequence)
		if m.Generation != 42 {
			t.Errorf("mark of generation %d, want 42", m.Generation)
		}
		if i > 0 && m.Time <= marks[i-1].Time {
			t.Errorf("mark %d is older than the one before", i)
		}
	}
	if want := []uint32{1, 2, 3, 4, 5}; !slices.Equal(sequences, want) || !whole {
		t.Errorf("sequences %v, whole %v, want %v and whole", sequences, whole, want)
	}
	if got := u.Stats(); got.Streams != 1 || got.Tokens != 5 {
		t.Errorf("stats %+v, want 1 stream and 5 tokens", got)
	}
}

// TestWarmUp is answered before the gate opens, and not counted.
func TestWarmUp(t *testing.T) {
	u, client := newUpstream(t, Config{Tokens: 5, Gated: true, Expect: 1})
	if marks, whole := read(t.Context(), t, client, WarmUp); len(marks) != 1 || !whole {
		t.Errorf("%d marks, whole %v, want 1 and whole", len(marks), whole)
	}
	if got := u.Stats(); got != (Stats{}) {
		t.Errorf("stats %+v, want none", got)
	}
}
