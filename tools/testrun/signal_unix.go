//go:build unix

package main

import (
	"os"
	"os/exec"
	"syscall"
)

// separate puts the command into a group of its own, so that a signal reaches it once, through forward, whether it came
// from the terminal or from a supervisor.
func separate(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func forward(cmd *exec.Cmd, s os.Signal) {
	if s, ok := s.(syscall.Signal); ok {
		_ = syscall.Kill(-cmd.Process.Pid, s)
	}
}

// exitCode is the shell's: 128 and the signal's number for a command that a signal ended.
func exitCode(err *exec.ExitError) int {
	if status, ok := err.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return err.ExitCode()
}
