//go:build unix && !linux

package local

// memoryDir is "": there is no folder in memory that one can rely on.
func memoryDir() string { return "" }
