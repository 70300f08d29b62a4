package report

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sauron-stream/sauron/cmd/bench/load"
	"github.com/sauron-stream/sauron/cmd/bench/plan"
	"github.com/sauron-stream/sauron/cmd/bench/proc"
	"github.com/sauron-stream/sauron/cmd/bench/trial"
	"github.com/sauron-stream/sauron/cmd/bench/upstream"
)

// made is an outcome of 1000 events whose server took so much for each.
func made(p trial.Point, variant string, repetition int, cpu time.Duration) trial.Outcome {
	return trial.Outcome{
		Point: p, Variant: variant, Sauron: variant == plan.Sauron, Repetition: repetition,
		Result: load.Result{
			Received: 1000, Begin: 0, End: int64(time.Second),
			Latency: load.Percentiles{P50: cpu * 100, P99: cpu * 300},
		},
		Wall: time.Second, CPU: 1000 * cpu, Paid: upstream.Stats{Streams: 1, Tokens: 10}, Streams: 1,
		Base: proc.Memory{RSS: 1 << 20}, Idle: proc.Memory{RSS: 1<<20 + int64(p.Streams)*13<<10}, Peak: proc.Memory{Peak: 1<<20 + int64(p.Streams)*26<<10},
	}
}

// sample is a run of everything in the quick plan, with Sauron at a quarter of the
// others' CPU.
func sample(t *testing.T) Data {
	t.Helper()
	d := Data{Facts: Facts{Reps: 2, Commit: "abc"}, Profiles: []Profile{profiled([]int64{1}, []string{"main.main"})}}
	for repetition := range 2 {
		for _, step := range plan.Make(true, plan.Variants{Binary: "x"}) {
			for _, v := range step.Variants {
				cpu := 20 * time.Microsecond * time.Duration(repetition+1)
				if v.Name == plan.Sauron {
					cpu /= 4
				}
				d.Outcomes = append(d.Outcomes, made(step.Point, v.Name, repetition, cpu))
			}
		}
	}
	return d
}

// TestPairedWithinRepetitions takes ratios within repetitions: noise that doubles
// everything in one does not show.
func TestPairedWithinRepetitions(t *testing.T) {
	d := sample(t)
	match := at(plan.Paced, 8, 50)
	got := paired(d.series(plan.Sauron, match), d.series(plan.Channel, match), cpu, ratio)
	if want := (Summary{0.25, 0.25, 0.25, 2}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestGoals(t *testing.T) {
	d := sample(t)
	verdicts := func() map[string]string {
		all := make(map[string]string)
		for _, g := range d.goals() {
			all[g.figure] = g.verdict()
		}
		return all
	}
	got := verdicts()
	for figure, want := range map[string]string{
		"server CPU per delivery against channel per subscriber, 8 connections":        "pass, stretch too",
		"p50 from the upstream's write to the client against the same, 8 connections":  "pass",
		"events lost, repeated or reordered, streams failed, anywhere":                 "pass",
		"deliveries/s beyond saturation against channel per subscriber, 8 connections": "FAIL",
		"RSS per idle subscription, 8 connections":                                     "pass",
		"RSS per idle subscription, own connections":                                   "pass, stretch too",
		"N = 1: CPU per delivery against the goroutine-per-subscription way":           "not measured",
		"100 identical requests: upstream streams":                                     "pass",
		"100 identical requests: tokens paid against two pools":                        "FAIL",
	} {
		if got[figure] != want {
			t.Errorf("%s: %q, want %q", figure, got[figure], want)
		}
	}
	// One lost event beyond saturation, in one repetition, fails both.
	for i, o := range d.Outcomes {
		if o.Sauron && o.Point.Group == plan.Overload && o.Repetition == 1 {
			d.Outcomes[i].Lost = 1
		}
	}
	got = verdicts()
	for _, figure := range []string{
		"events lost, repeated or reordered, streams failed, anywhere",
		"deliveries/s beyond saturation against channel per subscriber, 8 connections",
	} {
		if !strings.HasPrefix(got[figure], "FAIL") {
			t.Errorf("%s with a lost event: %q, want FAIL", figure, got[figure])
		}
	}
}

// TestVerdict needs more than a figure where something is missing.
func TestVerdict(t *testing.T) {
	five := Summary{5, 5, 5, 1}
	for _, tt := range []struct {
		goal goal
		want string
	}{
		{goal{reached: five, atLeast: true, goal: 4}, "pass"},
		{goal{reached: five, atLeast: true, goal: 4, also: "1 lost"}, "FAIL: 1 lost"},
		{goal{reached: five, goal: 4}, "FAIL"},
		{goal{reached: five, goal: 5}, "pass"},
		{goal{reached: Summary{5.002, 5, 6, 3}, goal: 5}, "pass"}, // it is shown as 5
		{goal{reached: five, goal: 7, stretch: 5}, "pass, stretch too"},
		{goal{reached: five, goal: 7, stretch: 4}, "pass"},
		{goal{goal: 7}, "not measured"},
	} {
		if got := tt.goal.verdict(); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.goal, got, tt.want)
		}
	}
}

// TestWrite writes whole pictures, a table for each point, and nothing of a report
// before.
func TestWrite(t *testing.T) {
	folder := t.TempDir()
	old := filepath.Join(folder, "old.svg")
	if err := os.WriteFile(old, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d := sample(t)
	if err := d.Write(folder); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(old); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the old plot: %v, want none", err)
	}
	text, err := os.ReadFile(filepath.Join(folder, "report.md"))
	if err != nil {
		t.Fatal(err)
	}
	pictures, err := filepath.Glob(filepath.Join(folder, "*.svg"))
	if err != nil || len(pictures) != 16 {
		t.Errorf("%d pictures, %v, want 16", len(pictures), err)
	}
	for _, path := range pictures {
		if name := filepath.Base(path); strings.Count(string(text), "("+name+")") != 1 {
			t.Errorf("%s is not in the report once", name)
		}
		wellFormed(t, path)
	}
	for _, p := range d.points(plan.Paced) {
		if !strings.Contains(string(text), "**"+p.Name+"**") {
			t.Errorf("%s is not in the report", p.Name)
		}
	}
	if strings.Contains(string(text), "NaN") || strings.Contains(string(text), "Inf") {
		t.Error("the report has a figure that is none")
	}
	rows, err := os.ReadFile(filepath.Join(folder, "results.csv"))
	if got, want := strings.Count(string(rows), "\n"), 1+len(d.Outcomes); err != nil || got != want {
		t.Errorf("%d lines of results, %v, want %d", got, err, want)
	}
}

func wellFormed(t *testing.T, path string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	decoder := xml.NewDecoder(f)
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(path), err)
			return
		}
		if e, ok := token.(xml.StartElement); ok {
			for _, a := range e.Attr {
				if strings.Contains(a.Value, "NaN") || strings.Contains(a.Value, "Inf") {
					t.Errorf("%s: %s=%q", filepath.Base(path), a.Name.Local, a.Value)
				}
			}
		}
	}
}

// TestTable escapes what would end a cell, and fills rows that are short.
func TestTable(t *testing.T) {
	tbl := table{head: []string{"a", "b"}}
	tbl.add("x|y", "1\n2")
	tbl.add("z")
	want := "| a | b |\n| --- | --- |\n| x\\|y | 1 2 |\n| z |  |\n\n"
	if got := tbl.String(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestAxis puts ends at ends and equal ratios at equal distances.
func TestAxis(t *testing.T) {
	a := logAxis([]float64{1.3, 700, 0, -1}, 10, 300)
	if a.from != 1 || a.to != 1000 {
		t.Fatalf("from %v to %v, want 1 to 1000", a.from, a.to)
	}
	for v, want := range map[float64]float64{1: 10, 10: 110, 100: 210, 1000: 310} {
		if got := a.at(v); got < want-1e-6 || got > want+1e-6 {
			t.Errorf("%v is at %v, want %v", v, got, want)
		}
	}
	if ticks := a.ticks(); len(ticks) != 10 {
		t.Errorf("ticks %v, want 10", ticks)
	}
	if one := logAxis([]float64{5}, 0, 100); !(one.at(5) >= 0 && one.at(5) <= 100) {
		t.Errorf("a single value is at %v", one.at(5))
	}
}
