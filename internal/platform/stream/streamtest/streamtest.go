// Package streamtest holds what every stream.Stream must do, whatever it is made of.
package streamtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/internal/platform/stream"
)

// Fixture is a store without events, and a way to open streams over it.
type Fixture struct {
	Pool *pgxpool.Pool // where publishers have their transactions
	Org  id.UUID
	Org2 id.UUID
	// Open returns the stream of one more process, which buffers about as many events a subscriber as given (0: its
	// default). It ends with the test.
	Open func(buffer int) stream.Stream
	// Cursor is what the adapter would give the n-th event of a topic of Org.
	Cursor func(topic string, n int64) stream.Cursor
}

const (
	patience = 20 * time.Second       // for what must happen, on a busy machine
	quiet    = 150 * time.Millisecond // how long a stream has to stay silent to have shown that it does
)

// Run runs the suite.
func Run(t *testing.T, setup func(t *testing.T) Fixture) {
	for name, run := range map[string]func(*testing.T, Fixture){
		"delivers in order what is committed":          deliversInOrder,
		"delivers nothing that is rolled back":         deliversNothingRolledBack,
		"delivers what another process publishes":      deliversFromAnotherProcess,
		"begins with what comes next":                  beginsWithWhatComesNext,
		"publishes to several topics at once":          publishesToSeveralTopics,
		"keeps topics apart":                           keepsTopicsApart,
		"resumes without gap or duplicate":             resumesWithoutGap,
		"resumes where nothing has happened yet":       resumesWhereNothingHappened,
		"resumes over more than fits a buffer":         resumesOverMuch,
		"catches up while events come in":              catchesUpWhileEventsComeIn,
		"fans out to many":                             fansOut,
		"lets subscribers at different places share":   sharesAmongDifferentPlaces,
		"closes the slow and nobody else":              closesTheSlow,
		"hands the slow the last of a key":             coalesces,
		"refuses cursors that are none of the topic":   refusesCursors,
		"says that the window is lost":                 saysThatTheWindowIsLost,
		"says so too to one who was catching up":       saysSoWhileCatchingUp,
		"orders concurrent publishers":                 ordersConcurrentPublishers,
		"makes a publisher wait for the one before":    makesPublishersWait,
		"never deadlocks publishers to several topics": neverDeadlocks,
		"ends with its contexts":                       endsWithItsContexts,
		"refuses events that are none":                 refusesEvents,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, setup(t))
		})
	}
}

func deliversInOrder(t *testing.T, f Fixture) {
	s := f.Open(0)
	sub := f.subscribe(t, s, "a", "")
	var before stream.Delivery
	for i := range 50 {
		f.publish(t, s, i, "a")
	}
	for i := range 50 {
		d := f.next(t, sub)
		if d.Kind != "test" || number(d) != i || d.Cursor == "" || d.At.IsZero() || d.At.Before(before.At) {
			t.Fatalf("event %d is %+v %s, after %+v", i, d, d.Data, before)
		}
		if sub.Cursor() != d.Cursor {
			t.Fatalf("stands at %s after %s", sub.Cursor(), d.Cursor)
		}
		before = d
	}
}

func deliversNothingRolledBack(t *testing.T, f Fixture) {
	s := f.Open(0)
	sub := f.subscribe(t, s, "a", "")
	f.publish(t, s, 1, "a")
	cancelled := errors.New("changed my mind")
	err := f.tx(t, func(tx pgx.Tx) error {
		if err := s.Publish(t.Context(), tx, f.Org, event(2), "a"); err != nil {
			return err
		}
		return cancelled
	})
	if err != cancelled {
		t.Fatal(err)
	}
	f.publish(t, s, 3, "a")
	f.expect(t, sub, 1, 3)
}

func deliversFromAnotherProcess(t *testing.T, f Fixture) {
	here, there := f.Open(0), f.Open(0)
	sub := f.subscribe(t, here, "a", "")
	f.publish(t, there, 1, "a")
	f.expect(t, sub, 1)
	f.publish(t, here, 2, "a")
	f.publish(t, there, 3, "a")
	f.expect(t, sub, 2, 3)
}

func beginsWithWhatComesNext(t *testing.T, f Fixture) {
	s := f.Open(0)
	f.publish(t, s, 1, "a")
	first := f.subscribe(t, s, "a", "") // without a reader yet
	f.publish(t, s, 2, "a")
	f.expect(t, first, 2)
	second := f.subscribe(t, s, "a", "") // and with one
	f.publish(t, s, 3, "a")
	f.expect(t, first, 3)
	f.expect(t, second, 3)
}

func publishesToSeveralTopics(t *testing.T, f Fixture) {
	s := f.Open(0)
	a, b := f.subscribe(t, s, "a", ""), f.subscribe(t, s, "b", "")
	f.publish(t, s, 1, "b", "a", "b")
	f.publish(t, s, 2, "b")
	f.publish(t, s, 3, "a")
	f.expect(t, a, 1, 3)
	f.expect(t, b, 1, 2)
	f.expectQuiet(t, a)
	f.expectQuiet(t, b)
}

func keepsTopicsApart(t *testing.T, f Fixture) {
	s := f.Open(0)
	mine := f.subscribe(t, s, "a", "")
	theirs, err := s.Subscribe(t.Context(), f.Org2, "a", "")
	if err != nil {
		t.Fatal(err)
	}
	f.publish(t, s, 1, "a", "b", "a:b", strings.Repeat("long", 50))
	f.expect(t, mine, 1)
	f.expectQuiet(t, theirs)
	if err := f.tx(t, func(tx pgx.Tx) error { return s.Publish(t.Context(), tx, f.Org2, event(2), "a") }); err != nil {
		t.Fatal(err)
	}
	f.expect(t, theirs, 2)
	f.expectQuiet(t, mine)
}

func resumesWithoutGap(t *testing.T, f Fixture) {
	s := f.Open(0)
	sub := f.subscribe(t, s, "a", "")
	start := sub.Cursor()
	const n, ahead = 60, 7
	published := 0
	for got := 0; got < n; {
		f.publishMany(t, s, published, min(got+ahead, n), "a")
		published = min(got+ahead, n)
		for range 1 + rand.N(published-got) { // away again after a few
			f.expect(t, sub, got)
			got++
		}
		sub.Close()
		sub = f.subscribe(t, f.either(s), "a", sub.Cursor())
	}
	f.expectQuiet(t, sub)
	again := f.subscribe(t, s, "a", start)
	for i := range n {
		f.expect(t, again, i)
	}
}

// either is s or the stream of another process: a client that reconnects comes out anywhere.
func (f Fixture) either(s stream.Stream) stream.Stream {
	if rand.N(2) == 0 {
		return s
	}
	return f.Open(0)
}

func resumesWhereNothingHappened(t *testing.T, f Fixture) {
	s := f.Open(0)
	sub := f.subscribe(t, s, "a", "")
	at := sub.Cursor()
	if at == "" {
		t.Fatal("a subscription to an empty topic stands nowhere")
	}
	sub.Close()
	f.publish(t, s, 1, "a")
	f.expect(t, f.subscribe(t, s, "a", at), 1)
}

func resumesOverMuch(t *testing.T, f Fixture) {
	s := f.Open(4)
	sub := f.subscribe(t, s, "a", "")
	at := sub.Cursor()
	sub.Close()
	const n = 1500
	f.publishMany(t, s, 0, n, "a")
	sub = f.subscribe(t, s, "a", at)
	f.expectQuiet(t, f.subscribe(t, s, "b", "")) // it may take its time
	for i := range n {
		f.expect(t, sub, i)
	}
	f.publish(t, s, n, "a")
	f.expect(t, sub, n)
	f.expectQuiet(t, sub)
}

func catchesUpWhileEventsComeIn(t *testing.T, f Fixture) {
	s := f.Open(0)
	sub := f.subscribe(t, s, "a", "")
	at := sub.Cursor()
	sub.Close()
	const before, during, readers = 300, 200, 5
	f.publishMany(t, s, 0, before, "a")
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range during {
			if err := f.tx(t, func(tx pgx.Tx) error { return s.Publish(t.Context(), tx, f.Org, event(before+i), "a") }); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for range readers {
		wg.Go(func() {
			sub, err := s.Subscribe(t.Context(), f.Org, "a", at)
			if err != nil {
				t.Error(err)
				return
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			for i := range before + during {
				d, err := sub.Next(ctx)
				if err != nil || number(d) != i {
					t.Errorf("event %d is %d, %v", i, number(d), err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func fansOut(t *testing.T, f Fixture) {
	s := f.Open(0)
	const subscribers, events = 200, 100
	var wg sync.WaitGroup
	for range subscribers {
		sub := f.subscribe(t, s, "a", "")
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			for i := range events {
				d, err := sub.Next(ctx)
				if err != nil || number(d) != i {
					t.Errorf("event %d is %d, %v", i, number(d), err)
					return
				}
			}
		})
	}
	f.publishMany(t, s, 0, events, "a")
	wg.Wait()
}

func sharesAmongDifferentPlaces(t *testing.T, f Fixture) {
	s := f.Open(0)
	var cursors []stream.Cursor
	sub := f.subscribe(t, s, "a", "")
	for i := range 10 {
		cursors = append(cursors, sub.Cursor())
		f.publish(t, s, i, "a")
		f.expect(t, sub, i)
	}
	var subs []stream.Subscription
	for _, c := range cursors {
		subs = append(subs, f.subscribe(t, s, "a", c))
	}
	f.publish(t, s, 10, "a")
	for from, sub := range subs {
		for i := from; i <= 10; i++ {
			f.expect(t, sub, i)
		}
		f.expectQuiet(t, sub)
	}
}

func closesTheSlow(t *testing.T, f Fixture) {
	s := f.Open(200) // twice what the fast one has to take at once
	slow, fast := f.subscribe(t, s, "a", ""), f.subscribe(t, s, "a", "")
	f.publish(t, s, 0, "a")
	f.expect(t, slow, 0)
	const n = 2000 // more than any adapter's page and buffer together
	for i := 1; i < n; i += 100 {
		f.publishMany(t, s, i, min(i+100, n), "a")
		if i == 1 {
			f.expect(t, fast, 0)
		}
		for k := i; k < min(i+100, n); k++ {
			f.expect(t, fast, k)
		}
	}
	var err error
	got := 1
	for err == nil {
		var d stream.Delivery
		if d, err = f.tryNext(t, slow); err == nil {
			if number(d) != got {
				t.Fatalf("event %d is %d", got, number(d))
			}
			got++
		}
	}
	if !errors.Is(err, stream.ErrSlow) || got == n {
		t.Fatalf("the slow subscriber got %d events, then %v, want ErrSlow", got, err)
	}
	if _, err := f.tryNext(t, slow); !errors.Is(err, stream.ErrSlow) {
		t.Errorf("and then %v, want ErrSlow again", err)
	}
	again := f.subscribe(t, s, "a", slow.Cursor())
	for ; got < n; got++ {
		f.expect(t, again, got)
	}
	f.publish(t, s, n, "a")
	f.expect(t, again, n)
	f.expect(t, fast, n)
}

func refusesCursors(t *testing.T, f Fixture) {
	s := f.Open(0)
	f.publish(t, s, 1, "a", "b")
	theirs, err := s.Subscribe(t.Context(), f.Org2, "a", "")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]stream.Cursor{
		"garbage":                "garbage",
		"another topic's":        f.subscribe(t, s, "b", "").Cursor(),
		"another organization's": theirs.Cursor(),
		"beyond the end":         f.Cursor("a", 2),
		"negative":               f.Cursor("a", -1),
	} {
		if _, err := s.Subscribe(t.Context(), f.Org, "a", c); fault.KindOf(err) != fault.KindInvalid {
			t.Errorf("a cursor that is %s returns %v, want an Invalid fault", name, err)
		}
	}
	if _, err := s.Subscribe(t.Context(), f.Org, "never used", f.Cursor("never used", 1)); fault.KindOf(err) != fault.KindInvalid {
		t.Errorf("a cursor beyond the end of an empty topic returns %v, want an Invalid fault", err)
	}
}

func saysThatTheWindowIsLost(t *testing.T, f Fixture) {
	s := f.Open(0)
	sub := f.subscribe(t, s, "a", "")
	start := sub.Cursor()
	f.publishMany(t, s, 0, 5, "a")
	for i := range 4 {
		f.expect(t, sub, i)
	}
	almost := sub.Cursor()
	f.expect(t, sub, 4)
	end := sub.Cursor()
	if n, err := s.Trim(t.Context(), time.Hour); err != nil || n != 0 {
		t.Errorf("trimmed %d young events, %v", n, err)
	}
	f.expect(t, f.subscribe(t, s, "a", almost), 4)
	if n, err := s.Trim(t.Context(), 0); err != nil || n != 5 {
		t.Errorf("trimmed %d events, %v, want 5", n, err)
	}
	for name, c := range map[string]stream.Cursor{"start": start, "almost": almost} {
		_, err := s.Subscribe(t.Context(), f.Org, "a", c)
		var known *fault.Error
		if !errors.Is(err, stream.ErrWindowLost) || !errors.As(err, &known) || known.Kind != fault.KindConflict ||
			known.Code != "RESUME_WINDOW_LOST" {
			t.Errorf("resuming at %s returns %v, want ErrWindowLost", name, err)
		}
	}
	f.publish(t, s, 5, "a")
	f.expect(t, sub, 5)                          // who was there lost nothing
	f.expect(t, f.subscribe(t, s, "a", end), 5)  // nor did who had everything
	f.expectQuiet(t, f.subscribe(t, s, "a", "")) // and one can start anew
	if n, err := s.Trim(t.Context(), 0); err != nil || n != 1 {
		t.Errorf("trimmed %d events, %v, want 1", n, err)
	}
	if n, err := s.Trim(t.Context(), 0); err != nil || n != 0 {
		t.Errorf("trimmed %d events, %v, want none", n, err)
	}
}

func saysSoWhileCatchingUp(t *testing.T, f Fixture) {
	s := f.Open(0)
	sub := f.subscribe(t, s, "a", "")
	start := sub.Cursor()
	sub.Close()
	const n = 1500 // more than one fetch
	f.publishMany(t, s, 0, n, "a")
	sub = f.subscribe(t, s, "a", start)
	f.expect(t, sub, 0)
	if _, err := s.Trim(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	for i := 1; ; i++ {
		d, err := f.tryNext(t, sub)
		if errors.Is(err, stream.ErrWindowLost) {
			return
		}
		if err != nil || number(d) != i {
			t.Fatalf("event %d is %d, %v", i, number(d), err)
		}
	}
}

func ordersConcurrentPublishers(t *testing.T, f Fixture) {
	s := f.Open(0)
	const publishers, each = 6, 30
	sub := f.subscribe(t, s, "a", "")
	start := sub.Cursor()
	var wg sync.WaitGroup
	for p := range publishers {
		wg.Go(func() {
			for i := range each {
				err := f.tx(t, func(tx pgx.Tx) error {
					return s.Publish(t.Context(), tx, f.Org, event(p*each+i), "a", "b")
				})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	var live []stream.Delivery
	seen := map[int]bool{}
	for range publishers * each {
		d := f.next(t, sub)
		n := number(d)
		if seen[n] || n%each > 0 && !seen[n-1] {
			t.Fatalf("event %d comes twice, or before one that was committed earlier", n)
		}
		seen[n] = true
		live = append(live, d)
	}
	wg.Wait()
	// Who reads it later reads the same.
	again := f.subscribe(t, s, "a", start)
	for i, want := range live {
		if got := f.next(t, again); got.Cursor != want.Cursor || number(got) != number(want) {
			t.Fatalf("event %d was %d, now it is %d", i, number(want), number(got))
		}
	}
}

// With numbers from a bare sequence the second event would be visible, with number 2, before the first one is: whoever
// reads it then and resumes after 2 has lost 1.
func makesPublishersWait(t *testing.T, f Fixture) {
	s := f.Open(0)
	sub := f.subscribe(t, s, "a", "")
	elsewhere := f.subscribe(t, s, "b", "")
	first, err := f.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = first.Rollback(context.Background()) }()
	if err := s.Publish(t.Context(), first, f.Org, event(1), "a"); err != nil {
		t.Fatal(err)
	}
	committed := make(chan error, 1)
	go func() {
		committed <- f.tx(t, func(tx pgx.Tx) error { return s.Publish(t.Context(), tx, f.Org, event(2), "a") })
	}()
	f.publish(t, s, 3, "b") // another topic does not wait
	f.expect(t, elsewhere, 3)
	f.expectQuiet(t, sub)
	select {
	case err := <-committed:
		t.Fatalf("the second publisher overtakes the first: %v", err)
	default:
	}
	if err := first.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-committed; err != nil {
		t.Fatal(err)
	}
	f.expect(t, sub, 1, 2)
}

func neverDeadlocks(t *testing.T, f Fixture) {
	s := f.Open(0)
	topics := []string{"a", "b", "c", "d", "e"}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 25 {
				mine := append([]string(nil), topics...)
				rand.Shuffle(len(mine), func(i, j int) { mine[i], mine[j] = mine[j], mine[i] })
				err := f.tx(t, func(tx pgx.Tx) error { return s.Publish(t.Context(), tx, f.Org, event(i), mine[:3]...) })
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func endsWithItsContexts(t *testing.T, f Fixture) {
	s := f.Open(0)
	life, end := context.WithCancel(t.Context())
	sub, err := s.Subscribe(life, f.Org, "a", "")
	if err != nil {
		t.Fatal(err)
	}
	wait, cancel := context.WithTimeout(t.Context(), quiet)
	defer cancel()
	if _, err := sub.Next(wait); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Next returned %v, want its context's error", err)
	}
	f.publish(t, s, 1, "a")
	f.expect(t, sub, 1) // the subscription goes on
	waiting := make(chan error, 1)
	go func() { _, err := sub.Next(t.Context()); waiting <- err }()
	end()
	select {
	case err := <-waiting:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Next returned %v, want the error of Subscribe's context", err)
		}
	case <-time.After(patience):
		t.Error("Next did not return")
	}

	sub = f.subscribe(t, s, "a", "")
	go func() { _, err := sub.Next(t.Context()); waiting <- err }()
	sub.Close()
	sub.Close()
	if err := <-waiting; !errors.Is(err, stream.ErrClosed) {
		t.Errorf("Next returned %v, want ErrClosed", err)
	}
	if _, err := s.Subscribe(life, f.Org, "a", ""); !errors.Is(err, context.Canceled) {
		t.Errorf("Subscribe with an ended context returned %v", err)
	}
}

func refusesEvents(t *testing.T, f Fixture) {
	s := f.Open(0)
	for name, publish := range map[string]func(tx pgx.Tx) error{
		"without a kind":  func(tx pgx.Tx) error { return s.Publish(t.Context(), tx, f.Org, stream.Event{}, "a") },
		"without a topic": func(tx pgx.Tx) error { return s.Publish(t.Context(), tx, f.Org, event(1)) },
		"to nowhere":      func(tx pgx.Tx) error { return s.Publish(t.Context(), tx, f.Org, event(1), "a", "") },
		"to a long name":  func(tx pgx.Tx) error { return s.Publish(t.Context(), tx, f.Org, event(1), strings.Repeat("x", 201)) },
		"that is no JSON": func(tx pgx.Tx) error {
			return s.Publish(t.Context(), tx, f.Org, stream.Event{Kind: "test", Data: json.RawMessage("{")}, "a")
		},
	} {
		if err := f.tx(t, publish); fault.KindOf(err) != fault.KindInvalid {
			t.Errorf("an event %s returns %v, want an Invalid fault", name, err)
		}
	}
	sub := f.subscribe(t, s, "a", "")
	if err := f.tx(t, func(tx pgx.Tx) error { return s.Publish(t.Context(), tx, f.Org, stream.Event{Kind: "bare"}, "a") }); err != nil {
		t.Fatal(err)
	}
	if d := f.next(t, sub); d.Kind != "bare" || string(d.Data) != "null" {
		t.Errorf("an event without data is %q %s", d.Kind, d.Data)
	}
	if _, err := s.Subscribe(t.Context(), f.Org, "", ""); fault.KindOf(err) != fault.KindInvalid {
		t.Errorf("a topic without a name returns %v, want an Invalid fault", err)
	}
}

// coalesces: of many events of a few keys one who is behind gets the last of each key, and everything without a key, in order. That is also
// so for who resumes; and nobody is too slow for what has been said anew.
func coalesces(t *testing.T, f Fixture) {
	s := f.Open(50)
	slow, fast := f.subscribe(t, s, "a", ""), f.subscribe(t, s, "a", "")
	const n = 1000
	plain := map[int]bool{}
	for i := 0; i < n; i += 20 { // 3 keys; each hundredth has none
		err := f.tx(t, func(tx pgx.Tx) error {
			for k := i; k < i+20; k++ {
				e := event(k)
				if plain[k] = k%100 == 0; !plain[k] {
					e.Key = "abc"[k%3 : k%3+1]
				}
				if err := s.Publish(t.Context(), tx, f.Org, e, "a"); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for last := -1; last < i+19; { // who keeps up is not told of everything in between either, but of the end
			if got := number(f.next(t, fast)); got <= last {
				t.Fatalf("%d after %d", got, last)
			} else {
				last = got
			}
		}
	}
	check := func(name string, sub stream.Subscription, most int) {
		t.Helper()
		seen, plains, last := 0, 0, -1
		for last < n-1 {
			got := number(f.next(t, sub))
			if got <= last {
				t.Fatalf("%s: %d after %d", name, got, last)
			}
			last = got
			if seen++; plain[got] {
				plains++
			}
		}
		if plains != n/100 || seen > most {
			t.Errorf("%s: %d of %d without a key, %d in all", name, plains, n/100, seen)
		}
		f.expectQuiet(t, sub)
	}
	check("the slow", slow, n/100+3)
	check("one who resumes", f.subscribe(t, s, "a", f.Cursor("a", 0)), n/4)
}

func event(n int) stream.Event {
	return stream.Event{Kind: "test", Data: json.RawMessage(fmt.Sprintf(`{"n": %d}`, n))}
}

func number(d stream.Delivery) int {
	var data struct{ N int }
	if err := json.Unmarshal(d.Data, &data); err != nil {
		return -1
	}
	return data.N
}

func (f Fixture) tx(t *testing.T, fn func(tx pgx.Tx) error) error {
	return postgres.InTx(t.Context(), f.Pool, fn)
}

func (f Fixture) publish(t *testing.T, s stream.Stream, n int, topics ...string) {
	t.Helper()
	if err := f.tx(t, func(tx pgx.Tx) error { return s.Publish(t.Context(), tx, f.Org, event(n), topics...) }); err != nil {
		t.Fatal(err)
	}
}

// publishMany publishes the events from up to but not including to, a hundred a transaction.
func (f Fixture) publishMany(t *testing.T, s stream.Stream, from, to int, topic string) {
	t.Helper()
	for from < to {
		err := f.tx(t, func(tx pgx.Tx) error {
			for end := min(from+100, to); from < end; from++ {
				if err := s.Publish(t.Context(), tx, f.Org, event(from), topic); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func (f Fixture) subscribe(t *testing.T, s stream.Stream, topic string, after stream.Cursor) stream.Subscription {
	t.Helper()
	sub, err := s.Subscribe(t.Context(), f.Org, topic, after)
	if err != nil {
		t.Fatal(err)
	}
	return sub
}

func (f Fixture) tryNext(t *testing.T, sub stream.Subscription) (stream.Delivery, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return sub.Next(ctx)
}

func (f Fixture) next(t *testing.T, sub stream.Subscription) stream.Delivery {
	t.Helper()
	d, err := f.tryNext(t, sub)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (f Fixture) expect(t *testing.T, sub stream.Subscription, want ...int) {
	t.Helper()
	for _, n := range want {
		if got := number(f.next(t, sub)); got != n {
			t.Fatalf("received %d, want %d", got, n)
		}
	}
}

func (f Fixture) expectQuiet(t *testing.T, sub stream.Subscription) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), quiet)
	defer cancel()
	if d, err := sub.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("received %s, %v; nothing should come", d.Data, err)
	}
}
