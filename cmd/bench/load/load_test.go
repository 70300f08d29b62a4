package load

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/sauron-stream/sauron/cmd/bench/clock"
	"github.com/sauron-stream/sauron/cmd/bench/marker"
	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// A server answers each Generate by answer.
type server struct {
	sauronv1.UnimplementedGenerationServiceServer

	answer func(req *sauronv1.GenerateRequest, send func(marks ...marker.Mark) error) error

	mu    sync.Mutex     // guards the fields below
	calls map[string]int // by the connection
}

func (s *server) Generate(req *sauronv1.GenerateRequest, stream grpc.ServerStreamingServer[sauronv1.GenerateResponse]) error {
	if err := stream.SendHeader(nil); err != nil {
		return err
	}
	if p, ok := peer.FromContext(stream.Context()); ok {
		s.mu.Lock()
		s.calls[p.Addr.String()]++
		s.mu.Unlock()
	}
	return s.answer(req, func(marks ...marker.Mark) error {
		r := &sauronv1.GenerateResponse{}
		for _, m := range marks {
			r.Events = append(r.Events, &sauronv1.Event{Kind: &sauronv1.Event_TextDelta{TextDelta: string(m.Append(nil)) + " lorem ipsum"}})
		}
		return stream.Send(r)
	})
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

// connections returns how many calls there were on each connection since it was last
// asked.
func (s *server) connections() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := slices.Sorted(maps.Values(s.calls))
	clear(s.calls)
	return all
}

// serve serves gRPC by answer and returns the address.
func serve(t *testing.T, answer func(*sauronv1.GenerateRequest, func(...marker.Mark) error) error) string {
	t.Helper()
	_, address := serveOn(t, answer)
	return address
}

func serveOn(t *testing.T, answer func(*sauronv1.GenerateRequest, func(...marker.Mark) error) error) (*server, string) {
	t.Helper()
	listener := listen(t)
	s := grpc.NewServer()
	implementation := &server{answer: answer, calls: make(map[string]int)}
	sauronv1.RegisterGenerationServiceServer(s, implementation)
	done := make(chan error, 1)
	go func() { done <- s.Serve(listener) }()
	t.Cleanup(func() {
		s.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return implementation, listener.Addr().String()
}

func run(t *testing.T, spec Spec) Result {
	t.Helper()
	c, err := clock.New()
	if err != nil {
		t.Fatal(err)
	}
	if spec.Limit == 0 {
		spec.Limit = 10 * time.Second
	}
	opened := 0
	r, err := Run(t.Context(), spec, c, func() error { opened++; return nil })
	if err != nil {
		t.Fatal(err)
	}
	if opened != 1 {
		t.Errorf("opened was called %d times, want 1", opened)
	}
	return r
}

// counts are the parts of a result that do not depend on time.
type counts struct{ received, lost, repeated, reordered, foreign, failed int64 }

func (r Result) counts() counts {
	return counts{r.Received, r.Lost, r.Repeated, r.Reordered, r.Foreign, r.Failed}
}

func now(t *testing.T) func() int64 {
	t.Helper()
	c, err := clock.New()
	if err != nil {
		t.Fatal(err)
	}
	return c.Now
}

// TestFaults finds every kind of fault in a server, with both gRPC clients.
func TestFaults(t *testing.T) {
	at := now(t)
	mark := func(sequence uint32) marker.Mark { return marker.Mark{Generation: 5, Sequence: sequence, Time: at()} }
	for _, tt := range []struct {
		name  string
		marks []uint32
		err   error
		want  counts
	}{
		{"whole", []uint32{1, 2, 3, 4}, nil, counts{received: 4}},
		{"lost", []uint32{1, 4}, nil, counts{received: 2, lost: 2}},
		{"cut", []uint32{1, 2}, nil, counts{received: 2, lost: 2}},
		{"repeated", []uint32{1, 2, 2, 3, 4}, nil, counts{received: 4, repeated: 1}},
		{"reordered", []uint32{1, 3, 2, 4}, nil, counts{received: 4, reordered: 1}},
		{"failed", []uint32{1, 2, 3, 4}, status.Error(codes.Aborted, "broken"), counts{received: 4, failed: 1}},
	} {
		for _, protocol := range []string{GRPC, GRPCStub} {
			t.Run(tt.name+"/"+protocol, func(t *testing.T) {
				address := serve(t, func(_ *sauronv1.GenerateRequest, send func(...marker.Mark) error) error {
					for _, s := range tt.marks {
						if err := send(mark(s)); err != nil {
							return err
						}
					}
					return tt.err
				})
				spec := Spec{Protocol: protocol, Address: address, Streams: 1, Conns: 1, Generations: 1, First: 5, Tokens: 4}
				r := run(t, spec)
				if r.counts() != tt.want {
					t.Errorf("%+v, want %+v", r.counts(), tt.want)
				}
				if tt.err != nil && !strings.Contains(r.Why, "broken") {
					t.Errorf("why %q, want broken", r.Why)
				}
				spec.First = 6
				if r := run(t, spec); r.Foreign != int64(len(tt.marks)) || r.Received != 0 {
					t.Errorf("of another generation: %+v", r.counts())
				}
			})
		}
	}
}

// TestManyStreams shares connections and gives each stream its own generation.
func TestManyStreams(t *testing.T) {
	const generations, tokens = 3, 400
	at := now(t)
	served, address := serveOn(t, func(req *sauronv1.GenerateRequest, send func(...marker.Mark) error) error {
		g, err := generation(req)
		if err != nil {
			return err
		}
		for s := uint32(1); s <= tokens; s += 200 { // over 16 KiB a message: several DATA frames
			var marks []marker.Mark
			for i := range uint32(200) {
				marks = append(marks, marker.Mark{Generation: g, Sequence: s + i, Time: at()})
			}
			if err := send(marks...); err != nil {
				return err
			}
		}
		return nil
	})
	for conns, calls := range map[int][]int{0: slices.Repeat([]int{1}, 30), 1: {30}, 4: {7, 7, 8, 8}} {
		r := run(t, Spec{Protocol: GRPC, Address: address, Streams: 30, Conns: conns, Generations: generations, Tokens: tokens, Ramp: 50 * time.Millisecond})
		if want := (counts{received: 30 * tokens}); r.counts() != want {
			t.Errorf("%d connections: %+v, %q, want %+v", conns, r.counts(), r.Why, want)
		}
		if l := r.Latency; l.P50 <= 0 || l.P50 > l.P99 || l.P99 > l.Max*101/100 || l.Max > time.Minute {
			t.Errorf("latency %+v", l)
		}
		if got := served.connections(); !slices.Equal(got, calls) {
			t.Errorf("streams on the connections: %v, want %v", got, calls)
		}
		if r.FirstToken.P50 <= 0 || r.Elapsed() <= 0 {
			t.Errorf("first token %+v, elapsed %v", r.FirstToken, r.Elapsed())
		}
	}
}

// TestLatency measures from the mark's time.
func TestLatency(t *testing.T) {
	at := now(t)
	address := serve(t, func(_ *sauronv1.GenerateRequest, send func(...marker.Mark) error) error {
		return send(marker.Mark{Sequence: 1, Time: at() - int64(time.Second)})
	})
	r := run(t, Spec{Protocol: GRPC, Address: address, Streams: 1, Conns: 1, Generations: 1, Tokens: 1})
	if l := r.Latency.P50; l < time.Second || l > 1500*time.Millisecond {
		t.Errorf("latency %v, want a little more than 1s", l)
	}
}

// generation returns which one a request asks for.
func generation(req *sauronv1.GenerateRequest) (g uint32, err error) {
	_, err = fmt.Sscanf(req.GetMessages()[0].GetContent(), "bench generation %d:", &g)
	return g, err
}

// TestStuck leaves one stream without window: the server's sends to it come to a halt,
// the others end, and it is neither counted nor waited for.
func TestStuck(t *testing.T) {
	const (
		tokens = 4000 // far more than 64 KiB, twice
		fits   = 500  // less than 64 KiB
	)
	at := now(t)
	written := [4]int64{int64(time.Minute)} // ago
	var sent atomic.Int64                   // to the stuck stream, which asks for generation 0
	filled := make(chan struct{})
	address := serve(t, func(req *sauronv1.GenerateRequest, send func(...marker.Mark) error) error {
		g, err := generation(req)
		if err != nil {
			return err
		}
		if g > 0 {
			<-filled
		}
		for s := uint32(1); s <= tokens; s++ {
			if err := send(marker.Mark{Generation: g, Sequence: s, Time: at() - written[g]}); err != nil {
				return err
			}
			if g == 0 && sent.Add(1) == fits {
				close(filled)
			}
		}
		return nil
	})
	start := time.Now()
	r := run(t, Spec{Protocol: GRPC, Address: address, Streams: 4, Conns: 1, Generations: 4, Tokens: tokens, Stuck: 1, Limit: time.Minute})
	if want := (counts{received: 3 * tokens}); r.counts() != want {
		t.Errorf("%+v, want %+v", r.counts(), want)
	}
	if got := sent.Load(); got < fits || got == tokens {
		t.Errorf("the stuck stream was sent %d of %d events", got, tokens)
	}
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("it took %v: the stuck stream was waited for", took)
	}
	if r.Latency.Max > 30*time.Second {
		t.Errorf("latency up to %v: the stuck stream was counted", r.Latency.Max)
	}
}

// TestCutOff counts what has not ended in time.
func TestCutOff(t *testing.T) {
	at := now(t)
	stop := make(chan struct{})
	address := serve(t, func(_ *sauronv1.GenerateRequest, send func(...marker.Mark) error) error {
		if err := send(marker.Mark{Sequence: 1, Time: at()}); err != nil {
			return err
		}
		<-stop
		return nil
	})
	defer close(stop)
	r := run(t, Spec{Protocol: GRPC, Address: address, Streams: 2, Conns: 1, Generations: 1, Tokens: 3, Limit: 300 * time.Millisecond})
	if want := (counts{received: 2, lost: 4, failed: 2}); r.counts() != want || r.Why != "cut off" {
		t.Errorf("%+v, %q, want %+v, cut off", r.counts(), r.Why, want)
	}
}

// TestHTTP1 reads event streams, one a connection, and sees a refusal and a cut.
func TestHTTP1(t *testing.T) {
	at := now(t)
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/generate" {
			http.NotFound(w, r)
			return
		}
		w.WriteHeader(http.StatusOK)
		control := http.NewResponseController(w)
		for s := uint32(1); s <= 3; s++ {
			_, _ = fmt.Fprintf(w, "data: %s\n\n", marker.Mark{Sequence: s, Time: at()}.Append(nil))
			_ = control.Flush()
		}
	}))
	defer h.Close()
	spec := Spec{Protocol: HTTP1, Address: strings.TrimPrefix(h.URL, "http://"), Path: "/generate", Body: "%s", Streams: 5, Generations: 1, Tokens: 3}
	if r := run(t, spec); r.counts() != (counts{received: 15}) {
		t.Errorf("%+v, %q, want 15 events", r.counts(), r.Why)
	}
	spec.Path = "/nowhere"
	if r := run(t, spec); r.counts() != (counts{lost: 15, failed: 5}) || !strings.Contains(r.Why, "404") {
		t.Errorf("%+v, %q, want 5 streams failed with 404", r.counts(), r.Why)
	}
}

// TestNobodyThere fails at once.
func TestNobodyThere(t *testing.T) {
	listener := listen(t)
	address := listener.Addr().String()
	_ = listener.Close()
	c, err := clock.New()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, err := Run(ctx, Spec{Protocol: GRPC, Address: address, Streams: 1, Generations: 1, Limit: time.Second}, c, nil); err == nil || ctx.Err() != nil {
		t.Errorf("error %v, context %v, want an error at once", err, ctx.Err())
	}
}
