package systemtest

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Every test that docs/semantics.md names is there, where it says.
func TestSemanticsNamesItsTests(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/semantics.md")
	if err != nil {
		t.Fatal(err)
	}
	// `TestA`, `TestB` in `folder`
	named := regexp.MustCompile("((?:`(?:Test|Fuzz)\\w+`,?\\s+)+)in `([a-z/]+)`").FindAllStringSubmatch(string(text), -1)
	count := 0
	for _, m := range named {
		tests := testsIn(t, m[2])
		for _, name := range regexp.MustCompile(`\w+`).FindAllString(m[1], -1) {
			count++
			if !slices.Contains(tests, name) {
				t.Errorf("%s is no test in %s", name, m[2])
			}
		}
	}
	if all := len(regexp.MustCompile("`(Test|Fuzz)\\w+`").FindAllString(string(text), -1)); count != all {
		t.Errorf("%d of %d names say where they are", count, all)
	}
	// Each row of a table of rules has one.
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "| ") && !strings.Contains(line, "shown by") && !strings.Contains(line, "---") &&
			!strings.Contains(line, "`Test") && !strings.Contains(line, "the contract") {
			t.Errorf("no test: %s", line)
		}
	}
}

// testsIn returns the names of the tests in a folder.
func testsIn(t *testing.T, folder string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("../..", folder, "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s has no tests: %v", folder, err)
	}
	var names []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`).FindAllStringSubmatch(string(text), -1) {
			names = append(names, m[1])
		}
	}
	return names
}
