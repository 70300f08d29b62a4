package systemtest

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// callers is how many ask for the same thing, on connections connections.
const (
	callers     = 200
	connections = 8
)

// equals returns n requests for content, with ids that begin with it.
func equals(n int, content string) []*sauronv1.GenerateRequest {
	requests := make([]*sauronv1.GenerateRequest, n)
	for i := range requests {
		requests[i] = ask(fmt.Sprintf("%s-%d", content, i), content)
	}
	return requests
}

// words returns n deltas of an answer.
func words(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("word-%d ", i)
	}
	return all
}

// checkShared fails unless every stream of c is the whole answer, event by event
// the same, of one generation with one leader.
func checkShared(t *testing.T, c crowd, text string) {
	t.Helper()
	c.each(t, func(_ int, s *stream) error { return s.completed(text) })
	want := map[sauronv1.Participation]int{leader: 1, follower: len(c) - 1}
	if got := c.participations(); !maps.Equal(got, want) {
		t.Errorf("participations %v, want %v", got, want)
	}
	c.each(t, func(_ int, s *stream) error {
		if s.started().GetGenerationId() != c[0].started().GetGenerationId() {
			return errors.New("another generation")
		}
		if !s.sameLog(c[0]) {
			return errors.New("other events")
		}
		return nil
	})
}

// Two hundred identical callers at once, on several connections: one upstream
// request, and everybody gets the same answer whole.
func TestIdenticalCallersAtOnce(t *testing.T) {
	t.Parallel()
	up := steered(t)
	s := serve(t, up)
	c := join(t, s.clients(t, connections), equals(callers, "A"))
	deltas := words(100)
	up.next(t).answer(deltas...)
	checkShared(t, c, strings.Join(deltas, ""))
	if got := up.count(); got != 1 {
		t.Errorf("%d upstream requests, want 1", got)
	}
}

// The same with joins at every moment of the stream: the last comes when the
// upstream has one chunk left.
func TestIdenticalCallersOverTheWholeLife(t *testing.T) {
	t.Parallel()
	const step = 4 // callers between two deltas
	up := steered(t)
	s := serve(t, up)
	clients, requests := s.clients(t, connections), equals(callers, "A")
	deltas := words(callers / step)

	c := join(t, clients, requests[:step])
	x := up.next(t)
	x.headers()
	for i, delta := range deltas[:len(deltas)-1] {
		x.text(delta)
		c = append(c, join(t, clients, requests[(i+1)*step:(i+2)*step])...)
	}
	// All have their Started. The last to join got what it had missed before there
	// was anything new.
	c[len(c)-1].untilText(t, strings.Join(deltas[:len(deltas)-1], ""))
	x.text(deltas[len(deltas)-1])
	x.finish()
	checkShared(t, c, strings.Join(deltas, ""))
	if got := up.count(); got != 1 {
		t.Errorf("%d upstream requests, want 1", got)
	}
}
