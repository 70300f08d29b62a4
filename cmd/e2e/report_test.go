package main

import (
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

// TestReport verifies what the report says of a run in which one promise was
// broken.
func TestReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := observed(playFake(t, noFlaw, fakeLoad))
		seen.exitCode = 3
		var out strings.Builder
		if err := writeReport(&out, &backend{name: "a fake", remark: "a remark"}, seen, judge(fakeLoad, seen)); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{
			"sauron in front of a fake\n(a remark)\n20 identical callers and 3 different ones",
			"4 for 23 requests (the proxy before the upstream 4, sauron's metric 4, the upstream's journal 4)",
			"Finished{CANCELLED} and status OK",
			"after event 5; the others got 22",
			"19 of 19 completed",
			"20 generated, once; 380 delivered, to 19 callers",
			"FAIL  sauron after SIGTERM",
			"\n    river river river",
		} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%q is not in the report:\n%s", want, out.String())
			}
		}
		if n := strings.Count(out.String(), "FAIL"); n != 1 {
			t.Errorf("%d failures, want 1:\n%s", n, out.String())
		}
	})
}

func TestWrap(t *testing.T) {
	got := wrap("one two\n three fourfivesix  ü", 7)
	want := []string{"one two", "three", "fourfivesix", "ü"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSum(t *testing.T) {
	page := []byte(`# HELP sauron_upstream_streams_total x
sauron_upstream_streams_total{outcome="completed",upstream="default"} 3
sauron_upstream_streams_total{outcome="failed",upstream="a } b"} 1
sauron_upstream_streams_total_other{x="y"} 9
`)
	if got := sum(page, "sauron_upstream_streams_total"); got != 4 {
		t.Errorf("sum %d, want 4", got)
	}
}

func TestUsage(t *testing.T) {
	for name, args := range map[string][]string{
		"nothing":      nil,
		"unknown_mode": {"fast"},
		"more":         {"mock", "real"},
		"unknown_flag": {"mock", "--random-weights"},
	} {
		t.Run(name, func(t *testing.T) {
			if code := run(args, io.Discard, io.Discard); code != 2 {
				t.Errorf("exit %d, want 2", code)
			}
		})
	}
}
