package upstream

import (
	"bytes"
	"fmt"
	"strconv"
)

// WarmUp is the generation that is answered at once with one chunk and not counted.
const WarmUp = 99999

const promptStart = "bench generation "

// Prompt returns what to say to be answered with marks of a generation. It is about as
// long as a short question.
func Prompt(generation int) string {
	return fmt.Sprintf(promptStart+"%05d: tell me what there is to know about it, but in few words", generation)
}

// generationOf returns the generation that a request's body asks for.
func generationOf(body []byte) (uint32, bool) {
	_, rest, ok := bytes.Cut(body, []byte(promptStart))
	if !ok || len(rest) < 5 {
		return 0, false
	}
	n, err := strconv.ParseUint(string(rest[:5]), 10, 32)
	return uint32(n), err == nil
}
