package client_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"
	"pgregory.net/rapid"

	"github.com/sauron-stream/sauron/client"
	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

var whole = []*sauronv1.Event{started("g"), stage(1), text(2, "a"), text(3, "b"), finished(4, completed)}

func checkEvents(t *testing.T, got, want []*sauronv1.Event) {
	t.Helper()
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// A whole answer is one stream. A request id is made where there is none.
func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, func(s *stream) error { return s.send(whole...) })
		req := request()
		req.RequestId = ""
		var events []*sauronv1.Event
		for e, err := range client.New(f.conn).Events(t.Context(), req) {
			if err != nil {
				t.Fatal(err)
			}
			events = append(events, e)
		}
		checkEvents(t, events, whole)
		requests, cancels := f.seen()
		if len(requests) != 1 || requests[0].GetRequestId() == "" || len(cancels) != 0 {
			t.Errorf("requests %v, cancels %v, want one with an id and none", requests, cancels)
		}
		if req.GetRequestId() != "" {
			t.Error("the caller's request was changed")
		}
	})
}

// What ends a stream but not the generation: the client goes on after its last event,
// with the same request, and hands out nothing twice.
func TestResumes(t *testing.T) {
	tests := []struct {
		name string
		err  error // nil: the stream ends OK without Finished
	}{
		{"connection", status.Error(codes.Unavailable, "error reading from server: EOF")},
		{"reset", status.Error(codes.Internal, "stream terminated by RST_STREAM")},
		{"proxy", status.Error(codes.Unknown, "unexpected HTTP status code 502")},
		{"proxy_reset", status.Error(codes.Canceled, "stream terminated by RST_STREAM")},
		{"drain", failure(codes.Unavailable, "DRAINING", 0)},
		{"slow", failure(codes.Aborted, "SLOW_CONSUMER", 0)},
		{"cut", nil},
		{"proxy_retry_info", failure(codes.Unavailable, "", time.Second)}, // no reason: not the service's word
		{"proxy_reason", foreignFailure(codes.Unavailable, "UPSTREAM_BROKEN")},
		{"proxy_aborts", status.Error(codes.Aborted, "no")},
		{"proxy_closes", status.Error(codes.Canceled, "grpc: the client connection is closing")},
	}
	for _, tt := range tests {
		for _, repeat := range []int{0, 1, 3} { // entries that a server sends again
			t.Run(fmt.Sprintf("%s/%d", tt.name, repeat), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := serve(t, func(s *stream) error {
						if s.try == 1 {
							_ = s.send(whole[:4]...)
							return tt.err
						}
						return errors.Join(s.send(started("g")), s.send(whole[4-repeat:]...))
					})
					events, err := f.read(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					checkEvents(t, events, whole)
					again := request()
					again.Resume = &sauronv1.ResumePoint{GenerationId: "g", AfterSequence: 3}
					requests, cancels := f.seen()
					want := []*sauronv1.GenerateRequest{request(), again}
					if diff := cmp.Diff(want, requests, protocmp.Transform()); diff != "" || len(cancels) != 0 {
						t.Errorf("cancels %v, requests (-want +got):\n%s", cancels, diff)
					}
				})
			})
		}
	}
}

// A stream that was lost before the server had said anything is asked for again as it
// was, under the same id.
func TestLostBeforeTheFirstEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, func(s *stream) error {
			if s.try == 1 {
				return status.Error(codes.Unavailable, "lost")
			}
			return s.send(whole...)
		})
		events, err := f.read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		checkEvents(t, events, whole)
		requests, _ := f.seen()
		if diff := cmp.Diff([]*sauronv1.GenerateRequest{request(), request()}, requests, protocmp.Transform()); diff != "" {
			t.Errorf("requests (-want +got):\n%s", diff)
		}
	})
}

// The answer was whole; only its status was lost.
func TestLostAfterTheLastEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, func(s *stream) error {
			return errors.Join(s.send(whole...), status.Error(codes.Unavailable, "lost"))
		})
		events, err := f.read(t.Context())
		if requests, _ := f.seen(); err != nil || len(requests) != 1 {
			t.Errorf("error %v after %d requests, want none after 1", err, len(requests))
		}
		checkEvents(t, events, whole)
	})
}

// What the generation or the request is to blame for is told at once.
func TestFinalErrors(t *testing.T) {
	tests := []struct {
		code   codes.Code
		reason string
		retry  time.Duration
	}{
		{codes.Unavailable, "UPSTREAM_BROKEN", 0},
		{codes.Unavailable, "UPSTREAM_STALLED", 0},
		{codes.Unavailable, "UPSTREAM_UNAVAILABLE", 0},
		{codes.InvalidArgument, "CONTEXT_LENGTH_EXCEEDED", 0},
		{codes.FailedPrecondition, "RESUME_MISMATCH", 0},
		{codes.OutOfRange, "RESUME_OUT_OF_RANGE", 0},
		{codes.ResourceExhausted, "UPSTREAM_RATE_LIMITED", time.Second}, // a part of the answer is out
		{codes.InvalidArgument, "", 0},
		{codes.DeadlineExceeded, "", 0},
		{codes.NotFound, "MODEL_NOT_FOUND", 0},
		{codes.ResourceExhausted, "", 0},
		{codes.ResourceExhausted, "", time.Second},
		{codes.Unimplemented, "", 0},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.code, tt.reason, tt.retry), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := serve(t, func(s *stream) error {
					return errors.Join(s.send(whole[:3]...), failure(tt.code, tt.reason, tt.retry))
				})
				events, err := f.read(t.Context())
				if status.Code(err) != tt.code || client.Reason(err) != tt.reason {
					t.Errorf("error %v, want %v %s", err, tt.code, tt.reason)
				}
				checkEvents(t, events, whole[:3])
				if requests, _ := f.seen(); len(requests) != 1 {
					t.Errorf("%d requests, want 1", len(requests))
				}
			})
		})
	}
}

// A generation that is gone is begun anew if nothing of its answer is out; after that
// nothing else may follow.
func TestGone(t *testing.T) {
	gone := failure(codes.FailedPrecondition, "GENERATION_GONE", 0)
	other := []*sauronv1.Event{started("h"), stage(1), text(2, "other"), finished(3, completed)}
	for answered, want := range map[bool][]*sauronv1.Event{
		false: append(slices.Clone(whole[:2]), other...),
		true:  whole[:3],
	} {
		t.Run(fmt.Sprint(answered), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := serve(t, func(s *stream) error {
					switch {
					case s.try == 1 && answered:
						return errors.Join(s.send(whole[:3]...), status.Error(codes.Unavailable, "lost"))
					case s.try == 1:
						return errors.Join(s.send(whole[:2]...), status.Error(codes.Unavailable, "lost"))
					case s.req.GetResume() != nil:
						return gone
					}
					return s.send(other...)
				})
				events, err := f.read(t.Context())
				if got := client.Reason(err) == "GENERATION_GONE"; got != answered {
					t.Errorf("error %v", err)
				}
				checkEvents(t, events, want)
			})
		})
	}
}

// A resume that is refused for a while finds the same generation again, from its first
// event.
func TestRefusedResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, func(s *stream) error {
			switch s.try {
			case 1:
				return errors.Join(s.send(whole[:2]...), status.Error(codes.Unavailable, "lost"))
			case 2:
				return failure(codes.ResourceExhausted, "SERVER_BUSY", time.Second)
			}
			return s.send(whole...)
		})
		events, err := f.read(t.Context())
		if err != nil {
			t.Errorf("error %v, want none", err)
		}
		checkEvents(t, events, slices.Concat(whole[:2], whole))
	})
}

// A resume point of the caller's own is where the iteration begins, with Started. At the
// last event of the log that is the end again.
func TestCallersOwnPlace(t *testing.T) {
	for after := range int64(5) {
		t.Run(fmt.Sprint(after), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				beyond := whole[min(after+1, 4):]
				f := serve(t, func(s *stream) error {
					if s.try == 1 {
						return errors.Join(s.send(started("g")), status.Error(codes.Unavailable, "lost"))
					}
					return errors.Join(s.send(started("g")), s.send(beyond...))
				})
				req := request()
				req.Resume = &sauronv1.ResumePoint{GenerationId: "g", AfterSequence: after}
				var events []*sauronv1.Event
				for e, err := range client.New(f.conn).Events(t.Context(), req) {
					if err != nil {
						t.Fatal(err)
					}
					events = append(events, e)
				}
				checkEvents(t, events, append([]*sauronv1.Event{started("g")}, beyond...))
			})
		})
	}
}

// A resume point of the caller's own stands for an answer that has begun.
func TestCallersResumePoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, func(*stream) error { return failure(codes.FailedPrecondition, "GENERATION_GONE", 0) })
		req := request()
		req.Resume = &sauronv1.ResumePoint{GenerationId: "g", AfterSequence: 2}
		for _, err := range client.New(f.conn).Text(t.Context(), req) {
			if client.Reason(err) != "GENERATION_GONE" {
				t.Errorf("error %v", err)
			}
		}
		if requests, _ := f.seen(); len(requests) != 1 {
			t.Errorf("%d requests, want 1", len(requests))
		}
	})
}

// Text ends well only with a whole answer.
func TestText(t *testing.T) {
	for _, tt := range []struct {
		name   string
		script func(*stream) error
		want   error
	}{
		{"whole", func(s *stream) error { return s.send(whole...) }, nil},
		{"cancelled", func(s *stream) error { return s.send(append(slices.Clone(whole[:4]), finished(0, cancelled))...) }, client.ErrCancelled},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := serve(t, tt.script)
				got, err := "", error(nil)
				for text, e := range client.New(f.conn).Text(t.Context(), request()) {
					got += text
					if err = e; text == "" && e == nil {
						t.Error("an event without text is yielded")
					}
				}
				if got != "ab" || !errors.Is(err, tt.want) {
					t.Errorf("%q and %v, want \"ab\" and %v", got, err, tt.want)
				}
			})
		})
	}
}

// However a log is cut into streams and repeated, what is handed out is the log, once
// and in order.
func TestCuts(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		length := rapid.IntRange(1, 30).Draw(rt, "length")
		cuts := rapid.SliceOfN(rapid.IntRange(0, length), 0, 10).Draw(rt, "cuts")
		overlap := rapid.SliceOfN(rapid.IntRange(0, 5), 11, 11).Draw(rt, "overlap")
		batch := rapid.IntRange(1, 5).Draw(rt, "batch")
		var log []*sauronv1.Event
		for i := range length {
			log = append(log, text(int64(i+1), fmt.Sprint(i)))
		}
		log = append(log, finished(int64(length+1), completed))

		var got []*sauronv1.Event
		var err error
		synctest.Test(t, func(t *testing.T) {
			f := serve(t, func(s *stream) error {
				from := max(0, int(s.req.GetResume().GetAfterSequence())-overlap[min(s.try, 10)])
				to := len(log)
				if s.try <= len(cuts) {
					to = min(from+cuts[s.try-1], len(log)-1)
				}
				if err := s.send(started("g")); err != nil {
					return err
				}
				for run := range slices.Chunk(log[from:max(from, to)], batch) {
					if err := s.send(run...); err != nil {
						return err
					}
				}
				if s.try <= len(cuts) {
					return status.Error(codes.Unavailable, "lost")
				}
				return nil
			})
			got, err = f.read(t.Context(), client.WithBudget(time.Hour))
		})
		if diff := cmp.Diff(append([]*sauronv1.Event{started("g")}, log...), got, protocmp.Transform()); diff != "" || err != nil {
			rt.Fatalf("error %v, events (-want +got):\n%s", err, diff)
		}
	})
}

// With the service config, gRPC itself heals what is refused before headers, and comes
// back when the server says.
func TestRetryServiceConfig(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, func(s *stream) error {
			if s.try < 4 {
				s.SetTrailer(metadata.Pairs("grpc-retry-pushback-ms", "700"))
				return failure([]codes.Code{0, codes.ResourceExhausted, codes.Unavailable, codes.ResourceExhausted}[s.try], "", 0)
			}
			return s.send(whole...)
		}, client.DialOptions()...)
		stream, err := sauronv1.NewGenerationServiceClient(f.conn).Generate(t.Context(), request())
		if err != nil {
			t.Fatal(err)
		}
		for err == nil {
			_, err = stream.Recv()
		}
		if !errors.Is(err, io.EOF) || len(f.times) != 4 {
			t.Fatalf("%v after %d tries, want the end after 4", err, len(f.times))
		}
		for i := range 3 {
			if wait := f.times[i+1].Sub(f.times[i]); wait != 700*time.Millisecond {
				t.Errorf("try %d came after %v, want 700ms", i+2, wait)
			}
		}
	})
}

// gRPC keeps large requests too, to send them again.
func TestLargeRequestIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, func(s *stream) error {
			if s.try < 3 {
				s.SetTrailer(metadata.Pairs("grpc-retry-pushback-ms", "700"))
				return status.Error(codes.ResourceExhausted, "full")
			}
			return s.send(whole...)
		}, client.DialOptions()...)
		req := request()
		req.Messages[0].Content = strings.Repeat("x", 3<<20)
		retries := 0
		for _, err := range client.New(f.conn, client.WithRetryHook(func(client.Retry) { retries++ })).Events(t.Context(), req) {
			if err != nil {
				t.Fatal(err)
			}
		}
		if len(f.times) != 3 || retries > 0 {
			t.Errorf("%d tries, %d of them the client's, want 3 of gRPC's", len(f.times), retries)
		}
	})
}

// README and the examples show the service config that DialOptions has.
func TestServiceConfigIsShown(t *testing.T) {
	var want any
	if err := json.Unmarshal([]byte(client.RetryServiceConfig), &want); err != nil {
		t.Fatal(err)
	}
	for _, in := range []struct{ file, before, after string }{
		{"../README.md", "```json\n", "```"},
		{"../examples/python/client.py", `SERVICE_CONFIG = """`, `"""`},
		{"../examples/typescript/client.ts", "\"grpc.service_config\": `", "`"},
	} {
		text, err := os.ReadFile(in.file)
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(text), in.before)
		shown, _, _ := strings.Cut(rest, in.after)
		var got any
		if err := json.Unmarshal([]byte(shown), &got); err != nil {
			t.Errorf("%s: %v", in.file, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", in.file, diff)
		}
	}
}
