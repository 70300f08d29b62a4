package upstream

import "time"

// Config says what an upstream answers.
type Config struct {
	Tokens   int           // chunks with text in each answer
	Interval time.Duration // between the chunks of an answer
	Gated    bool          // answers begin when the gate opens, not when they are asked for
	Expect   int           // requests that come; at so many Reached is closed
}
