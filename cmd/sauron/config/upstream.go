package config

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sauron-stream/sauron/manager/upstream/sim"
)

// An Upstream is one LLM server to ask. Exactly one of OpenAI and Sim is set.
type Upstream struct {
	Name       string // unique
	MaxStreams int    // besides the global slots; 0: no limit of its own
	OpenAI     *OpenAI
	Sim        *Sim
}

// OpenAI is an OpenAI-compatible server.
type OpenAI struct {
	BaseURL string // without a slash at its end
	APIKey  Secret // empty: none is sent
	Headers map[string]string
	Tries   int           // at least 1
	Within  time.Duration // from the first try to the last
}

// What an upstream does that says nothing of retries.
const (
	defaultTries  = 2
	defaultWithin = 5 * time.Second
)

// Sim is the built-in simulator.
type Sim struct {
	FirstToken time.Duration
	InterToken time.Duration
	Tokens     int
	Fault      sim.Fault // zero: none
}

// Digest returns a digest of all that can change the upstream's answers, and of
// no secret. It is the same for every process with the same configuration.
func (u Upstream) Digest() []byte {
	u.MaxStreams = 0
	if u.OpenAI != nil {
		// A key is redacted to whether there is one.
		server := *u.OpenAI
		server.Tries, server.Within = 0, 0
		u.OpenAI = &server
	}
	text, err := json.Marshal(u) // sorts the headers
	if err != nil {
		panic(fmt.Sprintf("config: digest of an upstream: %v", err)) // nothing in it can fail
	}
	sum := sha256.Sum256(text)
	return sum[:]
}

// newOpenAI returns an upstream with all that a configuration may leave out.
func newOpenAI() *OpenAI { return &OpenAI{Tries: defaultTries, Within: defaultWithin} }
