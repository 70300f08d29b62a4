// Package config reads the configuration of `sauron serve`. Every setting has
// one name in three spellings, a flag (--orphan-grace), an environment variable
// (SAURON_ORPHAN_GRACE) and a key of the config file (orphan_grace); the flag
// goes over the variable, the variable over the file, the file over the default.
// The file also holds what flags cannot say well: upstreams and routes.
//
// All three spellings go through the same parser, and a wrong value is refused
// even where a higher source replaces it: what stands there is a mistake that
// would show on another day.
package config

import (
	"log/slog"
	"time"
)

// Config is a whole and checked configuration. It is plain data: whoever has it
// may change it.
type Config struct {
	File string // the config file that was read; empty: none

	Listen      string // gRPC, host:port
	AdminListen string // HTTP, host:port; empty: none
	AdminPprof  bool

	MaxConcurrentRequests   int // prepare permits, at least 1
	MaxConcurrentLLMStreams int // stream slots, at least 1
	QueueCapacity           int
	PreparedBacklog         int
	MaxQueueWait            time.Duration

	Coalesce     bool          // what a route does that does not say
	ReplayWindow time.Duration // how long completed generations may be replayed, for such a route
	OrphanGrace  time.Duration
	IDMemory     time.Duration

	GenerationTimeout   time.Duration
	UpstreamIdleTimeout time.Duration
	SlowConsumerTimeout time.Duration
	CoalesceInterval    time.Duration

	MaxGenerationBytes int64
	MaxLogBytes        int64
	MaxRequestBytes    int64 // fits an int32

	DrainDelay   time.Duration
	DrainTimeout time.Duration

	KeepaliveTime        time.Duration
	KeepaliveTimeout     time.Duration
	KeepaliveMinInterval time.Duration
	MaxConnectionAge     time.Duration // 0: no limit

	OpenAIBaseURL string // what was asked for; Upstreams has what follows from it
	Sim           Sim    // what a simulator does that does not say

	LogLevel  slog.Level
	LogFormat LogFormat

	Upstreams []Upstream // at least one; names are unique
	Routes    []Route    // at least one; models are unique, upstreams exist
	// BuiltInSimulator says that nothing was configured to serve: there is one
	// simulated upstream, for every model.
	BuiltInSimulator bool
}

// LogFormat is how log lines are written.
type LogFormat string

// The log formats.
const (
	LogText LogFormat = "text"
	LogJSON LogFormat = "json"
)

// Load reads the configuration from args, the command line after `serve`, from
// env, which looks up one environment variable, and from the config file that
// one of them names. The error is flag.ErrHelp if help was asked for; any other
// is one line that names the flag, the variable, or the file's line and key. No
// error tells a key.
func Load(args []string, env func(string) (string, bool)) (*Config, error) {
	l := newLoader(env)
	if err := l.readSettings(args); err != nil {
		return nil, err
	}
	if err := l.readBackends(); err != nil {
		return nil, err
	}
	return l.cfg, nil
}
