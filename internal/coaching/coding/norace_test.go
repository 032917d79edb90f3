//go:build !race

package coding

const slower = 1
