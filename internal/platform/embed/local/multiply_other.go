//go:build !amd64

package local

// eight says that the processor can do what dot8 asks of it.
var eight = false

func dot8(*float32, int, *float32, int, *float32, int, int) {
	panic("local: dot8 is of other processors")
}
