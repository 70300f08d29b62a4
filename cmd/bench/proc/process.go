// Package proc runs the bench's processes: it starts them on chosen cores, talks with
// them in lines, and reads what the kernel counts for them.
package proc

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"syscall"
	"time"
)

const stopGrace = 5 * time.Second // from asking a process to end to killing it

// A Command is a program to be run.
type Command struct {
	Name string // in errors
	Argv []string
	Env  []string // besides the inherited
	CPUs []int    // it may run on; empty: all
}

// A Process is a running command. It is used by one goroutine.
type Process struct {
	name   string
	cmd    *exec.Cmd
	cancel context.CancelFunc
	stdin  io.WriteCloser
	said   chan []byte   // lines of its output; closed at their end
	ended  chan struct{} // closed once it has ended
	stderr *tail
}

// Start starts a command. When ctx ends, or on Stop, it is asked to end and, if it
// does not, killed.
func Start(ctx context.Context, c Command) (*Process, error) {
	ctx, cancel := context.WithCancel(ctx)
	p := &Process{name: c.Name, cancel: cancel, said: make(chan []byte), ended: make(chan struct{}), stderr: &tail{}}
	p.cmd = exec.CommandContext(ctx, c.Argv[0], c.Argv[1:]...)
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	p.cmd.WaitDelay = stopGrace
	p.cmd.Stderr = p.stderr
	p.cmd.Env = append(p.cmd.Environ(), c.Env...)
	if err := p.start(c.CPUs); err != nil {
		cancel()
		return nil, fmt.Errorf("%s: %w", c.Name, err)
	}
	return p, nil
}

func (p *Process) start(cpus []int) error {
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := onCPUs(cpus, p.cmd.Start); err != nil {
		return err
	}
	go func() {
		defer close(p.ended)
		p.listen(stdout)
		_ = p.cmd.Wait() // how it ended is in cmd.ProcessState
	}()
	return nil
}

// listen passes on lines until the output ends.
func (p *Process) listen(stdout io.Reader) {
	defer close(p.said)
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		p.said <- append([]byte(nil), lines.Bytes()...)
	}
}

// Stop ends the process and waits for it. It may be called again.
func (p *Process) Stop() {
	_ = p.stdin.Close() // that is how roles are told to end
	p.cancel()
	for range p.said { // whatever it still says
	}
	<-p.ended
}

// Say sends a word.
func (p *Process) Say(word string) error {
	if _, err := io.WriteString(p.stdin, word+"\n"); err != nil {
		return p.failed(err)
	}
	return nil
}

// A line is what a role says: what it is, and the value.
type line struct {
	Kind  string
	Value json.RawMessage
}

// Hear waits for a line of a kind and puts its value into v. Other lines are passed
// over.
func (p *Process) Hear(ctx context.Context, kind string, v any) error {
	for {
		select {
		case text, ok := <-p.said:
			if !ok {
				<-p.ended
				return p.failed(errors.New("it has ended"))
			}
			var l line
			if err := json.Unmarshal(text, &l); err != nil {
				return p.failed(err)
			}
			if l.Kind == kind {
				return json.Unmarshal(l.Value, v)
			}
		case <-ctx.Done():
			return p.failed(fmt.Errorf("waiting for %q: %w", kind, context.Cause(ctx)))
		}
	}
}

// Write writes a line that Hear takes.
func Write(w io.Writer, kind string, v any) error {
	value, err := json.Marshal(v)
	if err != nil {
		return err
	}
	text, err := json.Marshal(line{kind, value})
	if err != nil {
		return err
	}
	_, err = w.Write(append(text, '\n'))
	return err
}

// Alive returns an error if the process has ended. It takes what the process says.
func (p *Process) Alive() error {
	select {
	case <-p.ended:
		return p.failed(errors.New("it has ended"))
	default:
		return nil
	}
}

func (p *Process) failed(err error) error {
	if text := p.stderr.String(); text != "" {
		return fmt.Errorf("%s: %w\n%s", p.name, err, text)
	}
	return fmt.Errorf("%s: %w", p.name, err)
}
