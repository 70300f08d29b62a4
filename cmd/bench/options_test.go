package main

import (
	"io"
	"reflect"
	"testing"

	"github.com/sauron-stream/sauron/cmd/bench/plan"
)

func TestParse(t *testing.T) {
	o, err := parse([]string{"-quick", "-only", "scale,stuck", "-beside", "before=/old", "-beside", "tick=GOGC=400 A=b self --x 1"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	want := options{
		quick: true, reps: 1, only: []string{"scale", "stuck"},
		beside: []plan.NamedBinary{
			{Name: "before", Path: "/old", Flags: []string{}},
			{Name: "tick", Path: "self", Env: []string{"GOGC=400", "A=b"}, Flags: []string{"--x", "1"}},
		},
	}
	if !reflect.DeepEqual(o, want) {
		t.Errorf("%+v, want %+v", o, want)
	}
	if !o.runs("stuck") || o.runs("paced") {
		t.Error("the wrong groups run")
	}
	for _, args := range [][]string{{"-only", "nothing"}, {"-beside", "x"}, {"-beside", "=x"}, {"-beside", "x=A=b"}, {"more"}, {"-what"}} {
		if _, err := parse(args, io.Discard); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
	if o, err := parse(nil, io.Discard); err != nil || o.reps != repetitions || !o.runs("paced") {
		t.Errorf("nothing set: %+v, %v", o, err)
	}
}
