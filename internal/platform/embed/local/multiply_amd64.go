package local

import "golang.org/x/sys/cpu"

// eight says that the processor can do what dot8 asks of it. It is a variable for tests.
var eight = cpu.X86.HasAVX2 && cpu.X86.HasFMA

// dot8 computes the products of two vectors at x with four rows, at once, so that what is fetched is used more than once: four numbers at out and
// four at the next step. Steps and n are counted in numbers; n is a multiple of eight.
//
//go:noescape
func dot8(out *float32, outStep int, rows *float32, rowStep int, x *float32, xStep int, n int)
