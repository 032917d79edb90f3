package pgstream_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/goleak"

	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/internal/platform/stream"
	pgstream "github.com/rapporthq/rapport/internal/platform/stream/postgres"
	"github.com/rapporthq/rapport/internal/platform/stream/streamtest"
	"github.com/rapporthq/rapport/internal/testkit"
)

const patience = 20 * time.Second

type bundle struct {
	pool *pgxpool.Pool
	org  id.UUID
}

func setup(t testing.TB) *bundle {
	b := &bundle{pool: testkit.DB(t)}
	b.org = b.addOrg(t)
	return b
}

func (b *bundle) addOrg(t testing.TB) id.UUID {
	t.Helper()
	org := id.New()
	_, err := b.pool.Exec(t.Context(), `INSERT INTO organizations (id, slug, name) VALUES ($1, $2, 'Test')`, org, "o-"+org.String())
	if err != nil {
		t.Fatal(err)
	}
	return org
}

// Whoever comes at the same moment is given the same key.
func TestOneKeyForAll(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for range 20 {
		org := b.addOrg(t)
		keys := make(chan stream.Key, 8)
		for range cap(keys) {
			go func() {
				k, err := pgstream.Key(t.Context(), b.pool, org)
				if err != nil {
					t.Error(err)
				}
				keys <- k
			}()
		}
		first := <-keys
		for range cap(keys) - 1 {
			if k := <-keys; k != first {
				t.Error("there are two keys")
			}
		}
	}
}

func (b *bundle) open(t testing.TB, db postgres.DB, opts pgstream.Options) *pgstream.Stream {
	t.Helper()
	l := postgres.Listen(context.Background(), b.pool, slog.New(slog.DiscardHandler))
	t.Cleanup(l.Close)
	s := pgstream.New(db, l, slog.New(slog.DiscardHandler), opts)
	t.Cleanup(s.Close)
	return s
}

func (b *bundle) publish(t testing.TB, s *pgstream.Stream, topic string, numbers ...int) {
	t.Helper()
	err := postgres.InTx(t.Context(), b.pool, func(tx pgx.Tx) error {
		for _, n := range numbers {
			e := stream.Event{Kind: "test", Data: json.RawMessage(fmt.Sprint(n))}
			if err := s.Publish(t.Context(), tx, b.org, e, topic); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (b *bundle) subscribe(t testing.TB, s *pgstream.Stream, topic string, after stream.Cursor) stream.Subscription {
	t.Helper()
	sub, err := s.Subscribe(t.Context(), b.org, topic, after)
	if err != nil {
		t.Fatal(err)
	}
	return sub
}

func next(t testing.TB, sub stream.Subscription) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	d, err := sub.Next(ctx)
	return string(d.Data), err
}

func expect(t testing.TB, sub stream.Subscription, want ...int) {
	t.Helper()
	for _, n := range want {
		if got, err := next(t, sub); err != nil || got != fmt.Sprint(n) {
			t.Fatalf("received %s, %v, want %d", got, err, n)
		}
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	streamtest.Run(t, func(t *testing.T) streamtest.Fixture {
		b := setup(t)
		return streamtest.Fixture{
			Pool: b.pool, Org: b.org, Org2: b.addOrg(t),
			Open:   func(buffer int) stream.Stream { return b.open(t, b.pool, pgstream.Options{Buffer: buffer}) },
			Cursor: func(topic string, n int64) stream.Cursor { return b.cursor(t, topic, n) },
		}
	})
}

func (b *bundle) cursor(t testing.TB, topic string, n int64) stream.Cursor {
	t.Helper()
	secret, err := pgstream.Key(t.Context(), b.pool, b.org)
	if err != nil {
		t.Fatal(err)
	}
	return secret.Cursor(topic, n)
}

// counting counts the reads of a stream.
type counting struct {
	postgres.DB
	reads atomic.Int64
}

func (c *counting) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	if strings.Contains(sql, "FROM stream_topics t") {
		c.reads.Add(1)
	}
	return c.DB.Query(ctx, sql, args...)
}

func TestAThousandSubscribersCostOneReadABurst(t *testing.T) {
	t.Parallel()
	b := setup(t)
	db := &counting{DB: b.pool}
	s := b.open(t, db, pgstream.Options{})
	elsewhere := b.open(t, b.pool, pgstream.Options{})
	const subscribers, bursts, burst = 1000, 4, 25
	subs := make([]stream.Subscription, subscribers)
	for i := range subs {
		subs[i] = b.subscribe(t, s, "a", "")
	}
	b.publish(t, elsewhere, "a", -1)
	for _, sub := range subs {
		expect(t, sub, -1)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	before := db.reads.Load()
	for k := range bursts {
		numbers := make([]int, burst)
		for i := range numbers {
			numbers[i] = k*burst + i
		}
		b.publish(t, elsewhere, "a", numbers...)
		for _, sub := range subs {
			for _, n := range numbers {
				if d, err := sub.Next(ctx); err != nil || string(d.Data) != strconv.Itoa(n) {
					t.Fatalf("received %s, %v, want %d", d.Data, err, n)
				}
			}
		}
	}
	// A sweep may see what a notification is about to tell.
	if n := db.reads.Load() - before; n < bursts || n > 2*bursts {
		t.Errorf("%d bursts cost %d reads", bursts, n)
	}
}

func TestWhatIsPublishedHereIsNotRead(t *testing.T) {
	t.Parallel()
	b := setup(t)
	db := &counting{DB: b.pool}
	s := b.open(t, db, pgstream.Options{})
	sub := b.subscribe(t, s, "a", "")
	b.publish(t, s, "a", 0)
	expect(t, sub, 0)
	before := db.reads.Load()
	const events = 50
	for n := range events {
		b.publish(t, s, "a", 1+n)
		expect(t, sub, 1+n)
	}
	if n := db.reads.Load() - before; n > events/5 { // those of sweeps that came between
		t.Errorf("%d events cost %d reads", events, n)
	}
}

// unreliable carries to all streams but loses a part, says a part twice, and swaps neighbours.
type unreliable struct {
	mu     sync.Mutex
	random *rand.Rand
	to     []*pgstream.Stream
	held   []stream.Entry
	up     atomic.Bool
}

func (u *unreliable) Up() bool { return u.up.Load() }

func (u *unreliable) Carry(events []stream.Entry) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, e := range events {
		switch chance := u.random.Float64(); {
		case chance < .02:
		case chance < .3:
			u.held = append(u.held, e)
		default:
			for _, late := range append([]stream.Entry{e, e}, u.held...) {
				for _, s := range u.to {
					s.Arrived(late)
				}
			}
			u.held = nil
		}
	}
}

// What a carrier loses, repeats or swaps changes nothing but the time it takes.
func TestConformanceWithAnUnreliableCarrier(t *testing.T) {
	t.Parallel()
	streamtest.Run(t, func(t *testing.T) streamtest.Fixture {
		b := setup(t)
		carrier := &unreliable{random: rand.New(rand.NewPCG(1, 2))}
		carrier.up.Store(true)
		return streamtest.Fixture{
			Pool: b.pool, Org: b.org, Org2: b.addOrg(t),
			Open: func(buffer int) stream.Stream {
				s := b.open(t, b.pool, pgstream.Options{Buffer: buffer, Carrier: carrier})
				carrier.mu.Lock()
				defer carrier.mu.Unlock()
				carrier.to = append(carrier.to, s)
				return s
			},
			Cursor: func(topic string, n int64) stream.Cursor { return b.cursor(t, topic, n) },
		}
	})
}

// Nobody is told by NOTIFY while a carrier is up, everybody while it is not.
func TestACarrierThatIsDownIsReplacedByNotifications(t *testing.T) {
	t.Parallel()
	b := setup(t)
	carrier := &unreliable{random: rand.New(rand.NewPCG(1, 2))} // to nobody
	s := b.open(t, b.pool, pgstream.Options{Carrier: carrier})
	listener := postgres.Listen(t.Context(), b.pool, slog.New(slog.DiscardHandler))
	t.Cleanup(listener.Close)
	told, cancel := listener.Subscribe(pgstream.Channel)
	defer cancel()
	<-told // at once
	<-told // and when nothing can be missed any more
	carrier.up.Store(true)
	b.publish(t, s, "a", 1)
	carrier.up.Store(false)
	b.publish(t, s, "a", 2)
	if got, want := <-told, b.org.String()+":2:a"; !strings.HasSuffix(got, ":"+want) {
		t.Errorf("notified of %s, want %s", got, want)
	}
}

func TestNothingIsReadForTopicsWithoutSubscribers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	db := &counting{DB: b.pool}
	s := b.open(t, db, pgstream.Options{})
	elsewhere := b.open(t, b.pool, pgstream.Options{})
	sub := b.subscribe(t, s, "a", "")
	b.publish(t, elsewhere, "a", 1)
	expect(t, sub, 1)
	sub.Close()
	before := db.reads.Load()
	b.publish(t, elsewhere, "a", 2)
	b.publish(t, elsewhere, "b", 3)
	other := b.subscribe(t, s, "c", "") // and its notification comes after those
	b.publish(t, elsewhere, "c", 4)
	expect(t, other, 4)
	if n := db.reads.Load() - before; n > 2 { // its first look, and the one for the event
		t.Errorf("%d reads for topics that nobody looks at", n-2)
	}
}

func TestALostConnectionLosesNoEvents(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := b.open(t, b.pool, pgstream.Options{})
	elsewhere := b.open(t, b.pool, pgstream.Options{})
	live := b.subscribe(t, s, "a", "")
	b.publish(t, elsewhere, "a", 1)
	expect(t, live, 1)
	// The listener's connection dies, and what is published before it is back is notified to nobody.
	_, err := b.pool.Exec(t.Context(), `
		SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE datname = current_database() AND application_name LIKE '% listener'`)
	if err != nil {
		t.Fatal(err)
	}
	b.publish(t, elsewhere, "a", 2)
	expect(t, live, 2)
	b.publish(t, elsewhere, "a", 3)
	expect(t, live, 3)
}

// failing fails while told to.
type failing struct {
	postgres.DB
	fail  atomic.Bool
	fails atomic.Int64
}

func (f *failing) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	if f.fail.Load() {
		f.fails.Add(1)
		return nil, errors.New("the database is away")
	}
	return f.DB.Query(ctx, sql, args...)
}

func TestSubscribersOutwaitAFailingDatabase(t *testing.T) {
	t.Parallel()
	b := setup(t)
	db := &failing{DB: b.pool}
	s := b.open(t, db, pgstream.Options{})
	elsewhere := b.open(t, b.pool, pgstream.Options{})
	live := b.subscribe(t, s, "a", "")
	start := live.Cursor()
	numbers := make([]int, 600) // a resume reads them in three pages
	for i := range numbers {
		numbers[i] = i
	}
	b.publish(t, elsewhere, "a", numbers...)
	expect(t, live, numbers...)
	behind := b.subscribe(t, s, "a", start)
	expect(t, behind, numbers[:10]...)

	db.fail.Store(true)
	b.publish(t, elsewhere, "a", 600)
	got := make(chan int, 2)
	for _, sub := range []stream.Subscription{live, behind} {
		go func() {
			n := 0
			for d := ""; d != "600"; n++ {
				var err error
				if d, err = next(t, sub); err != nil {
					t.Error(err)
					break
				}
			}
			got <- n
		}()
	}
	testkit.Eventually(t, patience, func() error {
		if db.fails.Load() < 4 {
			return errors.New("too few attempts to read")
		}
		return nil
	})
	db.fail.Store(false)
	if n := <-got + <-got; n != 1+591 {
		t.Errorf("the two received %d events, want 1 and 591", n)
	}
}

// staged runs a function at a point that a test wants to meet: before or after a read of topic a from a position.
type staged struct {
	postgres.DB
	before, after atomic.Pointer[stage]
}

type stage struct {
	position int64
	do       func()
}

func (s *staged) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	if f := s.before.Load(); f != nil && args[1] == "a" && args[2] == f.position && s.before.CompareAndSwap(f, nil) {
		f.do()
	}
	rows, err := s.DB.Query(ctx, sql, args...)
	if f := s.after.Load(); f != nil && args[1] == "a" && args[2] == f.position && s.after.CompareAndSwap(f, nil) && err == nil {
		return &stagedRows{Rows: rows, after: f.do}, nil
	}
	return rows, err
}

type stagedRows struct {
	pgx.Rows
	after func()
}

func (r *stagedRows) Close() {
	r.Rows.Close()
	r.after()
}

func TestAReaderBehindItsSubscriberRepeatsNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	db := &staged{DB: b.pool}
	s := b.open(t, db, pgstream.Options{})
	elsewhere := b.open(t, b.pool, pgstream.Options{})
	other := b.subscribe(t, s, "a", "")
	reached, goOn := make(chan struct{}), make(chan struct{})
	db.before.Store(&stage{1, func() { close(reached); <-goOn }}) // before 1 is there: a reader may look again at once
	b.publish(t, elsewhere, "a", 1)
	expect(t, other, 1)
	b.publish(t, elsewhere, "a", 2)
	<-reached                         // the reader is about to read 2,
	sub := b.subscribe(t, s, "a", "") // which is no news to this one
	close(goOn)
	expect(t, other, 2)
	b.publish(t, elsewhere, "a", 3)
	expect(t, sub, 3)
}

func TestWhatLiesBetweenThePageAndTheReaderComesOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	db := &staged{DB: b.pool}
	s := b.open(t, db, pgstream.Options{})
	elsewhere := b.open(t, b.pool, pgstream.Options{})
	other := b.subscribe(t, s, "a", "")
	start := other.Cursor()
	b.publish(t, elsewhere, "a", 1)
	expect(t, other, 1)

	db.after.Store(&stage{0, func() { b.publish(t, elsewhere, "a", 2); expect(t, other, 2) }})
	sub := b.subscribe(t, s, "a", start) // reads 1, then joins a reader that has handed out 2
	b.publish(t, elsewhere, "a", 3)
	expect(t, other, 3) // sub has been handed 3, and will read it as well when it looks for 2
	b.publish(t, elsewhere, "a", 4)
	expect(t, sub, 1, 2, 3, 4)
}

func TestWhatIsPublishedWhileAReaderStartsIsNotMissed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	db := &staged{DB: b.pool}
	s := b.open(t, db, pgstream.Options{})
	elsewhere := b.open(t, b.pool, pgstream.Options{})
	b.publish(t, elsewhere, "a", 1)
	start := b.cursor(t, "a", 0)
	other := b.subscribe(t, s, "b", "")
	b.publish(t, elsewhere, "b", 1)
	expect(t, other, 1)

	db.after.Store(&stage{0, func() {
		b.publish(t, elsewhere, "a", 2)
		b.publish(t, elsewhere, "b", 2)
		expect(t, other, 2) // so the notification for a has come too, and met nobody
	}})
	expect(t, b.subscribe(t, s, "a", start), 1, 2)
}

// Not parallel: it counts goroutines.
func TestClosedSubscriptionsLeaveNoReader(t *testing.T) {
	b := setup(t)
	s := b.open(t, b.pool, pgstream.Options{})
	b.publish(t, s, "warm", 1)
	before := goleak.IgnoreCurrent()
	ctx, cancel := context.WithCancel(t.Context())
	for i := range 20 {
		sub, err := s.Subscribe(ctx, b.org, fmt.Sprint(i), "")
		if err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			sub.Close()
		}
	}
	cancel()
	// pgx may still listen in the background on an idle connection that once was slow to write to.
	goleak.VerifyNone(t, before, goleak.IgnoreAnyFunction("github.com/jackc/pgx/v5/pgconn/internal/bgreader.(*BGReader).bgRead"))
}

// A table that was restored to an earlier moment must not leave subscribers waiting for numbers that come a second time.
func TestATopicThatWentBackIsLost(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := b.open(t, b.pool, pgstream.Options{})
	sub := b.subscribe(t, s, "a", "")
	b.publish(t, s, "a", 1, 2, 3)
	expect(t, sub, 1, 2, 3)
	if _, err := b.pool.Exec(t.Context(), `DELETE FROM stream_topics`); err != nil {
		t.Fatal(err)
	}
	b.publish(t, s, "a", 1)
	if got, err := next(t, sub); !errors.Is(err, stream.ErrWindowLost) {
		t.Fatalf("received %s, %v, want ErrWindowLost", got, err)
	}
	fresh := b.subscribe(t, s, "a", "")
	b.publish(t, s, "a", 2)
	expect(t, fresh, 2)
}

func TestCloseEndsSubscriptionsAndLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := b.open(t, b.pool, pgstream.Options{})
	b.publish(t, s, "a", 1)
	waiting := make(chan error, 1)
	sub := b.subscribe(t, s, "a", "")
	at := sub.Cursor()
	go func() { _, err := next(t, sub); waiting <- err }()
	s.Close()
	if err := <-waiting; !errors.Is(err, stream.ErrClosed) {
		t.Errorf("Next returned %v, want ErrClosed", err)
	}
	if _, err := s.Subscribe(t.Context(), b.org, "a", ""); !errors.Is(err, stream.ErrClosed) {
		t.Errorf("Subscribe returned %v, want ErrClosed", err)
	}
	other := b.open(t, b.pool, pgstream.Options{})
	b.publish(t, other, "a", 2)
	expect(t, b.subscribe(t, other, "a", at), 2)
}

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("os/exec.(*Cmd).Wait")) // testkit's server, which is for the process
}
