// Package design_test checks that each older design is what the report says that it
// is.
package design_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/sauron-stream/sauron/cmd/bench/clock"
	"github.com/sauron-stream/sauron/cmd/bench/design/bare"
	"github.com/sauron-stream/sauron/cmd/bench/design/broadcast"
	"github.com/sauron-stream/sauron/cmd/bench/design/brute"
	"github.com/sauron-stream/sauron/cmd/bench/design/channel"
	"github.com/sauron-stream/sauron/cmd/bench/design/llm"
	"github.com/sauron-stream/sauron/cmd/bench/design/pools"
	"github.com/sauron-stream/sauron/cmd/bench/design/sse"
	"github.com/sauron-stream/sauron/cmd/bench/marker"
	"github.com/sauron-stream/sauron/cmd/bench/upstream"
	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

const (
	readers = 3
	tokens  = 5
)

// start returns an upstream that answers when so many have asked, and its client.
func start(t *testing.T, expect int) (*upstream.Upstream, *llm.Client) {
	t.Helper()
	c, err := clock.New()
	if err != nil {
		t.Fatal(err)
	}
	u := upstream.New(upstream.Config{Tokens: tokens, Interval: time.Millisecond, Gated: true, Expect: expect}, c)
	server := httptest.NewServer(u)
	t.Cleanup(server.Close)
	client, err := llm.New(server.URL + "/v1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return u, client
}

// sequences returns the marks' sequences in a text.
func sequences(text string) []uint32 {
	var all []uint32
	var s marker.Scanner
	s.Scan([]byte(text), func(m marker.Mark) { all = append(all, m.Sequence) })
	return all
}

var whole = []uint32{1, 2, 3, 4, 5}

// TestGRPC gives every reader of equal requests the whole answer, and opens as many
// upstream streams as the design says.
func TestGRPC(t *testing.T) {
	for _, tt := range []struct {
		name    string
		make    func(context.Context, *llm.Client) sauronv1.GenerationServiceServer
		streams int64
		events  int // in a message
	}{
		{"bare", func(ctx context.Context, c *llm.Client) sauronv1.GenerationServiceServer { return bare.New(ctx, c) }, 1, tokens + 1},
		{"channel", func(ctx context.Context, c *llm.Client) sauronv1.GenerationServiceServer { return channel.New(ctx, c) }, 1, 1},
		{"brute", func(_ context.Context, c *llm.Client) sauronv1.GenerationServiceServer { return brute.New(c) }, readers, 1},
		{"pools", func(ctx context.Context, c *llm.Client) sauronv1.GenerationServiceServer {
			return pools.New(ctx, c, readers)
		}, readers, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u, llmClient := start(t, int(tt.streams))
			var config net.ListenConfig
			listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			server := grpc.NewServer()
			sauronv1.RegisterGenerationServiceServer(server, tt.make(t.Context(), llmClient))
			go server.Serve(listener)
			defer server.Stop()
			conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			var streams []grpc.ServerStreamingClient[sauronv1.GenerateResponse]
			for range readers {
				stream, err := sauronv1.NewGenerationServiceClient(conn).Generate(t.Context(), &sauronv1.GenerateRequest{
					Model: "bench", Messages: []*sauronv1.Message{{Role: sauronv1.Role_ROLE_USER, Content: upstream.Prompt(1)}},
				})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := stream.Header(); err != nil {
					t.Fatal(err)
				}
				streams = append(streams, stream)
			}
			<-u.Reached()
			u.Open()
			for _, stream := range streams {
				text, finished := "", false
				for {
					r, err := stream.Recv()
					if errors.Is(err, io.EOF) {
						break
					}
					if err != nil {
						t.Fatal(err)
					}
					if n := len(r.GetEvents()); n != tt.events {
						t.Errorf("%d events in a message, want %d", n, tt.events)
					}
					for _, e := range r.GetEvents() {
						text += e.GetTextDelta()
						finished = e.GetFinished() != nil
					}
				}
				if got := sequences(text); !slices.Equal(got, whole) || !finished {
					t.Errorf("sequences %v, finished %v, want %v and finished", got, finished, whole)
				}
			}
			if got := u.Stats().Streams; got != tt.streams {
				t.Errorf("%d upstream streams, want %d", got, tt.streams)
			}
		})
	}
}

// TestSSE shares one upstream stream and sends each event as a line of its own.
func TestSSE(t *testing.T) {
	u, client := start(t, 1)
	server := httptest.NewServer(sse.New(t.Context(), client))
	defer server.Close()
	var answers []io.ReadCloser
	for range readers {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, strings.NewReader(upstream.Prompt(1)))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		answers = append(answers, answer.Body)
	}
	<-u.Reached()
	u.Open()
	for _, answer := range answers {
		text, err := io.ReadAll(answer)
		if got := sequences(string(text)); err != nil || !slices.Equal(got, whole) {
			t.Errorf("sequences %v, %v, want %v", got, err, whole)
		}
		if got := strings.Count(string(text), "data: "); got != tokens+1 || !strings.HasSuffix(string(text), "data: [DONE]\n\n") {
			t.Errorf("%d events, want %d and [DONE]: %q", got, tokens, text)
		}
	}
	if got := u.Stats().Streams; got != 1 {
		t.Errorf("%d upstream streams, want 1", got)
	}
}

// slow is a stream that takes the first message when it may.
type slow struct {
	ctx  context.Context
	take chan struct{}
	got  []int64
}

func (s *slow) Context() context.Context { return s.ctx }

func (s *slow) Send(r *sauronv1.GenerateResponse) error {
	<-s.take
	s.got = append(s.got, r.GetEvents()[0].GetSequence())
	return nil
}

// TestBroadcasterDrops never waits for a slow subscriber: it loses what does not fit
// into its channel, and a late one gets all.
func TestBroadcasterDrops(t *testing.T) {
	const events = 200
	b := broadcast.New()
	s := &slow{ctx: t.Context(), take: make(chan struct{})}
	subscribed, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- b.Serve(s, func() error { close(subscribed); return nil }) }()
	<-subscribed
	b.Run(func(yield func(*sauronv1.Event, error) bool) {
		for i := range events {
			if !yield(&sauronv1.Event{Sequence: int64(i + 1)}, nil) {
				return
			}
		}
	})
	close(s.take)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if n := len(s.got); n != 64 && n != 65 || !slices.IsSorted(s.got) {
		t.Errorf("a slow subscriber got %d events, want the 64 of its channel and perhaps one at hand: %v", n, s.got)
	}
	late := &slow{ctx: t.Context(), take: s.take}
	if err := b.Serve(late, func() error { return nil }); err != nil || len(late.got) != events {
		t.Errorf("a late subscriber got %d events, %v, want %d", len(late.got), err, events)
	}
}
