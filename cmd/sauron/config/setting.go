package config

import (
	"math"
	"strings"
	"time"
)

// A setting is one line of the table: a name, and the parser that every source
// of a value goes through.
type setting struct {
	name string // as a flag, without the dashes
	// env is the environment variable where it is not SAURON_ and the name: the
	// two that were there before the prefix.
	env    string
	def    string // the default, as one would write it
	help   string
	set    func(string) error
	onFlag bool // a flag that needs no value
}

// key is the setting's name in the config file.
func (s setting) key() string { return strings.ReplaceAll(s.name, "-", "_") }

// variable is the setting's environment variable.
func (s setting) variable() string {
	if s.env != "" {
		return s.env
	}
	return "SAURON_" + strings.ToUpper(s.key())
}

// configFile is the one setting that has no key in the config file.
const configFile = "config"

// openAIBaseURL is the setting that stands in for upstreams and routes.
const openAIBaseURL = "openai-base-url"

// Bounds of what the settings take.
const (
	longest      = 365 * 24 * time.Hour // so that no deadline overflows
	minKeepalive = time.Second          // gRPC silently raises what is below
	// longestInterval is far more than anybody would take for live.
	longestInterval = 10 * time.Second
	maxSimPause     = time.Hour // the simulator's own bounds
	maxSimTokens    = 1_000_000
)

// settings returns the table, bound to the fields of c. Every parser of a time
// that must not be 0 says so by its minimum.
func (c *Config) settings() []setting {
	return []setting{
		{name: configFile, help: "config file, YAML", set: into(&c.File, anyText)},
		{name: "listen", def: "127.0.0.1:50051", help: "gRPC address", set: into(&c.Listen, hostPort)},
		{
			name: "admin-listen", def: "127.0.0.1:9464", help: "HTTP address of metrics and health; empty: none",
			set: into(&c.AdminListen, orEmpty(hostPort)),
		},
		{
			name: "admin-pprof", def: "false", help: "serve net/http/pprof on the admin address too",
			set: into(&c.AdminPprof, boolean), onFlag: true,
		},
		{
			name: "max-concurrent-requests", env: "MAX_CONCURRENT_REQUESTS", def: "10",
			help: "generations that prepare at a time", set: into(&c.MaxConcurrentRequests, count(1, math.MaxInt32)),
		},
		{
			name: "max-concurrent-llm-streams", env: "MAX_CONCURRENT_LLM_STREAMS", def: "5",
			help: "generations that stream at a time", set: into(&c.MaxConcurrentLLMStreams, count(1, math.MaxInt32)),
		},
		{
			name: "queue-capacity", def: "1024", help: "generations that wait to prepare, at most",
			set: into(&c.QueueCapacity, count(0, math.MaxInt32)),
		},
		{
			name: "prepared-backlog", def: "1024", help: "generations that wait to stream, at most",
			set: into(&c.PreparedBacklog, count(0, math.MaxInt32)),
		},
		{
			name: "max-queue-wait", def: "60s", help: "longest wait to prepare, and again to stream",
			set: into(&c.MaxQueueWait, duration(time.Millisecond, longest)),
		},
		{
			name: "coalescing", def: "live", help: "whether equal requests share a generation where neither route nor request says: live or off",
			set: into(&c.Coalesce, coalescing),
		},
		{
			name: "orphan-grace", def: "10s", help: "how long a generation is kept for a request that lost its stream",
			set: into(&c.OrphanGrace, duration(0, longest)),
		},
		{
			name: "id-memory", def: "60s", help: "how long the ids of ended requests are remembered",
			set: into(&c.IDMemory, duration(0, longest)),
		},
		{
			name: "replay-window", def: "0s", help: "how long a completed generation may be replayed, in half of max-log-bytes at most; 0: not at all",
			set: into(&c.ReplayWindow, duration(0, longest)),
		},
		{
			name: "generation-timeout", def: "10m", help: "longest time that one generation streams",
			set: into(&c.GenerationTimeout, duration(time.Millisecond, longest)),
		},
		{
			name: "upstream-idle-timeout", def: "60s", help: "longest time without a sign of life from the upstream",
			set: into(&c.UpstreamIdleTimeout, duration(time.Millisecond, longest)),
		},
		{
			name: "coalesce-interval", def: "0s", help: "least time between two wake-ups of a generation's readers; 0: every event wakes them",
			set: into(&c.CoalesceInterval, duration(0, longestInterval)),
		},
		{
			name: "slow-consumer-timeout", def: "30s", help: "longest time that a caller takes nothing",
			set: into(&c.SlowConsumerTimeout, duration(time.Millisecond, longest)),
		},
		{
			name: "max-generation-bytes", def: "16 MiB", help: "size of one generation's log",
			set: into(&c.MaxGenerationBytes, size(math.MaxInt64)),
		},
		{
			name: "max-log-bytes", def: "1 GiB", help: "size of all logs together; over it no generation starts",
			set: into(&c.MaxLogBytes, size(math.MaxInt64)),
		},
		{
			name: "max-request-bytes", def: "4 MiB", help: "size of one request",
			set: into(&c.MaxRequestBytes, size(math.MaxInt32)),
		},
		{
			name: "drain-delay", def: "5s", help: "time from the signal to the first refusal",
			set: into(&c.DrainDelay, duration(0, longest)),
		},
		{
			name: "drain-timeout", def: "2m", help: "time that running generations have after that",
			set: into(&c.DrainTimeout, duration(0, longest)),
		},
		{
			name: "keepalive-time", def: "30s", help: "idle time before a client is pinged",
			set: into(&c.KeepaliveTime, duration(minKeepalive, longest)),
		},
		{
			name: "keepalive-timeout", def: "10s", help: "time for the answer to a ping",
			set: into(&c.KeepaliveTimeout, duration(time.Millisecond, longest)),
		},
		{
			name: "keepalive-min-interval", def: "10s", help: "least time between a client's own pings",
			set: into(&c.KeepaliveMinInterval, duration(time.Millisecond, longest)),
		},
		{
			name: "max-connection-age", def: "0s", help: "age at which a connection is closed gracefully; 0: none",
			set: into(&c.MaxConnectionAge, duration(0, longest)),
		},
		{
			name: openAIBaseURL, help: "one OpenAI-compatible upstream for every model, with its /v1; key from " + openAIKey,
			set: into(&c.OpenAIBaseURL, orEmpty(baseURL)),
		},
		{
			name: "sim-first-token", def: "200ms", help: "the simulator's time to the first token",
			set: into(&c.Sim.FirstToken, duration(0, maxSimPause)),
		},
		{
			name: "sim-inter-token", def: "20ms", help: "the simulator's time between tokens",
			set: into(&c.Sim.InterToken, duration(0, maxSimPause)),
		},
		{name: "sim-tokens", def: "64", help: "the simulator's tokens an answer", set: into(&c.Sim.Tokens, count(1, maxSimTokens))},
		{name: "log-level", def: "info", help: "debug, info, warn or error", set: into(&c.LogLevel, logLevel)},
		{name: "log-format", def: "text", help: "text or json", set: into(&c.LogFormat, oneOf(LogText, LogJSON))},
	}
}
