package report

import (
	"bufio"
	"bytes"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Facts say where and of what a report was made.
type Facts struct {
	Date    time.Time
	Command string
	Commit  string
	Quick   bool
	Reps    int
	Cores   string // who ran where

	Machine string
	Kernel  string
	Go      string
	GRPC    string
}

// Gather fills in what the machine and the build say of themselves. No name of the
// machine is among it.
func (f *Facts) Gather() {
	f.Date = time.Now().UTC()
	f.Machine = strconv.Itoa(runtime.NumCPU()) + " x " + processor() + ", " + memory()
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		// What distributions put behind the version names the machine's owner.
		release, _, _ := strings.Cut(unix.ByteSliceToString(u.Release[:]), "-")
		f.Kernel = unix.ByteSliceToString(u.Sysname[:]) + " " + release
	}
	f.Go = runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == "google.golang.org/grpc" {
				f.GRPC = m.Version
			}
		}
	}
}

func processor() string {
	return lineOf("/proc/cpuinfo", "model name", "processor of an unknown model")
}

func memory() string {
	kb, err := strconv.ParseFloat(strings.TrimSuffix(lineOf("/proc/meminfo", "MemTotal", ""), " kB"), 64)
	if err != nil {
		return "memory of an unknown size"
	}
	return strconv.FormatFloat(kb/(1<<20), 'f', 0, 64) + " GiB"
}

// lineOf returns the value of a line `name: value` in a file of the kernel's.
func lineOf(path, name, otherwise string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return otherwise
	}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		key, value, _ := strings.Cut(lines.Text(), ":")
		if strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return otherwise
}
