package prepare_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
	"github.com/sauron-stream/sauron/manager/fault"
	"github.com/sauron-stream/sauron/manager/prepare"
)

var (
	errGone        = errors.New("nobody is left")
	errUnavailable = status.Error(codes.Unavailable, "secret prompt")
)

// prepareOnce prepares one generation of a route with the hook h.
func prepareOnce(ctx context.Context, t *testing.T, h *fakeHook, up *fakeUpstream, timeout time.Duration) error {
	t.Helper()
	cfg := hooked(up)
	cfg.Hook.Timeout = timeout
	routes := newRoutes(t, []prepare.RouteConfig{cfg}, serve(t, h).dialer())
	_, err := resolve(t, routes, "m").Preparer("t", request("m")).Prepare(ctx, "g")
	return err
}

// checkFailed checks that err is PREPARE_FAILED of that kind and holds none of
// the hook's words.
func checkFailed(t *testing.T, err error, kind fault.Kind) {
	t.Helper()
	f, ok := errors.AsType[*fault.Error](err)
	if !ok {
		t.Fatalf("error = %v, want a fault", err)
	}
	if f.Reason != fault.PrepareFailed || f.Kind != kind || f.RetryAfter != 0 || f.Metadata != nil {
		t.Errorf("fault = %+v, want PREPARE_FAILED of kind %v alone", f, kind)
	}
	for cause := err; cause != nil; cause = errors.Unwrap(cause) {
		if strings.Contains(cause.Error(), "secret") {
			t.Errorf("the log would be told %q", cause)
		}
	}
	if _, ok := status.FromError(f.Err); ok {
		t.Errorf("cause %v is a status: the server might pass it on", f.Err)
	}
}

// The hook sees the request with its defaults, the tenant and the generation,
// once, and its answer is what the upstream is asked.
func TestHook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := request("m")
		answer.Messages = append(answer.Messages, &sauronv1.Message{Role: sauronv1.Role_ROLE_USER, Content: "retrieved"})
		answer.ProtoReflect().SetUnknown([]byte{0xf8, 0x07, 1}) // field 127
		h := &fakeHook{answer: func(context.Context, int, *sauronv1.PrepareRequest) (*sauronv1.PrepareResponse, error) {
			a := proto.CloneOf(answer)
			a.RequestId, a.Coalescing = "id", sauronv1.Coalescing_COALESCING_OFF
			a.Resume, a.OrphanGrace = &sauronv1.ResumePoint{}, &durationpb.Duration{}
			return &sauronv1.PrepareResponse{Request: a}, nil
		}}
		up := &fakeUpstream{}
		cfg := hooked(up)
		cfg.UpstreamModel = "um"
		cfg.Defaults = &sauronv1.Sampling{TopK: new(int32(3))}
		routes := newRoutes(t, []prepare.RouteConfig{cfg}, serve(t, h).dialer())

		asked := request("m")
		asked.RequestId = "id"
		if _, err := resolve(t, routes, "m").Preparer("tenant", asked).Prepare(t.Context(), "g"); err != nil {
			t.Fatalf("Prepare: %v", err)
		}
		seen := request("m")
		seen.Sampling = cfg.Defaults
		want := []*sauronv1.PrepareRequest{{Tenant: "tenant", GenerationId: "g", Request: seen}}
		if diff := cmp.Diff(want, h.calls(), protocmp.Transform()); diff != "" {
			t.Errorf("hook's calls (-want +got)\n%s", diff)
		}
		// Not the defaults: the hook has left them out.
		if diff := cmp.Diff([]*sauronv1.GenerateRequest{answer}, up.requests, protocmp.Transform()); diff != "" {
			t.Errorf("upstream's requests (-want +got)\n%s", diff)
		}
		if want := []string{"um"}; !slices.Equal(up.models, want) {
			t.Errorf("models = %q, want %q", up.models, want)
		}
	})
}

// Nothing that is in the context as metadata goes to the hook.
func TestHookSeesNoMetadata(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &fakeHook{answer: echo}
		md := metadata.Pairs("authorization", "secret")
		ctx := metadata.NewOutgoingContext(metadata.NewIncomingContext(t.Context(), md), md)
		ctx = metadata.AppendToOutgoingContext(ctx, "x-more", "secret")
		if err := prepareOnce(ctx, t, h, &fakeUpstream{}, 0); err != nil {
			t.Fatalf("Prepare: %v", err)
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		if len(h.metadata) != 1 {
			t.Fatalf("%d calls, want 1", len(h.metadata))
		}
		for key := range h.metadata[0] {
			switch key {
			case ":authority", "content-type", "user-agent", "grpc-accept-encoding":
			default:
				t.Errorf("the hook saw %s", key)
			}
		}
	})
}

// Four codes are passed on, all others are UNAVAILABLE; one call each, but for
// UNAVAILABLE.
func TestHookErrors(t *testing.T) {
	passedOn := map[codes.Code]fault.Kind{
		codes.InvalidArgument:   fault.Invalid,
		codes.PermissionDenied:  fault.Denied,
		codes.NotFound:          fault.NotFound,
		codes.ResourceExhausted: fault.Exhausted,
	}
	for code := codes.Canceled; code <= codes.Unauthenticated; code++ {
		t.Run(code.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				kind, calls := passedOn[code], 1 // the zero Kind is Unavailable
				if code == codes.Unavailable {
					calls = 2
				}
				h, up := &fakeHook{answer: failing(status.Error(code, "secret prompt"))}, &fakeUpstream{}
				err := prepareOnce(t.Context(), t, h, up, 0)
				checkFailed(t, err, kind)
				if want := fmt.Sprintf("PREPARE_FAILED: prepare hook: %v", code); err.Error() != want {
					t.Errorf("error = %q, want %q", err, want)
				}
				if got := len(h.calls()); got != calls {
					t.Errorf("%d calls, want %d", got, calls)
				}
				if len(up.requests) != 0 {
					t.Errorf("the upstream was asked %v", up.requests)
				}
			})
		})
	}
}

// An unavailable hook is called a second time after a short pause, with the same
// request, and the log says so without a word of the hook's.
func TestHookRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &fakeHook{answer: func(ctx context.Context, call int, req *sauronv1.PrepareRequest) (*sauronv1.PrepareResponse, error) {
			if call == 1 {
				return nil, errUnavailable
			}
			return echo(ctx, call, req)
		}}
		var log bytes.Buffer
		up := &fakeUpstream{}
		routes, err := prepare.NewDialed([]prepare.RouteConfig{hooked(up)}, nil, slog.New(slog.NewTextHandler(&log, nil)), serve(t, h).dialer())
		if err != nil {
			t.Fatalf("New: %v", err)
		}
		defer routes.Close()

		start := time.Now()
		if _, err := resolve(t, routes, "m").Preparer("t", request("m")).Prepare(t.Context(), "g-1"); err != nil {
			t.Fatalf("Prepare: %v", err)
		}
		if d := time.Since(start); d < 100*time.Millisecond || d >= 200*time.Millisecond {
			t.Errorf("took %v, want the pause of 100 to 200 ms", d)
		}
		calls := h.calls()
		if len(calls) != 2 || !proto.Equal(calls[0], calls[1]) {
			t.Errorf("calls = %v, want the same twice", calls)
		}
		if len(up.requests) != 1 {
			t.Errorf("the upstream was asked %d times, want 1", len(up.requests))
		}
		got := log.String()
		if strings.Count(got, "\n") != 1 || !strings.Contains(got, "level=WARN") || !strings.Contains(got, "route=m") ||
			!strings.Contains(got, "generation_id=g-1") || strings.Contains(got, "secret") {
			t.Errorf("log = %q, want one warning that names the route and the generation", got)
		}
	})
}

// A configResolver resolves to one address, with a service config that retries
// calls.
type configResolver struct{}

func (configResolver) Scheme() string { return "passthrough" }

func (configResolver) Build(_ resolver.Target, cc resolver.ClientConn, _ resolver.BuildOptions) (resolver.Resolver, error) {
	config := cc.ParseServiceConfig(`{"methodConfig": [{"name": [{}], "retryPolicy": {"maxAttempts": 5,
		"initialBackoff": "0.01s", "maxBackoff": "0.01s", "backoffMultiplier": 1, "retryableStatusCodes": ["UNAVAILABLE"]}}]}`)
	if config.Err != nil {
		return nil, config.Err
	}
	return configResolver{}, cc.UpdateState(resolver.State{
		Endpoints: []resolver.Endpoint{{Addresses: []resolver.Address{{Addr: "hook"}}}}, ServiceConfig: config,
	})
}

func (configResolver) ResolveNow(resolver.ResolveNowOptions) {}

func (configResolver) Close() {}

// A service config that comes with the address does not multiply the calls.
func TestServiceConfigIsIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &fakeHook{answer: failing(errUnavailable)}
		routes := newRoutes(t, []prepare.RouteConfig{hooked(&fakeUpstream{})}, serve(t, h).dialer(), grpc.WithResolvers(configResolver{}))
		_, err := resolve(t, routes, "m").Preparer("t", request("m")).Prepare(t.Context(), "g")
		checkFailed(t, err, fault.Unavailable)
		if got := len(h.calls()); got != 2 {
			t.Errorf("%d calls, want 2", got)
		}
	})
}

// A hook that cannot be reached at first is reached by the second call: gRPC's
// own pause between connections is shorter than the retry's.
func TestHookComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, up := &fakeHook{answer: echo}, &fakeUpstream{}
		net := serve(t, h)
		net.refuse.Store(1)
		routes := newRoutes(t, []prepare.RouteConfig{hooked(up)}, net.dialer())
		if _, err := resolve(t, routes, "m").Preparer("t", request("m")).Prepare(t.Context(), "g"); err != nil {
			t.Errorf("Prepare: %v", err)
		}
		if calls, dials := len(h.calls()), net.dials.Load(); calls != 1 || dials != 2 {
			t.Errorf("%d calls over %d dials, want 1 over 2", calls, dials)
		}
	})
}

// A hook that was down for long is connected to again within seconds, without a
// failed call in between.
func TestHookComesBackLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &fakeHook{answer: echo}
		net := serve(t, h)
		net.refuse.Store(1 << 40)
		routes := newRoutes(t, []prepare.RouteConfig{hooked(&fakeUpstream{})}, net.dialer())
		p := resolve(t, routes, "m").Preparer("t", request("m"))
		_, err := p.Prepare(t.Context(), "g-1")
		checkFailed(t, err, fault.Unavailable)

		time.Sleep(20 * time.Minute) // in the bubble; less than what makes gRPC forget its pauses
		net.refuse.Store(0)
		time.Sleep(6 * time.Second) // the longest pause between connections, with its jitter
		start := time.Now()
		if _, err := p.Prepare(t.Context(), "g-2"); err != nil || time.Since(start) != 0 || len(h.calls()) != 1 {
			t.Errorf("error = %v in %v after %d calls, want none at once after 1", err, time.Since(start), len(h.calls()))
		}
	})
}

// A hook that is down fails the generation soon, not at the timeout.
func TestHookDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := serve(t, &fakeHook{answer: echo})
		net.refuse.Store(1000)
		routes := newRoutes(t, []prepare.RouteConfig{hooked(&fakeUpstream{})}, net.dialer())
		start := time.Now()
		_, err := resolve(t, routes, "m").Preparer("t", request("m")).Prepare(t.Context(), "g")
		checkFailed(t, err, fault.Unavailable)
		if d := time.Since(start); d >= 200*time.Millisecond {
			t.Errorf("took %v, want less than the pause of 200 ms", d)
		}
	})
}

// silent answers no call before its context ends.
func silent(ctx context.Context, _ int, _ *sauronv1.PrepareRequest) (*sauronv1.PrepareResponse, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// The timeout bounds a preparation, with the retry in it.
func TestHookTimeout(t *testing.T) {
	unavailableThenSilent := func(ctx context.Context, call int, req *sauronv1.PrepareRequest) (*sauronv1.PrepareResponse, error) {
		if call == 1 {
			return nil, errUnavailable
		}
		return silent(ctx, call, req)
	}
	for _, tt := range []struct {
		name    string
		answer  func(context.Context, int, *sauronv1.PrepareRequest) (*sauronv1.PrepareResponse, error)
		timeout time.Duration
		took    time.Duration
		calls   int
	}{
		{"default", silent, 0, 10 * time.Second, 1},
		{"own", silent, 3 * time.Second, 3 * time.Second, 1},
		{"in_the_retry", unavailableThenSilent, 3 * time.Second, 3 * time.Second, 2},
		{"in_the_pause", failing(errUnavailable), 50 * time.Millisecond, 50 * time.Millisecond, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &fakeHook{answer: tt.answer}
				start := time.Now()
				err := prepareOnce(t.Context(), t, h, &fakeUpstream{}, tt.timeout)
				took := time.Since(start)
				checkFailed(t, err, fault.Unavailable)
				if calls := len(h.calls()); took != tt.took || calls != tt.calls {
					t.Errorf("%d calls in %v, want %d in %v", calls, took, tt.calls, tt.took)
				}
			})
		})
	}
}

// When the generation ends, so does its preparing, at once and for that reason,
// and the hook is told.
func TestHookContextEnds(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer func(context.Context, int, *sauronv1.PrepareRequest) (*sauronv1.PrepareResponse, error)
		after  time.Duration
	}{
		{"in_the_call", silent, time.Second},
		{"in_the_pause", failing(errUnavailable), 50 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(tt.after, func() { cancel(errGone) })
				h := &fakeHook{answer: tt.answer}
				start := time.Now()
				err := prepareOnce(ctx, t, h, &fakeUpstream{}, 0)
				if took := time.Since(start); !errors.Is(err, errGone) || took != tt.after || len(h.calls()) != 1 {
					t.Errorf("error = %v in %v after %d calls, want %v in %v after 1", err, took, len(h.calls()), errGone, tt.after)
				}
				synctest.Wait() // a hook that was not told would hang in the bubble's end
			})
		})
	}
}

// A route that fixes the model refuses a hook that changes it; one that passes
// on the caller's takes it.
func TestHookModel(t *testing.T) {
	for _, tt := range []struct {
		name, route, upstream, answer string
		want                          string // empty: refused
	}{
		{"exact_same", "m", "", "m", "m"},
		{"exact_changed", "m", "", "other", ""},
		{"exact_renamed", "m", "um", "um", ""},
		{"exact_empty", "m", "", "", "m"},
		{"star_same", "*", "", "m", "m"},
		{"star_changed", "*", "", "other", "other"},
		{"star_empty", "*", "", "", "m"},
		{"star_renamed_same", "*", "um", "m", "um"},
		{"star_renamed_changed", "*", "um", "other", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &fakeHook{answer: func(_ context.Context, _ int, req *sauronv1.PrepareRequest) (*sauronv1.PrepareResponse, error) {
					req.Request.Model = tt.answer
					return &sauronv1.PrepareResponse{Request: req.GetRequest()}, nil
				}}
				up := &fakeUpstream{}
				cfg := hooked(up)
				cfg.Model, cfg.UpstreamModel = tt.route, tt.upstream
				routes := newRoutes(t, []prepare.RouteConfig{cfg}, serve(t, h).dialer())
				_, err := resolve(t, routes, "m").Preparer("t", request("m")).Prepare(t.Context(), "g")
				if tt.want == "" {
					checkFailed(t, err, fault.Unavailable)
					return
				}
				if want := []string{tt.want}; err != nil || !slices.Equal(up.models, want) {
					t.Errorf("models = %q, error = %v; want %q", up.models, err, want)
				}
			})
		})
	}
}

// An answer without a request breaks the contract.
func TestHookWithoutRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &fakeHook{answer: func(context.Context, int, *sauronv1.PrepareRequest) (*sauronv1.PrepareResponse, error) {
			return &sauronv1.PrepareResponse{}, nil
		}}
		err := prepareOnce(t.Context(), t, h, &fakeUpstream{}, 0)
		checkFailed(t, err, fault.Unavailable)
		if !strings.Contains(err.Error(), "no request") {
			t.Errorf("error = %v, want it to say that there is no request", err)
		}
		if got := len(h.calls()); got != 1 {
			t.Errorf("%d calls, want 1", got)
		}
	})
}

// An answer that is not valid is the hook's mistake, not the caller's: whatever
// the validation's error is, only its text is kept.
func TestHookAnswerIsValidated(t *testing.T) {
	for _, invalid := range []error{
		errors.New("messages: none"),
		status.Error(codes.InvalidArgument, "messages: none"),
		fault.New(fault.ModelNotFound, errors.New("messages: none")),
	} {
		t.Run(fmt.Sprintf("%T", invalid), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &fakeHook{answer: func(_ context.Context, _ int, req *sauronv1.PrepareRequest) (*sauronv1.PrepareResponse, error) {
					req.Request.Messages = nil
					req.Request.RequestId = "not this request's affair"
					return &sauronv1.PrepareResponse{Request: req.GetRequest()}, nil
				}}
				validate := func(r *sauronv1.GenerateRequest) error {
					if r.GetRequestId() != "" {
						t.Errorf("validated request id %q, want it cleared", r.GetRequestId())
					}
					if len(r.GetMessages()) == 0 {
						return invalid
					}
					return nil
				}
				up := &fakeUpstream{}
				routes, err := prepare.NewDialed([]prepare.RouteConfig{hooked(up)}, validate, nil, serve(t, h).dialer())
				if err != nil {
					t.Fatalf("New: %v", err)
				}
				defer routes.Close()
				_, err = resolve(t, routes, "m").Preparer("t", request("m")).Prepare(t.Context(), "g")
				checkFailed(t, err, fault.Unavailable)
				if !strings.Contains(err.Error(), "messages: none") || len(up.requests) != 0 {
					t.Errorf("error = %v, upstream asked %d times; want the rule and 0", err, len(up.requests))
				}
			})
		})
	}
}

// Large prompts go both ways; an answer over the limit is what gRPC says it is.
func TestHookSizes(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer int // bytes
		fails  bool
	}{
		{"large", 15 << 20, false},
		{"too_large", 17 << 20, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &fakeHook{answer: func(_ context.Context, _ int, req *sauronv1.PrepareRequest) (*sauronv1.PrepareResponse, error) {
					req.Request.Messages[0].Content = strings.Repeat("x", tt.answer)
					return &sauronv1.PrepareResponse{Request: req.GetRequest()}, nil
				}}
				up := &fakeUpstream{}
				routes := newRoutes(t, []prepare.RouteConfig{hooked(up)}, serve(t, h).dialer())
				req := request("m")
				req.Messages[0].Content = strings.Repeat("y", 6<<20)
				_, err := resolve(t, routes, "m").Preparer("t", req).Prepare(t.Context(), "g")
				if len(h.calls()) != 1 {
					t.Fatalf("%d calls, want 1", len(h.calls()))
				}
				if tt.fails {
					checkFailed(t, err, fault.Exhausted)
					return
				}
				if err != nil || len(up.requests[0].GetMessages()[0].GetContent()) != tt.answer {
					t.Errorf("error = %v, want an answer of %d bytes", err, tt.answer)
				}
			})
		})
	}
}
