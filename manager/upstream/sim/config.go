package sim

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/structpb"
)

// Bounds of the configuration and the extension alike. They keep the last
// token's time far from overflow.
const (
	maxTokens = 1_000_000
	maxPause  = time.Hour
)

// Config says what a simulator does unless a request's `sim` extension overrides
// it. Counts and times are taken as they are: the defaults are the command
// line's.
type Config struct {
	Name       string        // the upstream's name, a metric label; not empty
	MaxStreams int           // besides the global slots; 0: no limit of its own
	FirstToken time.Duration // from the start of a stream to its first token; 0 to 1h
	InterToken time.Duration // from one token to the next; 0 to 1h
	Tokens     int           // length of a text, 1 to 1000000
	Fault      Fault         // zero: none
}

// problems returns all that is wrong with c.
func (c Config) problems() []error {
	var errs []error
	if c.Name == "" {
		errs = append(errs, errors.New("sim: name is empty"))
	}
	if c.MaxStreams < 0 {
		errs = append(errs, errors.New("sim: max streams is negative"))
	}
	if c.FirstToken < 0 || c.FirstToken > maxPause {
		errs = append(errs, fmt.Errorf("sim: time to the first token is not from 0 to %v", maxPause))
	}
	if c.InterToken < 0 || c.InterToken > maxPause {
		errs = append(errs, fmt.Errorf("sim: time between tokens is not from 0 to %v", maxPause))
	}
	if c.Tokens < 1 || c.Tokens > maxTokens {
		errs = append(errs, fmt.Errorf("sim: tokens are not from 1 to %d", maxTokens))
	}
	return append(errs, c.Fault.problems()...)
}

// with returns c as the `sim` extension ext of a request overrides it. A nil ext
// overrides nothing.
func (c Config) with(ext *structpb.Value) (Config, *ExtensionError) {
	if ext == nil {
		return c, nil
	}
	if err := applyExtension(&c, ext); err != nil {
		return Config{}, err
	}
	return c, nil
}
