package prepare

import (
	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
	"github.com/sauron-stream/sauron/manager"
)

// An Upstream makes streamers for one LLM server. It is safe for concurrent use.
type Upstream interface {
	// Streamer returns the streamer of one generation. req is what to ask, with
	// defaults and hook applied, and is not changed; model is the upstream's name
	// for the model.
	Streamer(req *sauronv1.GenerateRequest, model string) manager.Streamer
}
