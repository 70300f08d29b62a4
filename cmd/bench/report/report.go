package report

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/sauron-stream/sauron/cmd/bench/plan"
)

// Write writes the report, its plots and all figures into a folder, which it makes.
// Plots of an earlier report that this one does not have are removed.
func (d Data) Write(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	old, err := filepath.Glob(filepath.Join(folder, "*.svg"))
	if err != nil {
		return err
	}
	for _, path := range old {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	plots := d.plots()
	files := map[string]string{"report.md": d.markdown(plots), "results.csv": d.csv()}
	for _, p := range plots {
		files[p.file] = p.svg
	}
	var errs []error
	for name, text := range files {
		errs = append(errs, os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644))
	}
	return errors.Join(errs...)
}

// markdown returns the report's text.
func (d Data) markdown(plots []plot) string {
	var b strings.Builder
	b.WriteString("# Sauron beside the designs that it replaces\n\n")
	if d.Facts.Quick {
		b.WriteString("**A quick pass: it shows that everything works. Its figures mean nothing.**\n\n")
	}
	b.WriteString(d.facts())
	b.WriteString("## Goals\n\n" + goalsText + d.goalsTable())
	b.WriteString("## Correctness\n\n" + correctnessText + d.correctness())
	sections := []struct{ title, text, body string }{
		{"From one reader to thousands, 8 shared connections", scaleText, d.scale(8)},
		{"From one reader to thousands, a connection each", "", d.scale(0)},
		{"Paced", pacedText, d.group(plan.Paced, pointColumns)},
		{"Beyond saturation", overloadText, d.group(plan.Overload, pointColumns)},
		{"A stuck reader", stuckText, d.group(plan.Stuck, pointColumns)},
		{"With generated grpc-go clients", stubText, d.group(plan.Stub, pointColumns)},
		{"The cost of not sharing", uniqueText, d.unique()},
		{"100 identical requests", "", d.group(plan.Identical, []column{
			{"upstream streams", streams}, {"tokens paid", tokens}, {"server CPU per delivery, us", cpu}, {"p50, ms", p50},
		})},
	}
	used := make(map[string]bool)
	for i, s := range sections {
		if s.body == "" {
			continue
		}
		fmt.Fprintf(&b, "## %s\n\n%s", s.title, s.text)
		for _, p := range plots {
			if !used[p.file] && belongs(p.file, i) {
				used[p.file] = true
				fmt.Fprintf(&b, "![%s](%s)\n\n", p.title, p.file)
			}
		}
		b.WriteString(s.body)
	}
	b.WriteString(d.profiles())
	if !d.Facts.Quick {
		b.WriteString(notesText)
	}
	return b.String()
}

// belongs says in which section a plot stands.
func belongs(file string, section int) bool {
	switch section {
	case 0, 1:
		return strings.HasSuffix(file, []string{"-shared.svg", "-own.svg"}[section]) &&
			!strings.HasPrefix(file, "paced") && !strings.HasPrefix(file, "overload")
	case 2:
		return strings.HasPrefix(file, "paced")
	case 3:
		return strings.HasPrefix(file, "overload")
	}
	return false
}

func (d Data) facts() string {
	f := d.Facts
	t := table{head: []string{"", ""}}
	t.add("made", f.Date.Format("2006-01-02 15:04 UTC")+", commit "+f.Commit)
	t.add("again", "`"+f.Command+"`")
	t.add("machine", f.Machine+", "+f.Kernel)
	t.add("versions", f.Go+", grpc-go "+f.GRPC)
	t.add("cores", f.Cores)
	t.add("repetitions", fmt.Sprint(f.Reps))
	return t.String() + fmt.Sprintf(methodText, d.Facts.Reps, plan.BeforeCommit)
}

func (d Data) goalsTable() string {
	t := table{head: []string{"figure", "goal", "stretch", "reached", ""}}
	for _, g := range d.goals() {
		row := g.row()
		if d.Facts.Quick {
			row[len(row)-1] = "not judged"
		}
		t.add(row...)
	}
	return t.String()
}

func (d Data) profiles() string {
	if len(d.Profiles) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("## What dominates\n\n" + profileText)
	for _, p := range d.Profiles {
		b.WriteString(p.text())
	}
	return b.String()
}
