package prepare

import (
	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
	"github.com/sauron-stream/sauron/manager"
)

// Routes maps model names to routes.
type Routes struct{}

// Route is one route.
type Route struct{}

// Preparer binds req to the route.
func (r *Route) Preparer(tenant string, req *sauronv1.GenerateRequest) manager.Preparer { return nil }
