package local

import "syscall"

// memoryDir is the system's folder in memory, or "" if it is missing or small, as in a container.
func memoryDir() string {
	const (
		dir       = "/dev/shm"
		tmpfs     = 0x01021994
		plenty    = 4 << 30
		writeExec = 3
	)
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil || fs.Type != tmpfs || fs.Bavail*uint64(fs.Bsize) < plenty {
		return ""
	}
	if syscall.Access(dir, writeExec) != nil {
		return ""
	}
	return dir
}
