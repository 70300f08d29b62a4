//go:build unix

package child

import (
	"os/exec"
	"syscall"
)

// ownGroup makes cmd lead a process group, which its context asks to end: a
// terminal's interrupt reaches it through this program alone, and its children
// end with it.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
}

// killGroup kills whoever is left of a group whose leader has ended.
func killGroup(cmd *exec.Cmd) {
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // nobody left is the usual case
}
