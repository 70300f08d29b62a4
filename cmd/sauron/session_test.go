package main

import (
	"bytes"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// longTime is how long a test waits for what must happen.
const longTime = 10 * time.Second

// A session is one run of sauron. Its fields are set at construction.
type session struct {
	process
	out, err *screen
	signals  chan os.Signal // what the run takes for signals
	notified chan struct{}  // closed when the run asked for signals
}

func newSession() *session {
	s := &session{out: newScreen(), err: newScreen(), signals: make(chan os.Signal), notified: make(chan struct{})}
	s.process = process{
		program: "sauron",
		env:     func(string) (string, bool) { return "", false },
		stdin:   strings.NewReader(""),
		stdout:  s.out,
		stderr:  s.err,
		notify: func(c chan<- os.Signal) func() {
			close(s.notified)
			stop := make(chan struct{})
			var forward sync.WaitGroup
			forward.Go(func() {
				for {
					select {
					case sig := <-s.signals:
						c <- sig
					case <-stop:
						return
					}
				}
			})
			return func() {
				close(stop)
				forward.Wait()
			}
		},
	}
	return s
}

// do runs args to the end and returns the exit status.
func (s *session) do(t *testing.T, args ...string) int {
	t.Helper()
	return s.run(t.Context(), args)
}

// begin runs args and returns where the exit status will come from.
func (s *session) begin(t *testing.T, args ...string) <-chan int {
	t.Helper()
	exit := make(chan int, 1)
	var running sync.WaitGroup
	running.Go(func() { exit <- s.run(t.Context(), args) })
	t.Cleanup(running.Wait)
	return exit
}

// interrupt sends one signal.
func (s *session) interrupt(t *testing.T) {
	t.Helper()
	receive(t, s.notified, "asks for signals")
	select {
	case s.signals <- os.Interrupt:
	case <-time.After(longTime):
		t.Fatal("nobody takes the signal")
	}
}

// check compares all that a run showed.
func (s *session) check(t *testing.T, status, wantStatus int, wantOut, wantErr string) {
	t.Helper()
	if status != wantStatus {
		t.Errorf("exit status %d, want %d", status, wantStatus)
	}
	if got := s.out.String(); got != wantOut {
		t.Errorf("standard output:\n%s\nwant:\n%s", got, wantOut)
	}
	if got := s.err.String(); got != wantErr {
		t.Errorf("standard error:\n%s\nwant:\n%s", got, wantErr)
	}
}

// receive receives from c, which must happen.
func receive[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(longTime):
		t.Fatalf("nothing %s", what)
		panic("unreachable")
	}
}

// A screen is a writer that can be waited for. It is safe for concurrent use.
type screen struct {
	mu      sync.Mutex // guards the fields below
	text    bytes.Buffer
	changed chan struct{} // closed on every write, then replaced
}

func newScreen() *screen { return &screen{changed: make(chan struct{})} }

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.changed)
	s.changed = make(chan struct{})
	return s.text.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// waitFor waits until want is on the screen.
func (s *screen) waitFor(t *testing.T, want string) {
	t.Helper()
	for {
		s.mu.Lock()
		text, changed := s.text.String(), s.changed
		s.mu.Unlock()
		if strings.Contains(text, want) {
			return
		}
		receive(t, changed, "was written; there is:\n"+text+"\nbut not: "+want)
	}
}
