package manager_test

import (
	"fmt"
	"iter"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/sauron-stream/sauron/manager"
	"github.com/sauron-stream/sauron/manager/event"
	"github.com/sauron-stream/sauron/manager/fault"
)

// A schedule is a random history: who joins, leaves and cancels when, how fast each
// reads, and what the upstream does. It is drawn before the bubble begins, so that
// rapid can shrink it.
type schedule struct {
	config manager.Config
	stage  struct{ prepare, firstToken, interToken, unwind time.Duration }
	tokens int
	window time.Duration
	fails  map[int]bool // generations that break after their first token
	retry  map[int]bool // generations whose first attempt fails
	acts   []act
}

type act struct {
	after   time.Duration
	id      string
	content string
	off     bool
	grace   time.Duration
	how     manager.Outcome // how the stream is left, after its life
	life    time.Duration   // how long it reads; cancel: when the id is cancelled
	cancel  bool
	step    int // bytes it reads at once
	replay  bool
	resume  bool // go on in the generation of an earlier reader, at what it had read
	earlier int  // which: from the last one backwards
	beyond  int  // ... and so much further
}

func drawSchedule(t *rapid.T) schedule {
	ms := func(name string, most int) time.Duration {
		// Multiples of 50 ms make many things happen at the same moment.
		return time.Duration(rapid.IntRange(0, most/50).Draw(t, name)) * 50 * time.Millisecond
	}
	s := schedule{config: defaults, fails: map[int]bool{}, retry: map[int]bool{}}
	s.config.MaxConcurrentRequests = rapid.IntRange(1, 3).Draw(t, "permits")
	s.config.MaxConcurrentLLMStreams = rapid.IntRange(1, 3).Draw(t, "slots")
	s.config.QueueCapacity = rapid.IntRange(0, 3).Draw(t, "queue")
	s.config.PreparedBacklog = rapid.IntRange(0, 3).Draw(t, "backlog")
	s.config.MaxQueueWait = ms("wait", 3000)
	s.config.OrphanGrace = ms("grace", 2000)
	s.config.IDMemory = ms("memory", 2000)
	s.stage.prepare, s.stage.firstToken = ms("prepare", 500), ms("first", 500)
	s.stage.interToken, s.stage.unwind = ms("inter", 200), ms("unwind", 100)
	s.tokens = rapid.IntRange(1, 8).Draw(t, "tokens")
	s.window = ms("window", 3000)
	s.config.MaxLogBytes = rapid.SampledFrom([]int64{20 << 10, 1 << 30}).Draw(t, "log_bytes")
	for g := range 4 {
		s.fails[g+1] = rapid.IntRange(0, 4).Draw(t, "fails") == 0
		s.retry[g+1] = rapid.IntRange(0, 4).Draw(t, "retry") == 0
	}
	for range rapid.IntRange(1, 30).Draw(t, "acts") {
		a := act{
			after:   ms("after", 400),
			id:      rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f"}).Draw(t, "id"),
			content: rapid.SampledFrom([]string{"A", "B", "C"}).Draw(t, "content"),
			off:     rapid.IntRange(0, 5).Draw(t, "off") == 0,
			grace:   ms("own_grace", 2000),
			life:    ms("life", 3000),
			cancel:  rapid.IntRange(0, 3).Draw(t, "cancel") == 0,
			step:    rapid.SampledFrom([]int{1, 40, 1 << 20}).Draw(t, "step"),
			how:     rapid.SampledFrom([]manager.Outcome{manager.Disconnected, manager.Deadline, manager.Slow}).Draw(t, "how"),
			replay:  rapid.IntRange(0, 2).Draw(t, "replay") == 0,
			resume:  rapid.IntRange(0, 2).Draw(t, "resume") == 0,
			earlier: rapid.IntRange(0, 5).Draw(t, "earlier"),
			beyond:  rapid.SampledFrom([]int{0, 0, 0, -1, -100, 1, 100}).Draw(t, "beyond"),
		}
		s.acts = append(s.acts, a)
	}
	return s
}

// Whatever joins, leaves, cancels and ends race with each other: every reader gets
// a gap-free prefix of its own generation's log, or all of it and its end; readers
// of one generation agree; limits hold; and nothing is left behind.
func TestSchedules(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := drawSchedule(rt)
		var problems []string
		synctest.Test(t, func(t *testing.T) { problems = s.play(t) })
		if len(problems) > 0 {
			rt.Fatalf("%d problems, the first: %s", len(problems), problems[0])
		}
	})
}

func (s schedule) play(t *testing.T) (problems []string) {
	problem := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	w := newWorld(t, func(w *world) {
		w.cfg, w.tokens = s.config, s.tokens
		w.prepare, w.firstToken = s.stage.prepare, s.stage.firstToken
		w.interToken, w.unwind = s.stage.interToken, s.stage.unwind
	})
	w.streaming = s.upstream(w)

	var readings []*reading
	for _, a := range s.acts {
		time.Sleep(a.after)
		if a.cancel {
			if _, err := w.Cancel("t", a.id); err != nil && err != manager.ErrUnknownRequest { //nolint:errorlint // a sentinel
				problem("cancel: %v", err)
			}
			continue
		}
		r := w.request(a.id, a.content)
		r.Coalesce, r.OrphanGrace, r.Replay, r.ReplayWindow = !a.off, a.grace, a.replay, s.window
		had, before := 0, (*reading)(nil)
		if a.resume && len(readings) > 0 {
			before = readings[max(0, len(readings)-1-a.earlier)]
			had = before.read()
			r.Resume = &manager.ResumePoint{GenerationID: before.sub.GenerationID(), After: int64(max(0, had+a.beyond))}
		}
		sub, err := w.Join(r)
		if err != nil {
			if wrong := a.refused(r, before, had, err); wrong != "" {
				problem("%s: %v", wrong, err)
			}
			continue
		}
		reading := &reading{sub: sub, content: a.content, done: make(chan struct{})}
		if r.Resume != nil {
			reading.from = int(r.Resume.After)
			select {
			case <-sub.Cancelled(): // of a cancelled id: it is shown its own, and nothing else
				reading.from = 0
			default:
				if sub.GenerationID() == before.sub.GenerationID() {
					break
				}
				problem("resumed %s and got %s", before.sub.GenerationID(), sub.GenerationID())
			}
		}
		readings = append(readings, reading)
		go a.read(reading)
	}
	for _, r := range readings {
		<-r.done
	}
	// All leases and memories end.
	time.Sleep(s.config.OrphanGrace + s.config.IDMemory + s.stage.unwind + s.window + time.Minute)
	synctest.Wait()
	if left := w.Left(); left != (manager.Left{}) {
		problem("left behind: %+v", left)
	}
	w.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.maxPrepare > s.config.MaxConcurrentRequests || w.maxStream > s.config.MaxConcurrentLLMStreams {
		problem("%d prepared and %d streamed at a time", w.maxPrepare, w.maxStream)
	}
	if w.inPrepare != 0 || w.inStream != 0 {
		problem("%d still prepare, %d still stream", w.inPrepare, w.inStream)
	}

	type entry struct {
		generation string
		index      int
	}
	logs := map[entry]string{}
	contents := map[string]string{}
	for _, r := range readings {
		id := r.sub.GenerationID()
		if err := r.check(); err != nil {
			problem("%v", err)
		}
		// All readings of a generation are pieces of one log.
		for i, line := range r.lines {
			at := entry{id, r.from + i}
			if other, ok := logs[at]; ok && other != line {
				problem("two readers of %s read %q and %q", id, line, other)
			}
			logs[at] = line
		}
		if text := r.text(); text != "" && r.from == 0 {
			content := text[:1]
			if contents[id] != "" && contents[id] != content {
				problem("%s mixes contents", id)
			}
			contents[id] = content
			if want := w.answer(content); !strings.HasPrefix(want, text) {
				problem("text %q is no prefix of %q", text, want)
			} else if r.end != nil && r.end.Outcome == manager.Completed && text != want {
				problem("completed with %q", text)
			}
		}
	}
	streams, ends := 0, map[string]int64{}
	for _, report := range w.reports {
		streams += report.Attempts
		ends[report.GenerationID] = report.Events
	}
	for at := range logs {
		if events := ends[at.generation]; int64(at.index) >= events {
			problem("read event %d of %d", at.index+1, events)
		}
	}
	if streams != w.streams {
		problem("%d upstream streams, reports say %d", w.streams, streams)
	}
	return problems
}

// refused returns what is wrong with err as the answer to a's request r, or "". before
// and had are the reader whose generation r resumes and what it had read.
func (a act) refused(r manager.Request, before *reading, had int, err error) string {
	f, ok := err.(*fault.Error) //nolint:errorlint // Join returns it bare
	switch {
	case !ok:
		return "no fault"
	case f.Reason == fault.RequestIDInUse:
		return ""
	case r.Resume == nil:
		if f.Reason != fault.QueueFull && f.Reason != fault.ServerBusy {
			return "join"
		}
	case f.Reason == fault.ResumeMismatch:
		if before.content == a.content {
			return "the content is the same"
		}
	case f.Reason == fault.ResumeOutOfRange:
		if r.Resume.After <= int64(had) {
			return fmt.Sprintf("somebody has read %d events", had)
		}
	case f.Reason != fault.GenerationGone:
		return "resume"
	}
	return ""
}

// upstream returns an upstream that fails as s says.
func (s schedule) upstream(w *world) func(generation, attempt int) iter.Seq2[event.Event, error] {
	return func(generation, attempt int) iter.Seq2[event.Event, error] {
		switch {
		case s.retry[generation] && attempt == 1:
			return func(yield func(event.Event, error) bool) {
				yield(event.Event{}, &fault.Retry{After: 100 * time.Millisecond, Err: fault.New(fault.UpstreamUnavailable, nil)})
			}
		case s.fails[generation]:
			return func(yield func(event.Event, error) bool) {
				_ = yield(event.Text(w.contents(generation)+"-0 "), nil) && yield(event.Event{}, fault.New(fault.UpstreamBroken, nil))
			}
		}
		return nil
	}
}

// read reads for a's life in a's steps, then leaves as a says.
func (a act) read(r *reading) {
	defer close(r.done)
	life := time.NewTimer(a.life)
	defer life.Stop()
	for {
		b := r.sub.Next(a.step)
		r.take(b)
		if r.end != nil {
			r.sub.Leave(r.end.Outcome)
			return
		}
		if len(b.Data) > 0 {
			continue
		}
		select {
		case <-r.sub.Wait():
		case <-r.sub.Cancelled():
		case <-life.C:
			r.sub.Leave(a.how)
			return
		}
	}
}
