//go:build race

package coding

// slower is how much longer the race detector makes things take.
const slower = 10
