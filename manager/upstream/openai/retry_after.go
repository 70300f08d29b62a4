package openai

import (
	"net/http"
	"strconv"
	"time"
)

// longestRetryAfter bounds what an upstream may ask to wait.
const longestRetryAfter = 24 * time.Hour

// retryAfter returns how long the upstream asks to wait, or 0. retry-after-ms, which
// OpenAI sends beside the standard header, is the more exact one.
func retryAfter(h http.Header) time.Duration {
	if ms, err := strconv.ParseFloat(h.Get("Retry-After-Ms"), 64); err == nil {
		return wait(ms / 1000)
	}
	after := h.Get("Retry-After")
	if seconds, err := strconv.ParseFloat(after, 64); err == nil {
		return wait(seconds)
	}
	if at, err := http.ParseTime(after); err == nil {
		return wait(time.Until(at).Seconds())
	}
	return 0
}

// wait returns seconds as a duration from 0 to longestRetryAfter.
func wait(seconds float64) time.Duration {
	if !(seconds > 0) { // not a number is not a wait either
		return 0
	}
	return time.Duration(min(seconds, longestRetryAfter.Seconds()) * float64(time.Second))
}
