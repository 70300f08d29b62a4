package main

import (
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// rows returns the table on the screen without the callers' numbers and the
// times, sorted, and the line below it.
func (s *session) rows(t *testing.T) (rows []string, last string) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(s.out.String(), "\n"), "\n")
	if got := strings.Join(strings.Fields(lines[0]), " "); got != "CALLER PARTICIPATION OUTCOME EVENTS FIRST TOKEN TEXT" {
		t.Errorf("head of the table: %s", got)
	}
	duration := regexp.MustCompile(`^[0-9.]+m?s$`)
	for i, line := range lines[1 : len(lines)-1] {
		cells := strings.Fields(line)
		if len(cells) != 6 || cells[0] != strconv.Itoa(i+1) {
			t.Fatalf("row %d: %q", i+1, line)
		}
		if duration.MatchString(cells[4]) {
			cells[4] = "TIME"
		}
		rows = append(rows, strings.Join(cells[1:], " "))
	}
	slices.Sort(rows)
	return rows, lines[len(lines)-1]
}

func TestCountAll(t *testing.T) {
	fake, address := serveFake(t, answer(text(1, "a"), text(2, "b"), completed(3)))
	s := newSession()
	if status := s.do(t, "generate", "--address", address, "--count", "20", "--request-id=r", "x"); status != exitOK {
		t.Errorf("exit status %d, want %d", status, exitOK)
	}
	rows, last := s.rows(t)
	want := append(slices.Repeat([]string{"follower completed 3 TIME same"}, 19), "leader completed 3 TIME same")
	if !slices.Equal(rows, want) {
		t.Errorf("rows:\n%s", s.out)
	}
	if last != "20 callers, 20 complete, generations: 1; the texts are equal" {
		t.Errorf("last line: %s", last)
	}
	requests, _ := fake.seen()
	ids := map[string]bool{}
	for _, r := range requests {
		ids[r.GetRequestId()] = true
	}
	if len(fake.peers) != crowdConnections {
		t.Errorf("%d connections, want %d", len(fake.peers), crowdConnections)
	}
	if len(ids) != 20 || !ids["r-1"] || !ids["r-20"] {
		t.Errorf("request ids %v, want r-1 to r-20", ids)
	}
}

func TestCountDiffers(t *testing.T) {
	_, address := serveFake(t, func(s *fakeStream) error {
		return answer(text(1, strconv.Itoa(s.index)), completed(2))(s)
	})
	s := newSession()
	if status := s.do(t, "generate", "--address", address, "--count=2", "x"); status != exitOK {
		t.Errorf("exit status %d, want %d", status, exitOK)
	}
	if rows, last := s.rows(t); !strings.HasSuffix(last, "; the texts differ") || !strings.HasSuffix(strings.Join(rows, " "), "other") &&
		!strings.HasSuffix(rows[0], "other") {
		t.Errorf("table:\n%s", s.out)
	}
}

func TestCountFails(t *testing.T) {
	_, address := serveFake(t, func(s *fakeStream) error {
		if s.index > 0 {
			return status.Error(codes.PermissionDenied, "no")
		}
		return answer(text(1, "a"), completed(2))(s)
	})
	s := newSession()
	exit := s.do(t, "generate", "--address", address, "--count=3", "x")
	rows, last := s.rows(t)
	if want := []string{"- failed 0 - -", "- failed 0 - -", "leader completed 2 TIME same"}; !slices.Equal(rows, want) {
		t.Errorf("rows:\n%s", s.out)
	}
	if last != "3 callers, 1 complete, generations: 1; the texts are equal" {
		t.Errorf("last line: %s", last)
	}
	if want := "sauron generate: 2 callers failed: PERMISSION_DENIED: no\n"; exit != exitFailed || s.err.String() != want {
		t.Errorf("exit status %d, standard error:\n%s", exit, s.err)
	}
}

func TestCountOutcomeUnknown(t *testing.T) {
	_, address := serveFake(t, answer(finished(1, 77)))
	s := newSession()
	exit := s.do(t, "generate", "--address", address, "--count=1", "x")
	if _, last := s.rows(t); last != "1 caller, 0 complete, generations: 1; no whole text" {
		t.Errorf("last line: %s", last)
	}
	if want := "sauron generate: 1 caller failed: the server answered 77\n"; exit != exitFailed || s.err.String() != want {
		t.Errorf("exit status %d, standard error:\n%s", exit, s.err)
	}
}

func TestCountInterrupted(t *testing.T) {
	all := make(chan struct{}, 5)
	fake, address := serveFake(t, func(s *fakeStream) error {
		if err := s.start(); err != nil {
			return err
		}
		all <- struct{}{}
		return s.waitForCancel()
	})
	s := newSession()
	exit := s.begin(t, "generate", "--address", address, "--count=5", "x")
	for range 5 {
		receive(t, all, "started")
	}
	s.interrupt(t)
	if status := receive(t, exit, "ended"); status != exitCancelled {
		t.Errorf("exit status %d, want %d", status, exitCancelled)
	}
	rows, last := s.rows(t)
	want := append(slices.Repeat([]string{"follower cancelled 0 - -"}, 4), "leader cancelled 0 - -")
	if !slices.Equal(rows, want) || last != "5 callers, 0 complete, generations: 1; no whole text" {
		t.Errorf("table:\n%s", s.out)
	}
	if _, cancels := fake.seen(); len(cancels) != 5 {
		t.Errorf("%d cancels, want 5", len(cancels))
	}
}

// A failure weighs more than a cancel, and a cancel more than a whole answer.
func TestCrowdStatus(t *testing.T) {
	whole := &participant{outcome: sauronv1.Outcome_OUTCOME_COMPLETED}
	cancelled := &participant{outcome: sauronv1.Outcome_OUTCOME_CANCELLED}
	dropped := &participant{err: errInterrupted}
	failed := &participant{err: errors.New("no")}
	tests := []struct {
		name  string
		crowd []*participant
		want  int
	}{
		{"whole", []*participant{whole, whole}, exitOK},
		{"cancelled", []*participant{whole, cancelled, whole}, exitCancelled},
		{"dropped", []*participant{dropped, whole}, exitCancelled},
		{"failed", []*participant{cancelled, failed, cancelled}, exitFailed},
	}
	for _, tt := range tests {
		s := newSession()
		if got := s.crowdStatus(tt.crowd); got != tt.want {
			t.Errorf("%s: exit status %d, want %d", tt.name, got, tt.want)
		}
	}
}

// Every kind of token counts as the first.
func TestFirstToken(t *testing.T) {
	for name, kind := range map[string]*sauronv1.Event{
		"text":      text(1, "a"),
		"reasoning": {Kind: &sauronv1.Event_ReasoningDelta{ReasoningDelta: "a"}},
		"refusal":   {Kind: &sauronv1.Event_RefusalDelta{RefusalDelta: "a"}},
		"tool_call": {Kind: &sauronv1.Event_ToolCallDelta{ToolCallDelta: &sauronv1.ToolCallDelta{}}},
	} {
		p := newParticipant()
		for _, e := range []*sauronv1.Event{{Kind: &sauronv1.Event_Usage{}}, completed(2)} {
			if err := p.event(e); err != nil || p.firstToken >= 0 {
				t.Errorf("%v is a token, %v", e, err)
			}
		}
		if err := p.event(kind); err != nil || p.firstToken < 0 {
			t.Errorf("%s is no token, %v", name, err)
		}
		p.firstToken = 1
		if err := p.event(kind); err != nil || p.firstToken != 1 {
			t.Errorf("a later %s moves the first to %v, %v", name, p.firstToken, err)
		}
	}
}
