package proc

import "sync"

// tailSize is how much of a process's complaints is kept, in bytes.
const tailSize = 4 << 10

// A tail is a writer that keeps the end. It is safe for concurrent use.
type tail struct {
	mu   sync.Mutex // guards the fields below
	kept []byte
}

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - tailSize; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	return len(p), nil
}

// String returns what was kept.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.kept)
}
