package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/pprof/profile"
)

// A Profile is where a server's processor time went.
type Profile struct {
	Title string
	Taken *profile.Profile
}

// A part is a share of the samples: those that have a function of the list anywhere on
// their stack. Names are matched by their ends, so that they need no path.
type part struct {
	name      string
	functions []string
}

// parts overlap: a write is part of the writer's loop, and what wakes a handler is part
// of what woke it.
var parts = []part{
	{"grpc-go's writer, one a connection", []string{"transport.(*loopyWriter).run"}},
	{"of it framing", []string{"transport.(*loopyWriter).processData"}},
	{"write(2)", []string{"internal/poll.(*FD).Write", "internal/poll.(*FD).Writev"}},
	{"pumps, all", []string{"server.(*pump).run"}},
	{"handlers, all", []string{"server.(*delivery).run"}},
	{"SendMsg, all layers", []string{"interceptors.(*monitoredServerStream).SendMsg", "grpc.(*serverStream).SendMsg"}},
	{"of it grpc-go", []string{"grpc.(*serverStream).SendMsg"}},
	{"select", []string{"runtime.selectgo"}},
	{"making goroutines run", []string{"runtime.goready", "runtime.ready", "runtime.closechan"}},
	{"scheduler", []string{"runtime.schedule", "runtime.park_m", "runtime.findRunnable"}},
	{"allocating", []string{"runtime.mallocgc"}},
	{"garbage collector", []string{"runtime.gcBgMarkWorker", "runtime.gcAssistAlloc", "runtime.bgsweep"}},
	{"reading connections", []string{"transport.(*http2Server).HandleStreams"}},
	{"reading and parsing the upstream", []string{"openai.(*streamer).attempt", "net/http.(*persistConn).readLoop"}},
	{"metrics", []string{"prometheus.(*counter).Add", "prometheus.(*counter).Inc", "prometheus.(*histogram).Observe"}},
}

// topRows is how many functions a profile shows.
const topRows = 15

// shares returns a table of the parts.
func (p Profile) shares() string {
	t := table{head: []string{"part", "share of the samples, %"}}
	total, _ := p.sum(nil)
	for _, part := range parts {
		_, with := p.sum(part.functions)
		t.add(part.name, figure(100*ratio(with, total)))
	}
	return t.String()
}

// sum returns the time of all samples, and of those that have one of the functions.
func (p Profile) sum(functions []string) (total, with float64) {
	for _, s := range p.Taken.Sample {
		v := float64(s.Value[len(s.Value)-1])
		total += v
		if slices.ContainsFunc(stack(s), func(name string) bool {
			return slices.ContainsFunc(functions, func(f string) bool { return strings.HasSuffix(name, f) })
		}) {
			with += v
		}
	}
	return total, with
}

// top returns a table of the functions with the most time of their own.
func (p Profile) top() string {
	own := make(map[string]float64)
	total := 0.0
	for _, s := range p.Taken.Sample {
		v := float64(s.Value[len(s.Value)-1])
		total += v
		if names := stack(s); len(names) > 0 {
			own[names[0]] += v
		}
	}
	names := make([]string, 0, len(own))
	for name := range own {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if own[a] != own[b] {
			if own[a] > own[b] {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	t := table{head: []string{"function", "own time, %"}}
	for _, name := range names[:min(len(names), topRows)] {
		t.add("`"+name[strings.LastIndexByte(name, '/')+1:]+"`", figure(100*ratio(own[name], total)))
	}
	return t.String()
}

// stack returns the functions of a sample, the innermost first.
func stack(s *profile.Sample) []string {
	var names []string
	for _, l := range s.Location {
		for _, line := range l.Line {
			if line.Function != nil {
				names = append(names, line.Function.Name)
			}
		}
	}
	return names
}

// text returns what the report shows of the profile.
func (p Profile) text() string {
	total, _ := p.sum(nil)
	return fmt.Sprintf("**%s**, %s ms of samples\n\n%s%s", p.Title, figure(total/1e6), p.shares(), p.top())
}
