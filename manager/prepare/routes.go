// Package prepare turns a request into what its upstream is asked: the route that
// the model names, the route's defaults and, if the route has one, the hook.
//
// What is asked carries nothing of the one request that happened to come first:
// no request id, no wish to share, no resume point, no grace. Defaults fill what
// the request left out. The hook, a PrepareService of the user's, then sees the
// request with its defaults and answers with what to ask; the defaults are not
// applied again. It may change all but the model, which it may change only on a
// route that passes on the caller's ("*" without an upstream model).
//
// # The hook
//
// It is called once per generation, and once more if it was UNAVAILABLE, within
// one time budget. What fails is told to callers by reason and code alone, and to
// the log as well: the hook's words may quote a prompt. It never sees metadata or
// credentials of a caller. A message over its own limit (grpc-go: 4 MiB unless
// set otherwise), or an answer over 16 MiB, is RESOURCE_EXHAUSTED, as gRPC itself
// says it.
//
// # Concurrency
//
// Routes and Route are immutable and safe for concurrent use. Routes with the
// same hook address share one connection, which is made at the first call and
// closed by Routes.Close. No goroutine outlives a Prepare but the connections'
// own.
package prepare

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"google.golang.org/grpc"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// anyModel is the model of the route for all models that have no route of their own.
const anyModel = "*"

// Routes maps model names to routes. It is safe for concurrent use. Use New.
type Routes struct {
	byModel map[string]*Route
	close   func() error
}

// New returns the routes that cfgs describe. The error joins all that is wrong
// with them; no hook is called to find out.
//
// validate, unless nil, is what a request must satisfy: it checks the defaults
// and what hooks answer. Its errors are logged, so they must not quote content.
// A nil logger drops everything. The caller must Close the routes.
func New(cfgs []RouteConfig, validate func(*sauronv1.GenerateRequest) error, logger *slog.Logger) (*Routes, error) {
	return newRoutes(cfgs, validate, logger)
}

// newRoutes is New with more options for the hooks' connections.
func newRoutes(
	cfgs []RouteConfig, validate func(*sauronv1.GenerateRequest) error, logger *slog.Logger, dial ...grpc.DialOption,
) (*Routes, error) {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	if validate == nil {
		validate = func(*sauronv1.GenerateRequest) error { return nil }
	}
	if err := errors.Join(problems(cfgs, validate)...); err != nil {
		return nil, err
	}

	conns := make(connections)
	byModel := make(map[string]*Route, len(cfgs))
	for _, cfg := range cfgs {
		r := newRoute(cfg, validate)
		if cfg.Hook != nil {
			conn, err := conns.get(cfg.Hook.Address, dial)
			if err != nil {
				return nil, errors.Join(fmt.Errorf("prepare: route %q: hook: %w", cfg.Model, err), conns.close())
			}
			r.hook = newHook(conn, cfg.Hook.Timeout, logger.With(slog.String("route", cfg.Model)))
		}
		byModel[cfg.Model] = r
	}
	return &Routes{byModel: byModel, close: sync.OnceValue(conns.close)}, nil
}

// problems returns all that is wrong with cfgs.
func problems(cfgs []RouteConfig, validate func(*sauronv1.GenerateRequest) error) []error {
	if len(cfgs) == 0 {
		return []error{errors.New("prepare: no routes")}
	}
	var errs []error
	seen := make(map[string]bool, len(cfgs))
	for i, cfg := range cfgs {
		found := cfg.problems(validate)
		if seen[cfg.Model] {
			found = append(found, errors.New("another route has the same model"))
		}
		seen[cfg.Model] = true
		for _, err := range found {
			errs = append(errs, fmt.Errorf("prepare: routes[%d] (model %q): %w", i, cfg.Model, err))
		}
	}
	return errs
}

// Resolve returns the route for model: its own, or else that for any model.
func (r *Routes) Resolve(model string) (*Route, bool) {
	if route, ok := r.byModel[model]; ok {
		return route, true
	}
	route, ok := r.byModel[anyModel]
	return route, ok
}

// Close closes the connections to the hooks; a Prepare that still runs fails. It
// is idempotent.
func (r *Routes) Close() error { return r.close() }
