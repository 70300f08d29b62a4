package manager_test

import (
	"context"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sauron-stream/sauron/manager"
	"github.com/sauron-stream/sauron/manager/event"
)

// world is a manager before an upstream that behaves: it takes its time to prepare,
// to answer and to let go, and it counts.
type world struct {
	*manager.Manager
	t *testing.T

	// Set before the first Join.
	cfg        manager.Config
	prepare    time.Duration // per generation
	firstToken time.Duration
	interToken time.Duration
	tokens     int
	unwind     time.Duration // from a stop to the end of the upstream request
	upstream   manager.Upstream
	preparing  func(generation int) error                                  // called in Prepare; nil: fine
	streaming  func(generation, attempt int) iter.Seq2[event.Event, error] // nil, or what it returns is: the default answer

	mu                    sync.Mutex
	prepares, streams     int // begun
	inPrepare, inStream   int
	maxPrepare, maxStream int
	streamEnded           []time.Duration // since start, in order
	prepareEnded          []time.Duration
	stoppedEarly          int
	reports               []manager.Report
	asked                 map[int]string // content by generation
	attempts              map[manager.Outcome]int
	start                 time.Time
}

// defaults are the limits of a world unless a test says otherwise.
var defaults = manager.Config{
	MaxConcurrentRequests: 10, MaxConcurrentLLMStreams: 5, QueueCapacity: 1024, PreparedBacklog: 1024,
	MaxQueueWait: time.Hour, OrphanGrace: 10 * time.Second, IDMemory: time.Minute,
	GenerationTimeout: 10 * time.Minute, UpstreamIdleTimeout: time.Minute,
	MaxGenerationBytes: 16 << 20, MaxLogBytes: 1 << 30,
}

// bubble runs f in a synctest bubble with a world that set may change, and checks
// afterwards that nothing is left.
func bubble(t *testing.T, set func(*world), f func(*testing.T, *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, set)
		f(t, w)
		w.Close()
		w.nothingLeft()
	})
}

func newWorld(t *testing.T, set func(*world)) *world {
	w := &world{
		t: t, cfg: defaults, tokens: 10, firstToken: time.Second, interToken: 100 * time.Millisecond,
		upstream: manager.Upstream{Name: "fake"}, attempts: map[manager.Outcome]int{}, asked: map[int]string{}, start: time.Now(),
	}
	if set != nil {
		set(w)
	}
	w.cfg.Encode = encodeLine
	w.cfg.OnGeneration = func(r manager.Report) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.reports = append(w.reports, r)
	}
	w.cfg.OnAttempt = func(_ string, o manager.Outcome) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.attempts[o]++
	}
	w.Manager = manager.New(w.cfg)
	return w
}

// nothingLeft fails if the closed manager holds anything but remembered ids.
func (w *world) nothingLeft() {
	w.t.Helper()
	left := w.Left()
	left.Requests, left.Remembered = 0, 0
	if left != (manager.Left{}) {
		w.t.Errorf("left behind: %+v", left)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.inPrepare != 0 || w.inStream != 0 {
		w.t.Errorf("still running: %d preparing, %d streaming", w.inPrepare, w.inStream)
	}
}

func (w *world) since() time.Duration { return time.Since(w.start) }

// counts returns how many prepares and upstream streams have begun.
func (w *world) counts() (prepares, streams int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.prepares, w.streams
}

// wantStreams fails unless exactly n upstream streams have begun.
func (w *world) wantStreams(n int) {
	w.t.Helper()
	if _, got := w.counts(); got != n {
		w.t.Errorf("upstream streams: got %d, want %d", got, n)
	}
}

// contents returns what a generation was asked.
func (w *world) contents(generation int) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.asked[generation]
}

// lastReport returns the report of the generation that ended last.
func (w *world) lastReport() manager.Report {
	synctest.Wait() // a report comes after the readers' end
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.reports) == 0 {
		return manager.Report{}
	}
	return w.reports[len(w.reports)-1]
}

// request returns a request of id for content, sharing.
func (w *world) request(id, content string) manager.Request {
	var key manager.Key
	copy(key[:], content)
	return manager.Request{
		Tenant: "t", ID: id, Key: key, Route: "r", Coalesce: true,
		OrphanGrace: w.cfg.OrphanGrace, Preparer: &fakePreparer{w: w, content: content},
	}
}

// join joins and fails the test if it is refused.
func (w *world) join(id, content string) *manager.Subscription {
	return w.joinRequest(w.request(id, content))
}

func (w *world) joinRequest(r manager.Request) *manager.Subscription {
	s, err := w.Join(r)
	if err != nil {
		w.t.Helper()
		w.t.Fatalf("join %s: %v", r.ID, err)
	}
	return s
}

type fakePreparer struct {
	w       *world
	content string
}

func (p *fakePreparer) Prepare(ctx context.Context, _ string) (manager.Streamer, error) {
	w := p.w
	w.mu.Lock()
	w.prepares++
	generation := w.prepares
	w.asked[generation] = p.content
	w.inPrepare++
	w.maxPrepare = max(w.maxPrepare, w.inPrepare)
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.inPrepare--
		w.prepareEnded = append(w.prepareEnded, w.since())
	}()
	if err := sleep(ctx, w.prepare); err != nil {
		return nil, err
	}
	if w.preparing != nil {
		if err := w.preparing(generation); err != nil {
			return nil, err
		}
	}
	return &fakeStreamer{w: w, content: p.content, generation: generation}, nil
}

type fakeStreamer struct {
	w          *world
	content    string
	generation int
	attempts   int
}

func (s *fakeStreamer) Upstream() manager.Upstream { return s.w.upstream }

func (s *fakeStreamer) Stream(ctx context.Context) iter.Seq2[event.Event, error] {
	w := s.w
	return func(yield func(event.Event, error) bool) {
		s.attempts++
		w.mu.Lock()
		w.streams++
		w.inStream++
		w.maxStream = max(w.maxStream, w.inStream)
		w.mu.Unlock()
		defer func() {
			if ctx.Err() != nil && w.unwind > 0 {
				time.Sleep(w.unwind) // a stopped upstream takes its time
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			w.inStream--
			w.streamEnded = append(w.streamEnded, w.since())
			if ctx.Err() != nil {
				w.stoppedEarly++
			}
		}()
		var script iter.Seq2[event.Event, error]
		if w.streaming != nil {
			script = w.streaming(s.generation, s.attempts)
		}
		if script != nil {
			for e, err := range script {
				if ctx.Err() != nil && e.Kind != event.KindFinished {
					yield(event.Event{}, context.Cause(ctx))
					return
				}
				if !yield(e, err) || err != nil {
					return
				}
			}
			return
		}
		for i := range w.tokens {
			pause := w.interToken
			if i == 0 {
				pause = w.firstToken
			}
			if err := sleep(ctx, pause); err != nil {
				yield(event.Event{}, err)
				return
			}
			if !yield(event.Text(fmt.Sprintf("%s-%d ", s.content, i)), nil) {
				return
			}
		}
		usage := event.Event{Kind: event.KindUsage, Usage: &event.Usage{Prompt: 3, Completion: int64(w.tokens)}}
		if !yield(usage, nil) {
			return
		}
		yield(finished(), nil)
	}
}

// script returns an upstream that yields events without pause.
func script(events ...event.Event) func(generation, attempt int) iter.Seq2[event.Event, error] {
	return func(int, int) iter.Seq2[event.Event, error] {
		return func(yield func(event.Event, error) bool) {
			for _, e := range events {
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}

func finished() event.Event {
	return event.Event{Kind: event.KindFinished, Finish: &event.Finish{Reason: event.FinishStop}}
}

// duration returns how long the default answer streams.
func (w *world) duration() time.Duration {
	return w.firstToken + time.Duration(w.tokens-1)*w.interToken
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// encodeLine encodes an event as a line: sequence, kind and what it says.
func encodeLine(dst []byte, sequence int64, e event.Event) []byte {
	text := e.Text
	if e.Kind == event.KindStage {
		text = e.Stage.String()
	}
	return fmt.Appendf(dst, "%d %d %s\n", sequence, e.Kind, text)
}

// reading is what one subscription has read.
type reading struct {
	sub    *manager.Subscription
	from   int        // events that the caller had before
	mu     sync.Mutex // guards lines while another goroutine looks
	lines  []string
	end    *manager.End
	tokens int // batches flagged as holding the first token
	done   chan struct{}

	content string // that was asked for; for schedules
}

// read reads sub to its end in a goroutine of the bubble.
func read(sub *manager.Subscription) *reading {
	r := &reading{sub: sub, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.run()
	}()
	return r
}

// run reads to the end and leaves as that end says.
func (r *reading) run() {
	for r.end == nil {
		r.step()
		if r.end == nil {
			select {
			case <-r.sub.Wait():
			case <-r.sub.Cancelled():
			}
		}
	}
	r.sub.Leave(r.end.Outcome)
}

// step takes what is there.
func (r *reading) step() {
	for r.end == nil {
		b := r.sub.Next(1 << 10)
		r.take(b)
		if len(b.Data) == 0 {
			return
		}
	}
}

// read returns how many events of the log r has, those that it had before among them.
func (r *reading) read() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.from + len(r.lines)
}

func (r *reading) take(b manager.Batch) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(b.Data) > 0 {
		r.lines = append(r.lines, strings.Split(strings.TrimSuffix(string(b.Data), "\n"), "\n")...)
		if end := fmt.Sprintf("%d %d ", r.from, event.KindFinished); r.from > 0 && r.lines[0] == end {
			r.from-- // it had the whole log: the end came again
		}
	}
	if b.FirstToken {
		r.tokens++
	}
	r.end = b.End
}

// complete waits for the end and fails unless it is the whole log: 1..n without a
// gap or a repeat.
func (r *reading) complete(t *testing.T) string {
	t.Helper()
	<-r.done
	if r.end.Outcome != manager.Completed {
		t.Errorf("%s ended %s (%v), want completed", r.sub.RequestID(), r.end.Outcome, r.end.Err)
	}
	if err := r.check(); err != nil {
		t.Errorf("%s: %v", r.sub.RequestID(), err)
	}
	return r.text()
}

// check returns an error unless the sequences are from+1, from+2, ...
func (r *reading) check() error {
	for i, line := range r.lines {
		if seq, _, _ := strings.Cut(line, " "); seq != strconv.Itoa(r.from+i+1) {
			return fmt.Errorf("entry %d has sequence %s", r.from+i+1, seq)
		}
	}
	return nil
}

// text returns the answer as far as it was read.
func (r *reading) text() string {
	var b strings.Builder
	for _, line := range r.lines {
		f := strings.SplitN(line, " ", 3)
		if f[1] == strconv.Itoa(int(event.KindText)) {
			b.WriteString(f[2])
		}
	}
	return b.String()
}

// answer is the text of the default answer to content.
func (w *world) answer(content string) string {
	var b strings.Builder
	for i := range w.tokens {
		fmt.Fprintf(&b, "%s-%d ", content, i)
	}
	return b.String()
}
