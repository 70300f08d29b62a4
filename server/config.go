package server

import (
	"log/slog"
	"time"

	"github.com/sauron-stream/sauron/manager"
	"github.com/sauron-stream/sauron/manager/prepare"
)

// Config is all that a Server is made from. Values are taken as they are: the
// defaults are the command line's.
type Config struct {
	Listen      string // gRPC address
	AdminListen string // HTTP address of metrics and health; empty: none
	AdminPprof  bool   // serve net/http/pprof there too

	Manager manager.Config // Encode and the callbacks are the server's own
	Routes  *prepare.Routes

	SlowConsumerTimeout time.Duration
	// CoalesceInterval is the least time between two wake-ups of a generation's reader;
	// 0: every event wakes it.
	CoalesceInterval time.Duration
	MaxRequestBytes  int

	DrainDelay   time.Duration // from the signal to the first refusal
	DrainTimeout time.Duration // from then until what still runs is ended

	KeepaliveTime        time.Duration // idle time before the server pings
	KeepaliveTimeout     time.Duration // wait for the ping's answer
	KeepaliveMinInterval time.Duration // what clients may do at most
	MaxConnectionAge     time.Duration // 0: no limit

	Log     *slog.Logger
	Version string // for sauron_build_info
}
