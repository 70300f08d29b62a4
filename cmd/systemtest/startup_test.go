package systemtest

import (
	"net"
	"strings"
	"testing"
)

// What keeps the service from serving is one line on standard error and an exit
// status: 1 for an address that is taken, 2 for a mistake in the configuration. A
// mistake is found before anything listens: here, too, the address is taken.
func TestDoesNotServe(t *testing.T) {
	t.Parallel()
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	address := taken.Addr().String()
	for _, tt := range []struct {
		name   string
		file   string
		env    []string
		flags  []string
		status int
		says   string // in the line
	}{
		{name: "address_in_use", status: 1, says: "gRPC listener: listen tcp " + address + ": bind: address already in use"},
		{
			name: "admin_address_in_use", flags: []string{"--listen=127.0.0.1:0", "--admin-listen=" + address}, status: 1,
			says: "admin listener: listen tcp " + address,
		},
		{name: "unknown_flag", flags: []string{"--orphan-graze=1s"}, status: 2, says: "-orphan-graze"},
		{name: "bad_flag", flags: []string{"--orphan-grace=soon"}, status: 2, says: `--orphan-grace: "soon"`},
		{name: "bad_variable", env: []string{"SAURON_ORPHAN_GRACE=soon"}, status: 2, says: `SAURON_ORPHAN_GRACE: "soon"`},
		{name: "argument", flags: []string{"now"}, status: 2, says: `"now"`},
		{name: "no_file", flags: []string{"--config=nowhere.yaml"}, status: 2, says: "nowhere.yaml"},
		{name: "unknown_key", file: "queue_capacity: 1\norphan_graze: 1s\n", status: 2, says: "sauron.yaml:2: orphan_graze"},
		{name: "bad_value", file: "\norphan_grace: soon\n", status: 2, says: "sauron.yaml:2: orphan_grace"},
		{name: "no_yaml", file: "{", status: 2, says: "sauron.yaml:1"},
		{
			name: "no_key", status: 2, says: "api_key_env",
			file: "upstreams:\n- {name: a, type: openai, base_url: http://localhost/v1, api_key_env: NO_SUCH_KEY}\nroutes:\n- {model: m, upstream: a}\n",
		},
		{
			name: "unknown_upstream", status: 2, says: "sauron.yaml:4: routes[0].upstream",
			file: "upstreams:\n- {name: a, type: sim}\nroutes:\n- {model: m, upstream: b}\n",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			flags := append([]string{"--listen=" + address}, tt.flags...)
			p := settings{file: tt.file, env: tt.env, flags: flags}.start(t)
			status, said := p.exit(t), p.stderr.String()
			if status != tt.status || !strings.Contains(said, tt.says) {
				t.Errorf("exit status %d and %q, want %d and %q", status, said, tt.status, tt.says)
			}
			if strings.Count(said, "\n") != 1 || !strings.HasSuffix(said, "\n") || p.stdout.String() != "" {
				t.Errorf("%q on standard error and %q on standard output, want one line on the first", said, p.stdout)
			}
		})
	}
}
