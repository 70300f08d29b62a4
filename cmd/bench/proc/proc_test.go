package proc

import (
	"bytes"
	"runtime"
	"testing"
	"time"
)

// TestParse reads what the kernel and Prometheus write, and refuses what lacks
// something.
func TestParse(t *testing.T) {
	m, err := parseStatus([]byte("Name:\tx\nVmPeak:\t 999 kB\nVmHWM:\t     300 kB\nVmRSS:\t     200 kB\n"))
	if want := (Memory{RSS: 200 << 10, Peak: 300 << 10}); m != want || err != nil {
		t.Errorf("status: %+v, %v, want %+v", m, err, want)
	}
	if _, err := parseStatus([]byte("VmRSS:\t 200 kB\n")); err == nil {
		t.Error("status without VmHWM: no error")
	}
	var page bytes.Buffer
	want := Heap{Objects: 1.5e7, Bytes: 2.25e9}
	if err := WriteHeap(&page, want); err != nil {
		t.Fatal(err)
	}
	h, err := parseHeap("# HELP go_memstats_mallocs_total x\n" + page.String())
	if h != want || err != nil {
		t.Errorf("heap: %+v, %v, want %+v", h, err, want)
	}
	if _, err := parseHeap("go_memstats_mallocs_total 1\n"); err == nil {
		t.Error("page without bytes: no error")
	}
}

// TestProcess starts a process on one core, talks with it, and reads what it has used.
func TestProcess(t *testing.T) {
	runtime.LockOSThread() // what CPUs returns is a thread's
	defer runtime.UnlockOSThread()
	cpus, err := CPUs()
	if err != nil {
		t.Fatal(err)
	}
	p, err := Start(t.Context(), Command{Name: "sh", CPUs: cpus[:1], Argv: []string{
		"/bin/sh", "-c", `i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done
		echo '{"Kind":"noise","Value":1}'; read word; echo "{\"Kind\":\"said\",\"Value\":\"$word\"}"
		read end`,
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	if err := p.Say("hello"); err != nil {
		t.Fatal(err)
	}
	var said string
	if err := p.Hear(t.Context(), "said", &said); err != nil || said != "hello" {
		t.Fatalf("heard %q, %v, want hello", said, err)
	}
	used, err := p.CPU()
	if err != nil || used < 5*time.Millisecond || used > time.Minute {
		t.Errorf("processor time %v, %v, want what a loop of 200000 takes", used, err)
	}
	if m, err := p.Memory(); err != nil || m.RSS == 0 || m.Peak < m.RSS {
		t.Errorf("memory %+v, %v", m, err)
	}
	after, err := CPUs()
	if err != nil || len(after) != len(cpus) {
		t.Errorf("this process may run on %v, %v, before it was %v", after, err, cpus)
	}
	p.Stop()
	if err := p.Alive(); err == nil {
		t.Error("alive after Stop")
	}
}
