//go:build windows

package main

import (
	"os"
	"os/exec"
)

func separate(*exec.Cmd) {}

// forward does nothing: the console tells every process of Ctrl-C.
func forward(*exec.Cmd, os.Signal) {}

func exitCode(err *exec.ExitError) int { return err.ExitCode() }
