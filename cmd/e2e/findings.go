package main

import (
	"fmt"
	"slices"
	"strings"

	sauronv1 "github.com/sauron-stream/sauron/gen/sauron/v1"
)

// A finding says of one promise whether it was kept, and what was seen.
type finding struct {
	promise string
	kept    bool
	saw     string
}

// failure is an error if a promise was broken.
func failure(findings []finding) error {
	var broken []string
	for _, f := range findings {
		if !f.kept {
			broken = append(broken, f.promise)
		}
	}
	if len(broken) == 0 {
		return nil
	}
	return fmt.Errorf("not as promised: %s", strings.Join(broken, "; "))
}

// judge compares what was seen with what is promised.
func judge(load workload, seen observation) []finding {
	leader, followers := seen.leader()
	return []finding{
		streamsOpened(load, seen),
		oneGeneration(seen),
		leaderEnd(seen, leader),
		midStream(seen, leader, followers),
		followersEqual(followers),
		othersComplete(seen.different),
		upstreamWhole(seen),
		textAsUpstream(seen, followers),
		textAsDirect(seen),
		tokensOnce(load, seen, followers),
		drained(seen),
	}
}

// leader returns the one of the identical callers that leads, and the rest of them.
// Where none leads or several do, there is no leader.
func (s story) leader() (leader *record, followers []*record) {
	i := slices.IndexFunc(s.identical, (*record).leads)
	if i < 0 || slices.ContainsFunc(s.identical[i+1:], (*record).leads) {
		return nil, s.identical
	}
	return s.identical[i], slices.Delete(slices.Clone(s.identical), i, i+1)
}

func streamsOpened(load workload, seen observation) finding {
	want := len(load.questions())
	questions := map[string]bool{}
	for _, e := range seen.passed {
		questions[e.question] = true
	}
	f := finding{
		promise: "upstream streams opened",
		kept:    len(seen.passed) == want && len(questions) == want && seen.counted == want,
	}
	witnesses := fmt.Sprintf("the proxy before the upstream %d, sauron's metric %d", len(seen.passed), seen.counted)
	if seen.recorded != nil {
		f.kept = f.kept && *seen.recorded == want
		witnesses += fmt.Sprintf(", the upstream's journal %d", *seen.recorded)
	}
	f.saw = fmt.Sprintf("%d for %d requests (%s)", len(seen.passed), len(seen.identical)+len(seen.different), witnesses)
	return f
}

func oneGeneration(seen observation) finding {
	leaders, followers := 0, 0
	generations := map[string]bool{}
	for _, r := range seen.identical {
		generations[r.started.GetGenerationId()] = true
		switch {
		case r.leads():
			leaders++
		case r.started.GetParticipation() == sauronv1.Participation_PARTICIPATION_FOLLOWER:
			followers++
		}
	}
	return finding{
		promise: "identical callers share",
		kept:    leaders == 1 && followers == len(seen.identical)-1 && len(generations) == 1,
		saw:     fmt.Sprintf("leaders %d, followers %d, generation ids %d", leaders, followers, len(generations)),
	}
}

func leaderEnd(seen observation, leader *record) finding {
	f := finding{promise: "the leader's last event"}
	switch {
	case leader == nil:
		f.saw = "no single leader"
	case seen.cancelledAt == 0:
		f.saw = leader.end() + ", not cancelled: the answer was too short"
	case seen.cancelErr != nil:
		f.saw = fmt.Sprintf("%s; Cancel failed: %v", leader.end(), seen.cancelErr)
	default:
		f.kept = leader.cancelled() && len(leader.breaches) == 0 &&
			seen.cancelState == sauronv1.CancelState_CANCEL_STATE_CANCELLED
		f.saw = leader.end()
		if !f.kept {
			f.saw += fmt.Sprintf("; Cancel said %v%s", seen.cancelState, deviations(leader))
		}
	}
	return f
}

func midStream(seen observation, leader *record, followers []*record) finding {
	f := finding{promise: "cancelled in mid-stream"}
	if leader == nil || len(followers) == 0 {
		f.saw = "no single leader with followers"
		return f
	}
	whole := followers[0]
	f.kept = seen.cancelledAt > 0 && leader.last < whole.last && strings.HasPrefix(whole.text, leader.text)
	f.saw = fmt.Sprintf("after event %d; the others got %d", leader.last, whole.last)
	return f
}

func followersEqual(followers []*record) finding {
	f := finding{promise: "the followers' answers"}
	if len(followers) == 0 {
		f.saw = "no followers"
		return f
	}
	completed, equal, first := 0, 0, followers[0]
	for _, r := range followers {
		if r.completed() && len(r.breaches) == 0 {
			completed++
		}
		if r.text == first.text && r.last == first.last {
			equal++
		}
	}
	f.kept = completed == len(followers) && equal == len(followers) && first.text != ""
	f.saw = fmt.Sprintf("%d of %d completed without a gap in the sequence; %d equal byte for byte%s",
		completed, len(followers), equal, deviations(followers...))
	return f
}

func othersComplete(different []*record) finding {
	f := finding{promise: "the different callers"}
	completed := 0
	for _, r := range different {
		if r.completed() && r.leads() && r.text != "" && len(r.breaches) == 0 {
			completed++
		}
	}
	f.kept = completed == len(different)
	f.saw = fmt.Sprintf("%d of %d completed, each as the leader of its own generation%s",
		completed, len(different), deviations(different...))
	return f
}

func upstreamWhole(seen observation) finding {
	whole, chunks := 0, 0
	for _, e := range seen.passed {
		if e.answer.done && !e.cut {
			whole++
		}
		chunks += e.answer.chunks
	}
	return finding{
		promise: "upstream streams whole",
		kept:    whole == len(seen.passed),
		saw:     fmt.Sprintf("%d of %d read to [DONE], in %d chunks", whole, len(seen.passed), chunks),
	}
}

func textAsUpstream(seen observation, followers []*record) finding {
	sent := map[string]string{}
	for _, e := range seen.passed {
		sent[e.question] = e.answer.text
	}
	readers := slices.Concat(followers, seen.different)
	equal := 0
	for _, r := range readers {
		if r.text == sent[r.question] {
			equal++
		}
	}
	return finding{
		promise: "text as the upstream sent it",
		kept:    equal == len(readers),
		saw:     fmt.Sprintf("%d of %d callers, equal byte for byte", equal, len(readers)),
	}
}

func textAsDirect(seen observation) finding {
	equal := 0
	for i, a := range seen.direct {
		if a.done && a.text == seen.passed[i].answer.text {
			equal++
		}
	}
	return finding{
		promise: "text as without sauron",
		kept:    equal == len(seen.passed),
		saw:     fmt.Sprintf("%d of %d equal when the same body goes straight to the upstream", equal, len(seen.passed)),
	}
}

func tokensOnce(load workload, seen observation, followers []*record) finding {
	var generated, delivered int64
	for _, e := range seen.passed {
		if e.question == load.shared {
			generated += e.answer.tokens
		}
	}
	same := generated > 0
	for _, r := range followers {
		delivered += r.usage.GetCompletionTokens()
		same = same && r.usage.GetCompletionTokens() == generated
	}
	return finding{
		promise: "tokens of the shared answer",
		kept:    same,
		saw:     fmt.Sprintf("%d generated, once; %d delivered, to %d callers", generated, delivered, len(followers)),
	}
}

func drained(seen observation) finding {
	return finding{
		promise: "sauron after SIGTERM",
		kept:    seen.exitCode == 0,
		saw:     fmt.Sprintf("exit %d", seen.exitCode),
	}
}

// deviations lists what is wrong with streams that should have ended well, up to
// a few.
func deviations(records ...*record) string {
	var all []string
	for _, r := range records {
		all = append(all, r.breaches...)
		if !r.completed() {
			all = append(all, r.end())
		}
	}
	if len(all) == 0 {
		return ""
	}
	return ": " + strings.Join(all[:min(3, len(all))], "; ")
}
