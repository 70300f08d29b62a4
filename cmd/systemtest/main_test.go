package systemtest

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience bounds every wait for what must come. It is no measure: a machine with
// much else to do is slow, not wrong.
const patience = 30 * time.Second

// tick is the time between two looks at what can only be polled.
const tick = 5 * time.Millisecond

// programs are the paths of what is tested. TestMain sets them; then they are
// read-only.
var programs struct{ sauron, hook string }

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "systemtest")
	if err == nil {
		err = build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "systemtest:", err)
		_ = os.RemoveAll(dir)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(status int) {
		_ = os.RemoveAll(dir)
		os.Exit(status)
	}))
}

// build builds the programs into dir.
func build(dir string) error {
	args := []string{"build", "-ldflags=-w", "-o", dir + string(filepath.Separator)} // linking takes half the time
	if raceDetector {
		args = append(args, "-race")
	}
	args = append(args, "../sauron", "../example-hook")
	if out, err := exec.CommandContext(context.Background(), "go", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	programs.sauron = filepath.Join(dir, "sauron")
	programs.hook = filepath.Join(dir, "example-hook")
	return nil
}

// noteSources tells the cache of go test that results depend on the sources of the
// programs, which no package here imports: it notes the folders that a test reads.
var noteSources = sync.OnceFunc(func() {
	for _, root := range []string{"../../client", "../../cmd", "../../gen", "../../manager", "../../server"} {
		_ = filepath.WalkDir(root, func(string, fs.DirEntry, error) error { return nil }) // what is not there was not built
	}
})

// patient returns a context that ends with the test, or when patience does. It is
// no deadline: a caller's deadline would be sent along and means something.
func patient(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	timer := time.AfterFunc(patience, func() { cancel(fmt.Errorf("nothing came for %v", patience)) })
	t.Cleanup(func() {
		timer.Stop()
		cancel(nil)
	})
	return ctx
}

// receive returns what comes on c.
func receive[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case v := <-c:
		return v
	case <-timer.C:
		t.Fatalf("no %s for %v", what, patience)
		panic("unreachable")
	}
}

// eventually waits until f finds nothing wrong.
func eventually(t *testing.T, f func() error) {
	t.Helper()
	ctx := patient(t)
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("after %v: %v", patience, err)
		}
	}
}

// pass lets time pass where the passing is what the test is about.
func pass(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	<-timer.C
}
