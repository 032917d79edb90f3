//go:build !linux

package rig

import "syscall"

// orphaned: elsewhere only an orderly end of the rig ends its processes.
func orphaned() *syscall.SysProcAttr { return nil }
