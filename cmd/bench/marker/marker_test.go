package marker

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func text(marks ...Mark) string {
	var b []byte
	for _, m := range marks {
		b = m.Append(append(b, "lorem @ ipsum @@.;"...))
	}
	return string(b) + " dolor @00"
}

func scanAll(pieces ...string) []Mark {
	var s Scanner
	var got []Mark
	for _, p := range pieces {
		s.Scan([]byte(p), func(m Mark) { got = append(got, m) })
	}
	return got
}

var marks = []Mark{{0, 1, 1}, {0xabcde, 0xffffffff, 1<<63 - 1}, {7, 2, 123456789}, {7, 3, 0}}

// TestLen pins the length that everything else relies on.
func TestLen(t *testing.T) {
	for _, m := range marks {
		if got := len(m.Append(nil)); got != Len {
			t.Errorf("%+v is %d bytes long, want %d", m, got, Len)
		}
	}
}

// TestScanEverySplit finds the same marks wherever the stream is cut, in two and in
// three pieces, and byte for byte.
func TestScanEverySplit(t *testing.T) {
	all := text(marks...)
	for i := range len(all) + 1 {
		for j := i; j <= len(all); j++ {
			if got := scanAll(all[:i], all[i:j], all[j:]); !slices.Equal(got, marks) {
				t.Fatalf("cut at %d and %d: %+v, want %+v", i, j, got, marks)
			}
		}
	}
	if got := scanAll(strings.Split(all, "")...); !slices.Equal(got, marks) {
		t.Errorf("byte for byte: %+v, want %+v", got, marks)
	}
}

// TestScanRandomPieces does the same with many pieces of random lengths.
func TestScanRandomPieces(t *testing.T) {
	all := text(marks...) + text(marks...)
	want := append(slices.Clone(marks), marks...)
	for range 2000 {
		var pieces []string
		for rest := all; rest != ""; {
			n := 1 + rand.IntN(min(len(rest), 1+rand.IntN(80)))
			pieces, rest = append(pieces, rest[:n]), rest[n:]
		}
		if got := scanAll(pieces...); !slices.Equal(got, want) {
			t.Fatalf("pieces %q: %+v", pieces, got)
		}
	}
}

// TestScanRefuses passes over what only looks like a mark.
func TestScanRefuses(t *testing.T) {
	good := string(Mark{1, 2, 3}.Append(nil))
	for i := range Len {
		bad := good[:i] + "!" + good[i+1:]
		if got := scanAll(bad); len(got) > 0 {
			t.Errorf("%q: %+v, want nothing", bad, got)
		}
	}
	// A cut one, then a whole one right behind.
	for i := range Len {
		if got := scanAll(good[:i] + good); len(got) != 1 {
			t.Errorf("%q: %+v, want one", good[:i]+good, got)
		}
	}
}

// TestChecker counts what is lost, repeated and reordered, each as itself.
func TestChecker(t *testing.T) {
	for _, tt := range []struct {
		name                      string
		sequences                 []uint32
		last                      int64
		lost, repeated, reordered int64
	}{
		{"whole", []uint32{1, 2, 3}, 3, 0, 0, 0},
		{"nothing", nil, 3, 3, 0, 0},
		{"gap", []uint32{1, 4, 5}, 5, 2, 0, 0},
		{"first-gone", []uint32{3}, 3, 2, 0, 0},
		{"last-gone", []uint32{1, 2}, 4, 2, 0, 0},
		{"repeat", []uint32{1, 2, 2, 1, 3}, 3, 0, 2, 0},
		{"swap", []uint32{2, 1, 3}, 3, 0, 0, 1},
		{"late-then-again", []uint32{1, 3, 2, 2}, 3, 0, 1, 1},
		{"gap-and-repeat", []uint32{1, 70, 1, 70}, 70, 68, 2, 0},
		{"far-gap-filled-late", []uint32{1, 200, 65, 64}, 200, 196, 0, 2},
		{"zero", []uint32{0, 1}, 1, 0, 1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var c Checker
			for _, s := range tt.sequences {
				c.See(s)
			}
			if c.Lost(tt.last) != tt.lost || c.Repeated != tt.repeated || c.Reordered != tt.reordered {
				t.Errorf("lost %d, repeated %d, reordered %d, want %d, %d, %d",
					c.Lost(tt.last), c.Repeated, c.Reordered, tt.lost, tt.repeated, tt.reordered)
			}
		})
	}
}
