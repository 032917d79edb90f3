package rig

import "syscall"

// orphaned has a process end when the one that started it ends, however that does.
func orphaned() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
