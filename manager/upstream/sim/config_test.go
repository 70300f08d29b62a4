package sim_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sauron-stream/sauron/manager/upstream/sim"
)

// Every setting is checked, and all problems are reported together.
func TestNewProblems(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*sim.Config)
		want   []string
	}{
		{"none", func(*sim.Config) {}, nil},
		{"most", func(c *sim.Config) {
			c.FirstToken, c.InterToken, c.Tokens = time.Hour, time.Hour, 1_000_000
			c.Fault = sim.Fault{Kind: sim.FaultBreak, AfterTokens: 1_000_000, Status: 599, RetryAfter: time.Hour}
		}, nil},
		{"name", func(c *sim.Config) { c.Name = "" }, []string{"name"}},
		{"streams", func(c *sim.Config) { c.MaxStreams = -1 }, []string{"streams"}},
		{"first", func(c *sim.Config) { c.FirstToken = -1 }, []string{"first token"}},
		{"first_over", func(c *sim.Config) { c.FirstToken = time.Hour + 1 }, []string{"first token"}},
		{"inter", func(c *sim.Config) { c.InterToken = -1 }, []string{"between tokens"}},
		{"inter_over", func(c *sim.Config) { c.InterToken = time.Hour + 1 }, []string{"between tokens"}},
		{"tokens", func(c *sim.Config) { c.Tokens = 0 }, []string{"tokens are not"}},
		{"tokens_over", func(c *sim.Config) { c.Tokens = 1_000_001 }, []string{"tokens are not"}},
		{"fault", func(c *sim.Config) { c.Fault.Kind = "x" }, []string{`fault "x"`}},
		{"after", func(c *sim.Config) { c.Fault.AfterTokens = -1 }, []string{"before the fault"}},
		{"after_over", func(c *sim.Config) { c.Fault.AfterTokens = 1_000_001 }, []string{"before the fault"}},
		{"status", func(c *sim.Config) { c.Fault.Status = 399 }, []string{"status"}},
		{"status_over", func(c *sim.Config) { c.Fault.Status = 600 }, []string{"status"}},
		{"retry", func(c *sim.Config) { c.Fault.RetryAfter = -1 }, []string{"retry after"}},
		{"retry_over", func(c *sim.Config) { c.Fault.RetryAfter = time.Hour + 1 }, []string{"retry after"}},
		{
			"several", func(c *sim.Config) { *c = sim.Config{FirstToken: -1, Fault: sim.Fault{Kind: "x"}} },
			[]string{"name", "first token", "tokens are not", "fault"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := config()
			tt.change(&cfg)
			u, err := sim.New(cfg)
			if tt.want == nil {
				if err != nil {
					t.Errorf("error = %v, want none", err)
				}
				return
			}
			if err == nil || u != nil {
				t.Fatalf("New = %v, %v; want an error alone", u, err)
			}
			lines := strings.Split(err.Error(), "\n")
			if !slices.EqualFunc(lines, tt.want, strings.Contains) {
				t.Errorf("problems = %q, want %q", lines, tt.want)
			}
		})
	}
}
