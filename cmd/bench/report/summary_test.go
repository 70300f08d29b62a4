package report

import "testing"

func TestSummarize(t *testing.T) {
	for _, tt := range []struct {
		name   string
		values []float64
		want   Summary
		text   string
	}{
		{"none", nil, Summary{}, "-"},
		{"one", []float64{7}, Summary{7, 7, 7, 1}, "7"},
		{"odd", []float64{30, 10, 20}, Summary{20, 10, 30, 3}, "20 [10..30]"},
		{"even", []float64{4, 1, 3, 2}, Summary{2.5, 1, 4, 4}, "2.50 [1..4]"},
		{"outlier", []float64{1.234, 1.2, 900, 1.3, 1.1}, Summary{1.234, 1.1, 900, 5}, "1.23 [1.10..900]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := Summarize(tt.values)
			if got != tt.want || got.String() != tt.text {
				t.Errorf("%+v, %q, want %+v, %q", got, got.String(), tt.want, tt.text)
			}
		})
	}
}

// TestSummarizeKeeps leaves the caller's order alone: it is that of the repetitions.
func TestSummarizeKeeps(t *testing.T) {
	values := []float64{3, 1, 2}
	Summarize(values)
	if values[0] != 3 || values[1] != 1 {
		t.Errorf("values are now %v", values)
	}
}

func TestFigure(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 1: "1", 0.034: "0.034", 0.3456: "0.346", 2.094: "2.09", 12.34: "12.3", 123.4: "123", 1234: "1230",
		49876: "49.9 k", 1587451: "1.59 M", -3.5: "-3.50", 999_600: "1 M", 9.996: "10", 0.9996: "1", 1006: "1010",
	} {
		if got := figure(v); got != want {
			t.Errorf("figure(%v) is %q, want %q", v, got, want)
		}
	}
}
