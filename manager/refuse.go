package manager

import (
	"math/rand/v2"
	"time"

	"github.com/sauron-stream/sauron/manager/fault"
)

// retryHint is about when a refused caller may try again. It differs by half, so that
// those who were refused together do not come back together: gRPC waits exactly as told.
const retryHint = time.Second

// refuse returns a refusal that may be retried.
func refuse(reason fault.Reason, err error) *fault.Error {
	e := fault.New(reason, err)
	e.RetryAfter = (retryHint/2 + rand.N(retryHint)).Truncate(time.Millisecond)
	return e
}
