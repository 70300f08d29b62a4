package main

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

var fakeLoad = workload{shared: "river ", others: []string{"sea ", "lake ", "rain "}, maxTokens: fakePieces, cancelAfter: 5}

// observed is what an honest upstream, proxy and metric add to a story.
func observed(told story) observation {
	seen := observation{story: told, counted: 4, recorded: new(4)}
	for _, question := range fakeLoad.questions() {
		a := answer{chunks: fakePieces, text: strings.Repeat(question, fakePieces), tokens: fakePieces, done: true}
		seen.passed = append(seen.passed, exchange{question: question, answer: a})
		seen.direct = append(seen.direct, a)
	}
	return seen
}

func brokenPromises(seen observation) []string {
	var broken []string
	for _, f := range judge(fakeLoad, seen) {
		if !f.kept {
			broken = append(broken, f.promise)
		}
	}
	return broken
}

// TestScenario verifies who is cancelled when, and what the others get.
func TestScenario(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := observed(playFake(t, noFlaw, fakeLoad))
		for _, f := range judge(fakeLoad, seen) {
			if !f.kept {
				t.Errorf("%s: %s", f.promise, f.saw)
			}
		}
		leader, followers := seen.leader()
		if leader.pieces != fakeLoad.cancelAfter || seen.cancelledAt != fakeLoad.cancelAfter {
			t.Errorf("leader had %d pieces, cancelled at %d, want %d", leader.pieces, seen.cancelledAt, fakeLoad.cancelAfter)
		}
		if len(followers) != identicalCallers-1 {
			t.Errorf("%d followers, want %d", len(followers), identicalCallers-1)
		}
		if got, want := followers[0].text, strings.Repeat("river ", fakePieces); got != want {
			t.Errorf("text %q, want %q", got, want)
		}
		ids := map[string]bool{}
		for _, r := range slices.Concat(seen.identical, seen.different) {
			ids[r.requestID] = true
		}
		if got, want := len(ids), identicalCallers+len(fakeLoad.others); got != want {
			t.Errorf("%d request ids, want %d", got, want)
		}
	})
}

// TestBrokenService verifies that each way to break a promise is found, and
// laid to the right promise.
func TestBrokenService(t *testing.T) {
	for name, test := range map[string]struct {
		flaw flaw
		want []string
	}{
		"no_sharing": {noSharing, []string{
			"identical callers share", "the leader's last event", "cancelled in mid-stream", "the followers' answers",
			"text as the upstream sent it", "tokens of the shared answer",
		}},
		"leader_has_power": {leaderHasPower, []string{
			"cancelled in mid-stream", "the followers' answers", "text as the upstream sent it", "tokens of the shared answer",
		}},
		"cancel_ignored":    {cancelIgnored, []string{"the leader's last event", "cancelled in mid-stream"}},
		"cancel_silent":     {cancelSilent, []string{"the leader's last event"}},
		"one_text_differs":  {oneTextDiffers, []string{"the followers' answers", "text as the upstream sent it"}},
		"one_event_missing": {oneEventMissing, []string{"the followers' answers", "text as the upstream sent it"}},
		"one_broken":        {oneBroken, []string{"the followers' answers", "text as the upstream sent it", "tokens of the shared answer"}},
		"no_usage":          {noUsage, []string{"tokens of the shared answer"}},
		"wrong_request":     {wrongRequest, []string{"the followers' answers"}},
		"after_finished":    {afterFinished, []string{"the followers' answers", "text as the upstream sent it"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if got := brokenPromises(observed(playFake(t, test.flaw, fakeLoad))); !slices.Equal(got, test.want) {
					t.Errorf("broken promises\ngot  %q\nwant %q", got, test.want)
				}
			})
		})
	}
}

// TestTooShort verifies that an answer which is over before the leader could be
// cancelled is no success.
func TestTooShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		load := fakeLoad
		load.cancelAfter = fakePieces + 1
		want := []string{"the leader's last event", "cancelled in mid-stream"}
		if got := brokenPromises(observed(playFake(t, noFlaw, load))); !slices.Equal(got, want) {
			t.Errorf("broken promises\ngot  %q\nwant %q", got, want)
		}
	})
}

// TestBrokenWitness verifies what is found when the callers are content but
// others saw something else.
func TestBrokenWitness(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(*observation)
		want  []string
	}{
		"fifth_stream": {func(o *observation) {
			o.passed = append(o.passed, o.passed[1])
			o.direct = append(o.direct, o.direct[1])
		}, []string{"upstream streams opened"}},
		"metric_off":         {func(o *observation) { o.counted++ }, []string{"upstream streams opened"}},
		"journal_off":        {func(o *observation) { *o.recorded++ }, []string{"upstream streams opened"}},
		"stream_cut":         {func(o *observation) { o.passed[0].cut = true }, []string{"upstream streams whole"}},
		"stream_not_done":    {func(o *observation) { o.passed[2].answer.done = false }, []string{"upstream streams whole"}},
		"sent_another_text":  {func(o *observation) { o.passed[3].answer.text += "!"; o.direct[3].text += "!" }, []string{"text as the upstream sent it"}},
		"another_text_alone": {func(o *observation) { o.direct[0].text += "!" }, []string{"text as without sauron"}},
		"other_tokens":       {func(o *observation) { o.passed[0].answer.tokens++ }, []string{"tokens of the shared answer"}},
		"exit_code":          {func(o *observation) { o.exitCode = 1 }, []string{"sauron after SIGTERM"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				seen := observed(playFake(t, noFlaw, fakeLoad))
				test.spoil(&seen)
				if got := brokenPromises(seen); !slices.Equal(got, test.want) {
					t.Errorf("broken promises\ngot  %q\nwant %q", got, test.want)
				}
				if failure(judge(fakeLoad, seen)) == nil {
					t.Error("no failure")
				}
			})
		})
	}
}
