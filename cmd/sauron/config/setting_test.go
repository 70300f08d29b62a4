package config_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sauron-stream/sauron/cmd/sauron/config"
)

// defaults is what Load returns if nothing is set.
func defaults() *config.Config {
	pace := config.Sim{FirstToken: 200 * time.Millisecond, InterToken: 20 * time.Millisecond, Tokens: 64}
	return &config.Config{
		Listen:                  "127.0.0.1:50051",
		AdminListen:             "127.0.0.1:9464",
		MaxConcurrentRequests:   10,
		MaxConcurrentLLMStreams: 5,
		QueueCapacity:           1024,
		PreparedBacklog:         1024,
		MaxQueueWait:            time.Minute,
		Coalesce:                true,
		OrphanGrace:             10 * time.Second,
		IDMemory:                time.Minute,
		GenerationTimeout:       10 * time.Minute,
		UpstreamIdleTimeout:     time.Minute,
		SlowConsumerTimeout:     30 * time.Second,
		MaxGenerationBytes:      16 << 20,
		MaxLogBytes:             1 << 30,
		MaxRequestBytes:         4 << 20,
		DrainDelay:              5 * time.Second,
		DrainTimeout:            2 * time.Minute,
		KeepaliveTime:           30 * time.Second,
		KeepaliveTimeout:        10 * time.Second,
		KeepaliveMinInterval:    10 * time.Second,
		Sim:                     pace,
		LogLevel:                slog.LevelInfo,
		LogFormat:               config.LogText,
		Upstreams:               []config.Upstream{{Name: "simulator", Sim: &pace}},
		Routes:                  []config.Route{{Model: "*", Upstream: "simulator", Coalesce: true}},
		BuiltInSimulator:        true,
	}
}

func TestDefaults(t *testing.T) {
	if diff := cmp.Diff(defaults(), load(t, nil)); diff != "" {
		t.Errorf("with nothing set (-want +got):\n%s", diff)
	}
}

// A covered setting is two values other than the default, and what they do to
// the configuration.
type covered struct {
	a, b       string
	setA, setB func(*config.Config)
}

// field makes a covered setting of one field's two values.
func field[T any](p func(*config.Config) *T, a string, wantA T, b string, wantB T) covered {
	return covered{
		a: a, setA: func(c *config.Config) { *p(c) = wantA },
		b: b, setB: func(c *config.Config) { *p(c) = wantB },
	}
}

func coverage() map[string]covered {
	type c = config.Config
	simulator := func(set func(*config.Sim)) func(*config.Config) {
		return func(c *config.Config) {
			set(&c.Sim)
			set(c.Upstreams[0].Sim)
		}
	}
	openai := func(url string) func(*config.Config) {
		return func(c *config.Config) {
			c.OpenAIBaseURL = url
			c.BuiltInSimulator = false
			c.Upstreams = []config.Upstream{{Name: "openai", OpenAI: &config.OpenAI{BaseURL: url, Tries: 2, Within: 5 * time.Second}}}
			c.Routes[0].Upstream = "openai"
		}
	}
	sharing := func(on bool) func(*config.Config) {
		return func(c *config.Config) {
			c.Coalesce = on
			c.Routes[0].Coalesce = on
		}
	}
	window := func(d time.Duration) func(*config.Config) {
		return func(c *config.Config) {
			c.ReplayWindow = d
			c.Routes[0].ReplayWindow = d
		}
	}
	second, minute := time.Second, time.Minute
	return map[string]covered{
		"listen":                     field(func(c *c) *string { return &c.Listen }, ":1", ":1", "[::1]:2", "[::1]:2"),
		"admin_listen":               field(func(c *c) *string { return &c.AdminListen }, "", "", "localhost:0", "localhost:0"),
		"admin_pprof":                field(func(c *c) *bool { return &c.AdminPprof }, "true", true, "false", false),
		"max_concurrent_requests":    field(func(c *c) *int { return &c.MaxConcurrentRequests }, "1", 1, "100", 100),
		"max_concurrent_llm_streams": field(func(c *c) *int { return &c.MaxConcurrentLLMStreams }, "1", 1, "50", 50),
		"queue_capacity":             field(func(c *c) *int { return &c.QueueCapacity }, "0", 0, "7", 7),
		"prepared_backlog":           field(func(c *c) *int { return &c.PreparedBacklog }, "0", 0, "8", 8),
		"max_queue_wait":             field(func(c *c) *time.Duration { return &c.MaxQueueWait }, "1s", second, "1m", minute),
		"coalescing":                 {a: "off", setA: sharing(false), b: "live", setB: sharing(true)},
		"replay_window":              {a: "1s", setA: window(second), b: "1m", setB: window(minute)},
		"orphan_grace":               field(func(c *c) *time.Duration { return &c.OrphanGrace }, "0", 0, "1m", minute),
		"id_memory":                  field(func(c *c) *time.Duration { return &c.IDMemory }, "0s", 0, "1s", second),
		"generation_timeout":         field(func(c *c) *time.Duration { return &c.GenerationTimeout }, "1s", second, "1m", minute),
		"upstream_idle_timeout":      field(func(c *c) *time.Duration { return &c.UpstreamIdleTimeout }, "1s", second, "1m30s", 90*second),
		"coalesce_interval":          field(func(c *c) *time.Duration { return &c.CoalesceInterval }, "20ms", 20*time.Millisecond, "1s", second),
		"slow_consumer_timeout":      field(func(c *c) *time.Duration { return &c.SlowConsumerTimeout }, "1s", second, "1m", minute),
		"max_generation_bytes":       field(func(c *c) *int64 { return &c.MaxGenerationBytes }, "1", 1, "4MiB", 4<<20),
		"max_log_bytes":              field(func(c *c) *int64 { return &c.MaxLogBytes }, "1048576", 1<<20, "16 MiB", 16<<20),
		"max_request_bytes":          field(func(c *c) *int64 { return &c.MaxRequestBytes }, "1.5 KiB", 1536, "2147483647", 1<<31-1),
		"drain_delay":                field(func(c *c) *time.Duration { return &c.DrainDelay }, "0s", 0, "1s", second),
		"drain_timeout":              field(func(c *c) *time.Duration { return &c.DrainTimeout }, "0s", 0, "1s", second),
		"keepalive_time":             field(func(c *c) *time.Duration { return &c.KeepaliveTime }, "1s", second, "1m", minute),
		"keepalive_timeout":          field(func(c *c) *time.Duration { return &c.KeepaliveTimeout }, "1s", second, "1m", minute),
		"keepalive_min_interval":     field(func(c *c) *time.Duration { return &c.KeepaliveMinInterval }, "1s", second, "1m", minute),
		"max_connection_age":         field(func(c *c) *time.Duration { return &c.MaxConnectionAge }, "1s", second, "1h", time.Hour),
		"openai_base_url": {
			a: "http://127.0.0.1:8000/v1", setA: openai("http://127.0.0.1:8000/v1"),
			b: "https://[::1]/v1/", setB: openai("https://[::1]/v1"),
		},
		"sim_first_token": {
			a: "0s", setA: simulator(func(s *config.Sim) { s.FirstToken = 0 }),
			b: "1h", setB: simulator(func(s *config.Sim) { s.FirstToken = time.Hour }),
		},
		"sim_inter_token": {
			a: "0s", setA: simulator(func(s *config.Sim) { s.InterToken = 0 }),
			b: "1ms", setB: simulator(func(s *config.Sim) { s.InterToken = time.Millisecond }),
		},
		"sim_tokens": {
			a: "1", setA: simulator(func(s *config.Sim) { s.Tokens = 1 }),
			b: "1000000", setB: simulator(func(s *config.Sim) { s.Tokens = 1_000_000 }),
		},
		"log_level":  field(func(c *c) *slog.Level { return &c.LogLevel }, "debug", slog.LevelDebug, "error", slog.LevelError),
		"log_format": field(func(c *c) *config.LogFormat { return &c.LogFormat }, "json", config.LogJSON, "text", config.LogText),
	}
}

// Every setting is set from every set of sources, with one value in the highest
// of them and another in all that are below it. A setting that is added fails
// the test until it is covered.
func TestEverySettingFromEverySource(t *testing.T) {
	cover := coverage()
	for _, name := range config.Spellings() {
		if name.Key == "config" { // see TestConfigFileIsFound
			continue
		}
		c, ok := cover[name.Key]
		if !ok {
			t.Errorf("setting %s: not covered by this test", name.Key)
			continue
		}
		delete(cover, name.Key)
		t.Run(name.Key, func(t *testing.T) {
			testSources(t, name, c.a, c.b, c.setA)
			testSources(t, name, c.b, c.a, c.setB)
		})
	}
	for key := range cover {
		t.Errorf("setting %s: there is none", key)
	}
}

func testSources(t *testing.T, name config.Spelling, high, low string, set func(*config.Config)) {
	t.Helper()
	const file, variable, flag = 1, 2, 4
	for sources := range 8 {
		want, env, args := defaults(), environment{}, []string(nil)
		value := func(source int) string {
			if sources < 2*source { // no higher one is set
				return high
			}
			return low
		}
		if sources&file != 0 {
			want.File = write(t, fmt.Sprintf("%s: %q\n", name.Key, value(file)))
			args = append(args, "--config", want.File)
		}
		if sources&variable != 0 {
			env[name.Variable] = value(variable)
		}
		if sources&flag != 0 {
			args = append(args, name.Flag+"="+value(flag))
		}
		if sources != 0 {
			set(want)
		}
		if diff := cmp.Diff(want, load(t, env, args...)); diff != "" {
			t.Errorf("args %q, environment %v (-want +got):\n%s", args, env, diff)
		}
	}
}

func TestSpellings(t *testing.T) {
	want := map[string]string{
		"--orphan-grace":               "SAURON_ORPHAN_GRACE orphan_grace",
		"--max-concurrent-requests":    "MAX_CONCURRENT_REQUESTS max_concurrent_requests",
		"--max-concurrent-llm-streams": "MAX_CONCURRENT_LLM_STREAMS max_concurrent_llm_streams",
		"--openai-base-url":            "SAURON_OPENAI_BASE_URL openai_base_url",
	}
	for _, name := range config.Spellings() {
		others, ok := want[name.Flag]
		if got := name.Variable + " " + name.Key; ok && got != others {
			t.Errorf("%s is spelled %s, want %s", name.Flag, got, others)
		}
		delete(want, name.Flag)
	}
	for flag := range want {
		t.Errorf("there is no %s", flag)
	}
}

func TestFlagForms(t *testing.T) {
	cfg := load(t, nil, "--admin-pprof", "-queue-capacity", "3", "--queue-capacity", "4")
	if !cfg.AdminPprof || cfg.QueueCapacity != 4 {
		t.Errorf("pprof %t, queue capacity %d, want true and the last value, 4", cfg.AdminPprof, cfg.QueueCapacity)
	}
}

func TestUsageNamesEverySetting(t *testing.T) {
	usage := config.Usage()
	for _, name := range config.Spellings() {
		for _, word := range []string{name.Flag + "\n", name.Variable + ")"} {
			if !strings.Contains(usage, word) {
				t.Errorf("usage does not have %q:\n%s", word, usage)
			}
		}
	}
	for _, def := range []string{"default 127.0.0.1:50051;", "default 16 MiB;", "default none; SAURON_CONFIG"} {
		if !strings.Contains(usage, def) {
			t.Errorf("usage does not have %q:\n%s", def, usage)
		}
	}
}
