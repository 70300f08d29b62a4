package proc

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// CPU returns the processor time that the process has had, to the nanosecond:
// /proc/PID/stat would round it to 10 ms.
func (p *Process) CPU() (time.Duration, error) {
	// clock_getcpuclockid(3): the complement of the pid, and CPUCLOCK_SCHED.
	id := int32(^p.cmd.Process.Pid)<<3 | 2
	var ts unix.Timespec
	if err := unix.ClockGettime(id, &ts); err != nil {
		return 0, p.failed(fmt.Errorf("processor time: %w", err))
	}
	return time.Duration(ts.Nano()), nil
}

// Memory is what a process holds and has held at most, in bytes.
type Memory struct{ RSS, Peak int64 }

// Memory returns the process's resident memory.
func (p *Process) Memory() (Memory, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return Memory{}, p.failed(err)
	}
	m, err := parseStatus(text)
	if err != nil {
		return Memory{}, p.failed(err)
	}
	return m, nil
}

// parseStatus reads /proc/PID/status.
func parseStatus(text []byte) (Memory, error) {
	var m Memory
	fields := map[string]*int64{"VmRSS:": &m.RSS, "VmHWM:": &m.Peak}
	found := 0
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) != 3 || fields[words[0]] == nil || words[2] != "kB" {
			continue
		}
		kib, err := strconv.ParseInt(words[1], 10, 64)
		if err != nil {
			return Memory{}, fmt.Errorf("%s: %w", words[0], err)
		}
		*fields[words[0]] = kib << 10
		found++
	}
	if found != len(fields) {
		return Memory{}, fmt.Errorf("%d of %d lines in the status of a process", found, len(fields))
	}
	return m, nil
}
