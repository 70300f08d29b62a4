package prepare_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"pgregory.net/rapid"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
	"github.com/sauron-stream/sauron/manager/prepare"
)

// What belongs to one request does not go upstream, all else does, and the
// caller's message stays as it is.
func TestPrepareKeepsContent(t *testing.T) {
	up := &fakeUpstream{}
	routes := newRoutes(t, []prepare.RouteConfig{{
		Model: "m", Upstream: up, UpstreamName: "up", UpstreamModel: "um",
		Defaults: &sauronv1.Sampling{Temperature: new(0.5)},
	}})
	want := request("m")
	want.Tools = []*sauronv1.Tool{{Name: "f", ParametersJson: `{"a": 1}`, Strict: new(true)}}
	want.ToolChoice = &sauronv1.ToolChoice{Choice: &sauronv1.ToolChoice_Name{Name: "f"}}
	want.ResponseFormat = &sauronv1.ResponseFormat{Format: &sauronv1.ResponseFormat_JsonObject{JsonObject: &sauronv1.JsonObject{}}}
	want.Extensions = &structpb.Struct{Fields: map[string]*structpb.Value{"guided": structpb.NewStringValue("x")}}
	want.IncludeUpstreamExtensions = true
	want.ProtoReflect().SetUnknown([]byte{0xf8, 0x07, 1}) // field 127
	want.Messages[0].ProtoReflect().SetUnknown([]byte{0xf8, 0x07, 2})

	asked := proto.CloneOf(want)
	asked.RequestId = "id"
	asked.Coalescing = sauronv1.Coalescing_COALESCING_REPLAY
	asked.Resume = &sauronv1.ResumePoint{GenerationId: "g"}
	asked.OrphanGrace = durationpb.New(1)
	before := proto.CloneOf(asked)
	want.Sampling = &sauronv1.Sampling{Temperature: new(0.5)}

	streamer, err := resolve(t, routes, "m").Preparer("t", asked).Prepare(t.Context(), "g")
	if err != nil {
		t.Fatalf("Prepare: %v", err)
	}
	if streamer != (fakeStreamer{}) {
		t.Errorf("streamer = %v, want the upstream's", streamer)
	}
	if len(up.requests) != 1 {
		t.Fatalf("%d streamers were made, want 1", len(up.requests))
	}
	if diff := cmp.Diff(want, up.requests[0], protocmp.Transform()); diff != "" {
		t.Errorf("upstream's request (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(before, asked, protocmp.Transform()); diff != "" {
		t.Errorf("the caller's request was changed (-before +after)\n%s", diff)
	}
}

// The model that the upstream is asked for.
func TestUpstreamModel(t *testing.T) {
	for _, tt := range []struct{ name, route, upstream, asked, want string }{
		{"exact", "m", "", "m", "m"},
		{"exact_renamed", "m", "um", "m", "um"},
		{"star", "*", "", "x", "x"},
		{"star_renamed", "*", "um", "x", "um"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			up := &fakeUpstream{}
			routes := newRoutes(t, []prepare.RouteConfig{
				{Model: tt.route, Upstream: up, UpstreamName: "up", UpstreamModel: tt.upstream},
			})
			if _, err := resolve(t, routes, tt.asked).Preparer("t", request(tt.asked)).Prepare(t.Context(), "g"); err != nil {
				t.Fatalf("Prepare: %v", err)
			}
			if want := []string{tt.want}; !slices.Equal(up.models, want) {
				t.Errorf("models = %q, want %q", up.models, want)
			}
			if got := up.requests[0].GetModel(); got != tt.asked {
				t.Errorf("the request's own model = %q, want %q", got, tt.asked)
			}
		})
	}
}

// sampling draws a Sampling with any of its fields set. A field that is added
// later must be drawn too: the test of defaults counts on it.
func sampling(t *rapid.T, label string) *sauronv1.Sampling {
	number := func(name string) *float64 { return rapid.Ptr(rapid.Float64(), true).Draw(t, label+name) }
	count := func(name string) *int32 { return rapid.Ptr(rapid.Int32(), true).Draw(t, label+name) }
	return &sauronv1.Sampling{
		Temperature: number("temperature"), TopP: number("top_p"), MaxTokens: count("max_tokens"),
		Stop: rapid.SliceOfN(rapid.String(), 0, 2).Draw(t, label+"stop"),
		Seed: rapid.Ptr(rapid.Int64(), true).Draw(t, label+"seed"), PresencePenalty: number("presence"),
		FrequencyPenalty: number("frequency"), TopK: count("top_k"),
	}
}

// pick is the rule of defaults, spelled out for one field.
func pick[T any](asked, byDefault *T) *T {
	if asked != nil {
		return asked
	}
	return byDefault
}

// Each field by itself is the request's if it has it, zero or not, and else the
// default.
func TestDefaults(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		defaults, asked := sampling(rt, "default "), sampling(rt, "asked ")
		want := &sauronv1.Sampling{
			Temperature: pick(asked.Temperature, defaults.Temperature), TopP: pick(asked.TopP, defaults.TopP),
			MaxTokens: pick(asked.MaxTokens, defaults.MaxTokens), Stop: asked.Stop,
			Seed: pick(asked.Seed, defaults.Seed), PresencePenalty: pick(asked.PresencePenalty, defaults.PresencePenalty),
			FrequencyPenalty: pick(asked.FrequencyPenalty, defaults.FrequencyPenalty), TopK: pick(asked.TopK, defaults.TopK),
		}
		if len(want.Stop) == 0 {
			want.Stop = defaults.Stop
		}
		if n := want.ProtoReflect().Descriptor().Fields().Len(); n != 8 {
			rt.Fatalf("Sampling has %d fields, this test knows 8", n)
		}

		up := &fakeUpstream{}
		routes := newRoutes(t, []prepare.RouteConfig{{Model: "m", Upstream: up, UpstreamName: "up", Defaults: defaults}})
		req := request("m")
		req.Sampling = asked
		if _, err := resolve(t, routes, "m").Preparer("t", req).Prepare(t.Context(), "g"); err != nil {
			rt.Fatalf("Prepare: %v", err)
		}
		if diff := cmp.Diff(want, up.requests[0].GetSampling(), protocmp.Transform()); diff != "" {
			rt.Fatalf("sampling (-want +got)\n%s", diff)
		}
	})
}

// Without defaults, sampling that is absent stays so.
func TestNoDefaults(t *testing.T) {
	up := &fakeUpstream{}
	routes := newRoutes(t, []prepare.RouteConfig{{Model: "m", Upstream: up, UpstreamName: "up"}})
	if _, err := resolve(t, routes, "m").Preparer("t", request("m")).Prepare(t.Context(), "g"); err != nil {
		t.Fatalf("Prepare: %v", err)
	}
	if up.requests[0].Sampling != nil {
		t.Errorf("sampling = %v, want none", up.requests[0].Sampling)
	}
}

// Defaults are not shared between generations: what changes one's request does
// not change another's.
func TestDefaultsAreCopied(t *testing.T) {
	up := &fakeUpstream{}
	routes := newRoutes(t, []prepare.RouteConfig{
		{Model: "m", Upstream: up, UpstreamName: "up", Defaults: &sauronv1.Sampling{Stop: []string{"a"}}},
	})
	for range 2 {
		if _, err := resolve(t, routes, "m").Preparer("t", request("m")).Prepare(t.Context(), "g"); err != nil {
			t.Fatalf("Prepare: %v", err)
		}
		if s := up.requests[len(up.requests)-1].GetSampling().GetStop(); s[0] != "a" {
			t.Fatalf("stop = %q, want the default", s)
		} else {
			s[0] = "changed"
		}
	}
}

// A generation that was ended before it was prepared is not prepared.
func TestContextEndedBefore(t *testing.T) {
	up := &fakeUpstream{}
	routes := newRoutes(t, []prepare.RouteConfig{{Model: "m", Upstream: up, UpstreamName: "up"}})
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errGone)
	_, err := resolve(t, routes, "m").Preparer("t", request("m")).Prepare(ctx, "g")
	if !errors.Is(err, errGone) || len(up.requests) != 0 {
		t.Errorf("error = %v, %d streamers; want %v and none", err, len(up.requests), errGone)
	}
}
