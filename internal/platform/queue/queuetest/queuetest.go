// Package queuetest holds what every queue.Queue must do, whatever it is made of.
package queuetest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/queue"
)

// Fixture is a queue under test.
type Fixture struct {
	Queue queue.Queue
	// Send makes n new messages due: by a Sender, or by committing rows.
	Send func(n int) []queue.Message
}

const (
	long  = time.Minute            // nothing here runs out by itself
	short = 300 * time.Millisecond // something runs out soon
	quiet = 150 * time.Millisecond // how long a queue has to stay silent to have shown that it does
	limit = 20 * time.Second       // for what must happen, on a busy machine
)

// Run runs the suite. setup makes an empty queue whose deliveries are held for the given visibility.
func Run(t *testing.T, setup func(t *testing.T, visibility time.Duration) Fixture) {
	for name, test := range map[string]struct {
		visibility time.Duration
		run        func(*testing.T, Fixture)
	}{
		"delivers what was sent":                    {long, deliversWhatWasSent},
		"delivers in batches":                       {long, deliversInBatches},
		"wakes a waiting receiver":                  {long, wakesAWaitingReceiver},
		"hides what is held":                        {long, hidesWhatIsHeld},
		"redelivers when visibility has run out":    {short, redelivers},
		"keeps what is extended":                    {short, keepsWhatIsExtended},
		"keeps all that are extended":               {short, keepsAllThatAreExtended},
		"knows that a delivery was lost":            {short, knowsThatADeliveryWasLost},
		"shortens by extending":                     {long, shortensByExtending},
		"forgets what is acknowledged":              {short, forgetsWhatIsAcknowledged},
		"ignores the acknowledgement of a lost one": {short, ignoresLateAck},
		"gives back what is released":               {long, givesBackWhatIsReleased},
		"delays what is released for later":         {long, delaysWhatIsReleasedForLater},
		"never lets two hold one":                   {long, neverLetsTwoHoldOne},
		"returns when its context ends":             {long, returnsWhenItsContextEnds},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.run(t, setup(t, test.visibility))
		})
	}
}

func deliversWhatWasSent(t *testing.T, f Fixture) {
	want := f.Send(1)[0]
	got := receive(t, f.Queue, 10)
	if len(got) != 1 || got[0].Message != want || got[0].Receipt == "" {
		t.Errorf("received %+v, want %+v with a receipt", got, want)
	}
}

func deliversInBatches(t *testing.T, f Fixture) {
	const n, batch = 25, 10
	want := set(f.Send(n))
	for len(want) > 0 {
		got := receive(t, f.Queue, batch)
		if len(got) > batch {
			t.Fatalf("received %d, asked for %d", len(got), batch)
		}
		for _, d := range got {
			if !want[d.Message] {
				t.Fatalf("received %v, which was not sent or is held", d.ID)
			}
			delete(want, d.Message)
		}
	}
}

func wakesAWaitingReceiver(t *testing.T, f Fixture) {
	got := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		_, err := f.Queue.Receive(ctx, 1)
		got <- err
	}()
	select {
	case err := <-got:
		t.Fatalf("Receive returned from an empty queue: %v", err)
	case <-time.After(quiet):
	}
	f.Send(1)
	if err := <-got; err != nil {
		t.Error(err)
	}
}

func hidesWhatIsHeld(t *testing.T, f Fixture) {
	f.Send(1)
	receive(t, f.Queue, 1)
	expectQuiet(t, f.Queue, quiet)
}

func redelivers(t *testing.T, f Fixture) {
	f.Send(1)
	start := time.Now()
	first := receive(t, f.Queue, 1)[0]
	second := receive(t, f.Queue, 1)[0]
	if first.Message != second.Message {
		t.Errorf("received %v, then %v", first.Message, second.Message)
	}
	if first.Receipt == second.Receipt {
		t.Error("two deliveries have the same receipt")
	}
	if took := time.Since(start); took < short {
		t.Errorf("came again after %s, while it was still held", took)
	}
}

func keepsWhatIsExtended(t *testing.T, f Fixture) {
	f.Send(1)
	d := receive(t, f.Queue, 1)[0]
	if err := f.Queue.Extend(t.Context(), d, long); err != nil {
		t.Fatal(err)
	}
	expectQuiet(t, f.Queue, short+quiet)
}

func keepsAllThatAreExtended(t *testing.T, f Fixture) {
	source, ok := f.Queue.(queue.Source)
	if !ok {
		t.Skip("nothing is carried from this queue")
	}
	f.Send(4)
	all := receive(t, f.Queue, 1)
	for len(all) < 4 {
		all = append(all, receive(t, f.Queue, 4-len(all))...)
	}
	gone, back := all[0], all[1]
	if err := f.Queue.Ack(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	if err := f.Queue.Release(t.Context(), back, 0); err != nil {
		t.Fatal(err)
	}
	if err := source.ExtendAll(t.Context(), all, long); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, f.Queue, 4); len(got) != 1 || got[0].Message != back.Message {
		t.Errorf("received %v, want what was given back", got)
	} else if err := f.Queue.Extend(t.Context(), got[0], long); err != nil {
		t.Fatal(err)
	}
	expectQuiet(t, f.Queue, short+quiet)
}

func knowsThatADeliveryWasLost(t *testing.T, f Fixture) {
	f.Send(1)
	lost := receive(t, f.Queue, 1)[0]
	kept := receive(t, f.Queue, 1)[0]
	if err := f.Queue.Extend(t.Context(), kept, long); err != nil {
		t.Fatal(err)
	}
	if err := f.Queue.Extend(t.Context(), lost, long); !errors.Is(err, queue.ErrLost) {
		t.Errorf("extending a lost delivery returns %v, want ErrLost", err)
	}
}

func shortensByExtending(t *testing.T, f Fixture) {
	f.Send(1)
	d := receive(t, f.Queue, 1)[0]
	if err := f.Queue.Extend(t.Context(), d, short); err != nil {
		t.Fatal(err)
	}
	receive(t, f.Queue, 1)
}

func forgetsWhatIsAcknowledged(t *testing.T, f Fixture) {
	f.Send(1)
	d := receive(t, f.Queue, 1)[0]
	for range 2 { // the second one changes nothing
		if err := f.Queue.Ack(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	expectQuiet(t, f.Queue, short+quiet)
}

func ignoresLateAck(t *testing.T, f Fixture) {
	f.Send(1)
	lost := receive(t, f.Queue, 1)[0]
	kept := receive(t, f.Queue, 1)[0]
	if err := f.Queue.Ack(t.Context(), lost); err != nil {
		t.Fatal(err)
	}
	if err := f.Queue.Release(t.Context(), lost, long); err != nil {
		t.Fatal(err)
	}
	again := receive(t, f.Queue, 1)[0]
	if again.Message != kept.Message {
		t.Errorf("received %v, want %v", again.Message, kept.Message)
	}
}

func givesBackWhatIsReleased(t *testing.T, f Fixture) {
	f.Send(1)
	d := receive(t, f.Queue, 1)[0]
	if err := f.Queue.Release(t.Context(), d, 0); err != nil {
		t.Fatal(err)
	}
	again := receive(t, f.Queue, 1)[0]
	if again.Message != d.Message || again.Receipt == d.Receipt {
		t.Errorf("received %+v after releasing %+v", again, d)
	}
}

func delaysWhatIsReleasedForLater(t *testing.T, f Fixture) {
	f.Send(1)
	d := receive(t, f.Queue, 1)[0]
	start := time.Now()
	if err := f.Queue.Release(t.Context(), d, short); err != nil {
		t.Fatal(err)
	}
	receive(t, f.Queue, 1)
	if took := time.Since(start); took < short {
		t.Errorf("came again after %s, released for %s", took, short)
	}
}

func neverLetsTwoHoldOne(t *testing.T, f Fixture) {
	const n, receivers = 60, 4
	f.Send(n)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	var (
		mu   sync.Mutex
		held = map[id.UUID]bool{}
		done = map[id.UUID]bool{}
		wg   sync.WaitGroup
	)
	for i := range receivers {
		wg.Go(func() {
			for ctx.Err() == nil {
				got, err := f.Queue.Receive(ctx, 3)
				if err != nil && ctx.Err() == nil {
					t.Error(err)
				}
				for j, d := range got {
					mu.Lock()
					if held[d.ID] || done[d.ID] {
						t.Errorf("%v was delivered while somebody else held it, or after it was acknowledged", d.ID)
					}
					held[d.ID] = true
					giveBack := (i+j)%3 == 0 && len(done) < n/2 // some go back and forth first
					held[d.ID] = !giveBack
					done[d.ID] = !giveBack
					if giveBack {
						delete(done, d.ID)
						if err := f.Queue.Release(ctx, d, 0); err != nil && ctx.Err() == nil {
							t.Error(err)
						}
					}
					finished := len(done) == n
					mu.Unlock()
					if !giveBack {
						if err := f.Queue.Ack(context.WithoutCancel(ctx), d); err != nil {
							t.Error(err)
						}
					}
					if finished {
						cancel()
					}
				}
			}
		})
	}
	wg.Wait()
	if len(done) != n {
		t.Errorf("%d of %d messages were delivered", len(done), n)
	}
}

func returnsWhenItsContextEnds(t *testing.T, f Fixture) {
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan error, 1)
	go func() {
		_, err := f.Queue.Receive(ctx, 1)
		got <- err
	}()
	select {
	case err := <-got:
		t.Fatalf("Receive returned from an empty queue: %v", err)
	case <-time.After(quiet):
	}
	cancel()
	select {
	case err := <-got:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Receive returned %v, want context.Canceled", err)
		}
	case <-time.After(2 * time.Second):
		t.Error("Receive did not return")
	}
	if _, err := f.Queue.Receive(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("Receive with an ended context returned %v", err)
	}
}

func receive(t *testing.T, q queue.Queue, max int) []queue.Delivery {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	got, err := q.Receive(ctx, max)
	if err != nil {
		t.Fatalf("Receive: %v", err)
	}
	if len(got) == 0 {
		t.Fatal("Receive returned neither a delivery nor an error")
	}
	return got
}

func expectQuiet(t *testing.T, q queue.Queue, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	got, err := q.Receive(ctx, 1)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Receive returned %v, %v; nothing was due", got, err)
	}
}

func set(messages []queue.Message) map[queue.Message]bool {
	s := map[queue.Message]bool{}
	for _, m := range messages {
		s[m] = true
	}
	return s
}
