// Package aside keeps the stacks of goroutines small that wait for long.
//
// A stack that has grown shrinks again only where three quarters of it are free, and who waits for a client or an event is in the middle of
// calls already: what was looked at or executed once would be paid for as long as somebody listens, by each of thousands.
package aside

// Do calls f in a goroutine of its own, whose stack goes with it, and waits for it. It panics with what f panics with.
func Do(f func()) {
	var thrown any
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { thrown = recover() }()
		f()
	}()
	<-done
	if thrown != nil {
		panic(thrown)
	}
}
