package sim_test

import (
	"errors"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/structpb"
	"pgregory.net/rapid"

	"github.com/sauron-stream/sauron/manager/fault"
	"github.com/sauron-stream/sauron/manager/upstream/sim"
)

// Each member overrides the configuration, and nothing but its own setting.
func TestExtensionOverrides(t *testing.T) {
	for _, tt := range []struct {
		name   string
		ext    map[string]any
		tokens int
		last   time.Duration // of the last event
	}{
		{"nothing", map[string]any{}, 4, 260 * time.Millisecond},
		{"tokens", map[string]any{"tokens": 6}, 6, 300 * time.Millisecond},
		{"first_token", map[string]any{"first_token": "1s"}, 4, 1060 * time.Millisecond},
		{"inter_token", map[string]any{"inter_token": "0s"}, 4, 200 * time.Millisecond},
		{"all", map[string]any{"tokens": 2, "first_token": "50ms", "inter_token": "5ms"}, 2, 55 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got := collect(t.Context(), t, newSim(t, paced()).Streamer(withExtension(t, tt.ext), "m"))
				_, tokens, _ := got.text()
				if got.err != nil || tokens != tt.tokens || got.at[len(got.at)-1] != tt.last {
					t.Errorf("%d tokens at %v, %v; want %d until %v", tokens, got.at, got.err, tt.tokens, tt.last)
				}
			})
		})
	}
}

// A request may ask for a fault, for the details of the configured one, or for
// none.
func TestExtensionOverridesFault(t *testing.T) {
	configured := sim.Fault{Kind: sim.FaultError, Status: 503, RetryAfter: time.Second, AfterTokens: 1}
	unavailable := func(s string) fault.Error {
		return fault.Error{Reason: fault.UpstreamUnavailable, Metadata: status(s)}
	}
	limited := func(after time.Duration) fault.Error {
		return fault.Error{Kind: fault.Exhausted, Reason: fault.UpstreamRateLimited, RetryAfter: after}
	}
	for _, tt := range []struct {
		name   string
		ext    map[string]any
		want   fault.Error
		tokens int
	}{
		{"configured", map[string]any{}, unavailable("503"), 0},
		{"status", map[string]any{"status": 502}, unavailable("502"), 0},
		{"kind", map[string]any{"fault": "rate_limit"}, limited(time.Second), 0},
		{"retry_after", map[string]any{"fault": "rate_limit", "retry_after": "2s"}, limited(2 * time.Second), 0},
		{"after_configured", map[string]any{"fault": "garbage"}, fault.Error{Reason: fault.UpstreamBroken}, 1},
		{"after_tokens", map[string]any{"fault": "break", "after_tokens": 3}, fault.Error{Reason: fault.UpstreamBroken}, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := config()
			cfg.Fault = configured
			synctest.Test(t, func(t *testing.T) {
				got := collect(t.Context(), t, newSim(t, cfg).Streamer(withExtension(t, tt.ext), "m"))
				checkFault(t, got, tt.want, tt.tokens, 0)
			})
		})
	}
	t.Run("none", func(t *testing.T) {
		cfg := config()
		cfg.Fault = configured
		got := collect(t.Context(), t, newSim(t, cfg).Streamer(withExtension(t, map[string]any{"fault": "none"}), "m"))
		if _, tokens, rest := got.text(); got.err != nil || tokens != 5 || len(rest) != 2 {
			t.Errorf("%d tokens, then %v, %v; want a whole answer", tokens, rest, got.err)
		}
	})
}

// paramForm is what the contract lets callers be told.
var paramForm = regexp.MustCompile(`^[a-z0-9_.\[\]]{1,64}$`)

// What is wrong is refused, by the name of its member, and nothing is quoted.
func TestValidateExtension(t *testing.T) {
	member := func(name string, v *structpb.Value) *structpb.Value {
		return structpb.NewStructValue(&structpb.Struct{Fields: map[string]*structpb.Value{name: v}})
	}
	number, text := structpb.NewNumberValue, structpb.NewStringValue

	for _, tt := range []struct {
		name  string
		value *structpb.Value
		field string // empty: right
	}{
		{"absent", nil, ""},
		{"empty", member("fault", text("none")), ""},
		{"least", member("tokens", number(0)), ""},
		{"most", member("tokens", number(1e6)), ""},
		{"longest", member("first_token", text("1h")), ""},
		{"least_status", member("status", number(400)), ""},
		{"most_status", member("status", number(599)), ""},

		{"null", structpb.NewNullValue(), "extensions.sim"},
		{"unset", &structpb.Value{}, "extensions.sim"},
		{"list", structpb.NewListValue(&structpb.ListValue{}), "extensions.sim"},
		{"unknown", member("token", number(1)), "extensions.sim.token"},
		{"unknown_capital", member("Tokens", number(1)), "extensions.sim"},
		{"unknown_empty", member("", number(1)), "extensions.sim"},
		{"unknown_long", member(strings.Repeat("a", 48), number(1)), "extensions.sim." + strings.Repeat("a", 48)},
		{"unknown_too_long", member(strings.Repeat("a", 49), number(1)), "extensions.sim"},
		{"unknown_newline", member("a\n", number(1)), "extensions.sim"},
		{"tokens_text", member("tokens", text("5")), "extensions.sim.tokens"},
		{"tokens_negative", member("tokens", number(-1)), "extensions.sim.tokens"},
		{"tokens_part", member("tokens", number(1.5)), "extensions.sim.tokens"},
		{"tokens_over", member("tokens", number(1e6+1)), "extensions.sim.tokens"},
		{"tokens_nan", member("tokens", number(math.NaN())), "extensions.sim.tokens"},
		{"tokens_infinite", member("tokens", number(math.Inf(1))), "extensions.sim.tokens"},
		{"tokens_null", member("tokens", structpb.NewNullValue()), "extensions.sim.tokens"},
		{"tokens_nil", member("tokens", nil), "extensions.sim.tokens"},
		{"first_token_number", member("first_token", number(50)), "extensions.sim.first_token"},
		{"first_token_unit", member("first_token", text("secret")), "extensions.sim.first_token"},
		{"first_token_negative", member("first_token", text("-1ms")), "extensions.sim.first_token"},
		{"inter_token_over", member("inter_token", text("61m")), "extensions.sim.inter_token"},
		{"fault_unknown", member("fault", text("secret")), "extensions.sim.fault"},
		{"fault_empty", member("fault", text("")), "extensions.sim.fault"},
		{"fault_bool", member("fault", structpb.NewBoolValue(true)), "extensions.sim.fault"},
		{"after_tokens_negative", member("after_tokens", number(-1)), "extensions.sim.after_tokens"},
		{"after_tokens_over", member("after_tokens", number(1e6+1)), "extensions.sim.after_tokens"},
		{"status_under", member("status", number(399)), "extensions.sim.status"},
		{"status_over", member("status", number(600)), "extensions.sim.status"},
		{"retry_after_negative", member("retry_after", text("-2s")), "extensions.sim.retry_after"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := sim.ValidateExtension(tt.value)
			if tt.field == "" {
				if err != nil {
					t.Errorf("error = %v, want none", err)
				}
				return
			}
			e, ok := errors.AsType[*sim.ExtensionError](err)
			if !ok || e.Field != tt.field || e.Problem == "" || strings.Contains(err.Error(), "secret") {
				t.Fatalf("error = %v, want one that names %s and quotes no value", err, tt.field)
			}
			if !paramForm.MatchString(e.Field) {
				t.Errorf("field %q is not fit for metadata", e.Field)
			}
		})
	}
}

// Of several problems the first by name is reported, so that all readers of a
// generation are told the same, also by another replica.
func TestValidateExtensionOrder(t *testing.T) {
	ext, err := structpb.NewValue(map[string]any{"tokens": -1, "fault": "x", "status": 1, "a": 1, "zz": 1})
	if err != nil {
		t.Fatalf("NewValue: %v", err)
	}
	for range 50 { // a map's order differs from run to run
		e, ok := errors.AsType[*sim.ExtensionError](sim.ValidateExtension(ext))
		if !ok || e.Field != "extensions.sim.a" {
			t.Fatalf("error = %v, want one of extensions.sim.a", e)
		}
	}
}

// Any member of any value is either taken or refused in a form that callers may
// be told.
func TestValidateExtensionNamesAreClosed(t *testing.T) {
	known := []string{"tokens", "first_token", "inter_token", "fault", "after_tokens", "status", "retry_after"}
	rapid.Check(t, func(rt *rapid.T) {
		name := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-z0-9_]{0,60}`), rapid.SampledFrom(known)).Draw(rt, "name")
		value := structpb.NewNumberValue(rapid.Float64().Draw(rt, "value"))
		ext := structpb.NewStructValue(&structpb.Struct{Fields: map[string]*structpb.Value{name: value}})
		err := sim.ValidateExtension(ext)
		if err == nil {
			if !slices.Contains(known, name) {
				rt.Fatalf("unknown member %q was taken", name)
			}
			return
		}
		if e, ok := errors.AsType[*sim.ExtensionError](err); !ok || !paramForm.MatchString(e.Field) {
			rt.Fatalf("error = %v, not fit for metadata", err)
		}
	})
}
