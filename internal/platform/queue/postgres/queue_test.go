package pgqueue_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/goleak"

	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/internal/platform/queue"
	pgqueue "github.com/rapporthq/rapport/internal/platform/queue/postgres"
	"github.com/rapporthq/rapport/internal/platform/queue/queuetest"
	"github.com/rapporthq/rapport/internal/testkit"
)

type bundle struct {
	pool     *pgxpool.Pool
	listener *postgres.Listener
	queue    *pgqueue.Queue
	org      id.UUID
}

// setup makes a queue that does not poll unless told to.
func setup(t *testing.T, opts pgqueue.Options) *bundle {
	if opts.Poll == 0 {
		opts.Poll = time.Hour
	}
	b := &bundle{pool: testkit.DB(t), org: id.New()}
	b.listener = postgres.Listen(context.Background(), b.pool, slog.New(slog.DiscardHandler))
	t.Cleanup(b.listener.Close)
	b.queue = pgqueue.New(b.pool, b.listener, opts)
	t.Cleanup(b.queue.Close)
	b.addOrg(t, b.org)
	return b
}

func (b *bundle) addOrg(t *testing.T, org id.UUID) {
	t.Helper()
	_, err := b.pool.Exec(t.Context(), `INSERT INTO organizations (id, slug, name) VALUES ($1, $2, 'Test')`, org, "o-"+org.String())
	if err != nil {
		t.Fatal(err)
	}
}

const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// add commits n rows that are due after the given time, as package jobs would.
func (b *bundle) add(t *testing.T, org id.UUID, kind string, n int, after time.Duration) []queue.Message {
	t.Helper()
	var sent []queue.Message
	err := postgres.InTx(t.Context(), b.pool, func(tx pgx.Tx) error {
		for range n {
			m := queue.Message{Kind: kind, ID: id.New(), TraceContext: trace}
			if _, err := tx.Exec(t.Context(), `
				INSERT INTO jobs (id, org_id, kind, entity_id, max_attempts, run_at, due_at, trace_context)
				VALUES ($1, $2, $3, $4, 1, now() + $5::interval, now() + $5::interval, $6)`, m.ID, org, m.Kind, id.New(), after, trace); err != nil {
				return err
			}
			sent = append(sent, m)
		}
		_, err := tx.Exec(t.Context(), `SELECT pg_notify($1, $2)`, pgqueue.Channel, kind)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sent
}

func (b *bundle) receive(t *testing.T, limit int) []queue.Delivery {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	got, err := b.queue.Receive(ctx, limit)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// receiveLater returns once a receiver waits, and tells what became of it.
func (b *bundle) receiveLater(t *testing.T) <-chan error {
	t.Helper()
	received := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		_, err := b.queue.Receive(ctx, 1)
		received <- err
	}()
	select {
	case err := <-received:
		t.Fatalf("Receive returned before anything was due: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	return received
}

func (b *bundle) expectQuiet(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
	defer cancel()
	if got, err := b.queue.Receive(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("received %v, %v; nothing should be due", got, err)
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	queuetest.Run(t, func(t *testing.T, visibility time.Duration) queuetest.Fixture {
		b := setup(t, pgqueue.Options{Visibility: visibility})
		return queuetest.Fixture{Queue: b.queue, Send: func(n int) []queue.Message { return b.add(t, b.org, "test", n, 0) }}
	})
}

func TestReceiveWakesUpWhenARowBecomesDue(t *testing.T) {
	t.Parallel()
	b := setup(t, pgqueue.Options{Poll: time.Hour})
	const after = 300 * time.Millisecond
	start := time.Now()
	b.add(t, b.org, "test", 1, after)
	b.receive(t, 1)
	if took := time.Since(start); took < after {
		t.Errorf("received after %s, was due after %s", took, after)
	}
}

func TestReceivePollsWhenNotificationsAreLost(t *testing.T) {
	t.Parallel()
	b := setup(t, pgqueue.Options{Poll: 50 * time.Millisecond})
	b.listener.Close()
	received := b.receiveLater(t)
	b.add(t, b.org, "test", 1, 0)
	if err := <-received; err != nil {
		t.Error(err)
	}
}

// A row that an enqueuing transaction has locked comes free without a notification if that rolls back.
func TestReceiveComesBackToLockedRows(t *testing.T) {
	t.Parallel()
	b := setup(t, pgqueue.Options{})
	b.add(t, b.org, "test", 1, 0)
	tx, err := b.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	if _, err := tx.Exec(t.Context(), `SELECT FROM jobs FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	b.expectQuiet(t)
	received := b.receiveLater(t)
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-received; err != nil {
		t.Error(err)
	}
}

func TestReceiveOnlyKindsAskedFor(t *testing.T) {
	t.Parallel()
	b := setup(t, pgqueue.Options{Kinds: []string{"mail"}})
	b.add(t, b.org, "analyse", 3, 0)
	b.expectQuiet(t)
	want := b.add(t, b.org, "mail", 1, 0)
	if got := b.receive(t, 10); len(got) != 1 || got[0].Message != want[0] {
		t.Errorf("received %v, want %v", got, want)
	}
}

func TestLanesWaitForTheOthers(t *testing.T) {
	t.Parallel()
	b := setup(t, pgqueue.Options{Lanes: []pgqueue.Lane{{Kinds: []string{"embed"}, Room: 2, Patience: time.Hour}}})
	b.add(t, b.org, "analyse", 1, time.Hour) // whose time has not come does not wait for a worker
	embeds := b.add(t, b.org, "embed", 2, 0)
	if got := b.receive(t, 1); got[0].Kind != "embed" {
		t.Fatalf("received %v with nothing else to do", got)
	}
	other := id.New()
	b.addOrg(t, other)
	analyse := b.add(t, other, "analyse", 1, 0)
	if got := b.receive(t, 10); len(got) != 1 || got[0].Message != analyse[0] {
		t.Fatalf("received %v, want %v alone", got, analyse)
	}
	b.expectQuiet(t) // it is delivered, and nobody has begun it
	if _, err := b.pool.Exec(t.Context(), `UPDATE jobs SET created_at = now() - interval '61 minutes' WHERE id = ANY ($1)`, []id.UUID{embeds[0].ID, embeds[1].ID}); err != nil {
		t.Fatal(err)
	}
	if got := b.receive(t, 10); len(got) != 1 || got[0].Kind != "embed" {
		t.Fatalf("received %v when patience was at its end", got)
	}
}

func TestLanesComeWhenTheOthersAreAtWork(t *testing.T) {
	t.Parallel()
	b := setup(t, pgqueue.Options{Lanes: []pgqueue.Lane{{Kinds: []string{"embed"}}}})
	analyse := b.add(t, b.org, "analyse", 1, 0)
	b.add(t, b.org, "embed", 1, 0)
	b.receive(t, 1)
	waiting := b.receiveLater(t)
	if _, err := b.pool.Exec(t.Context(), `UPDATE jobs SET state = 'RUNNING', lease = gen_random_uuid(), lease_until = now() + interval '1 hour', due_at = now() + interval '1 hour',
		receipt = NULL, attempt = 1 WHERE id = $1`, analyse[0].ID); err != nil {
		t.Fatal(err)
	}
	if err := <-waiting; err != nil {
		t.Error(err)
	}
}

func TestOnlySomeOfALaneAreInFlight(t *testing.T) {
	t.Parallel()
	b := setup(t, pgqueue.Options{Lanes: []pgqueue.Lane{{Kinds: []string{"embed"}, Room: 2, Patience: time.Millisecond}, {Kinds: []string{"other", "index"}, Room: 2, Patience: time.Millisecond}}})
	other := id.New()
	b.addOrg(t, other)
	for _, org := range []id.UUID{b.org, other} {
		b.add(t, org, "embed", 50, 0)
		b.add(t, org, "index", 1, 0)
		b.add(t, org, "other", 1, 0)
	}
	b.add(t, b.org, "analyse", 3, 0) // which came last, behind more than anybody looks at
	got := map[string]int{}
	first := b.receive(t, 7)
	for _, d := range first {
		if d.Kind == "other" { // which is in one lane with them
			d.Kind = "index"
		}
		got[d.Kind]++
	}
	if want := map[string]int{"embed": 2, "index": 2, "analyse": 3}; !maps.Equal(got, want) {
		t.Fatalf("received %v, want %v", got, want)
	}
	b.expectQuiet(t)
	waiting := b.receiveLater(t)
	for _, d := range first {
		if d.Kind == "embed" {
			if err := b.queue.Ack(t.Context(), d); err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	if err := <-waiting; err != nil {
		t.Error(err)
	}
}

func TestLanesTakeNoPlaceOfTheOthers(t *testing.T) {
	t.Parallel()
	b := setup(t, pgqueue.Options{PerOrg: 2, Lanes: []pgqueue.Lane{{Kinds: []string{"embed"}, Room: 3, Patience: time.Millisecond}}})
	b.add(t, b.org, "embed", 5, -time.Hour)
	b.add(t, b.org, "analyse", 3, 0)
	got := map[string]int{}
	for _, d := range b.receive(t, 10) {
		got[d.Kind]++
	}
	if want := map[string]int{"embed": 3, "analyse": 2}; !maps.Equal(got, want) {
		t.Errorf("received %v, want %v", got, want)
	}
	b.expectQuiet(t)
}

func TestPerOrgLimitsWhatIsInFlight(t *testing.T) {
	t.Parallel()
	b := setup(t, pgqueue.Options{PerOrg: 2})
	b.add(t, b.org, "test", 5, 0)
	held := b.receive(t, 10)
	if len(held) != 2 {
		t.Fatalf("received %d, want the 2 that the limit allows", len(held))
	}
	b.expectQuiet(t)

	other := id.New()
	b.addOrg(t, other)
	want := b.add(t, other, "test", 1, 0)
	if got := b.receive(t, 10); len(got) != 1 || got[0].Message != want[0] {
		t.Errorf("received %v, want the other organization's %v", got, want)
	}

	if err := b.queue.Release(t.Context(), held[0], time.Hour); err != nil {
		t.Fatal(err)
	}
	if got := b.receive(t, 10); len(got) != 1 {
		t.Errorf("received %d, want the one that a release made room for", len(got))
	}
}

func TestOrganizationsTakeTurns(t *testing.T) {
	t.Parallel()
	b := setup(t, pgqueue.Options{})
	b.add(t, b.org, "bulk", 50, -time.Hour)
	var late []queue.Message
	for range 3 {
		org := id.New()
		b.addOrg(t, org)
		late = append(late, b.add(t, org, "test", 2, 0)...)
	}
	// Eight deliveries for four organizations: two each, although one of them waits longest with 50.
	got := b.receive(t, 8)
	var bulk int
	for _, d := range got {
		if d.Kind == "bulk" {
			bulk++
		} else if !slices.Contains(late, d.Message) {
			t.Errorf("received %v, which was not sent", d.Message)
		}
	}
	if len(got) != 8 || bulk != 2 {
		t.Errorf("received %d, %d of them bulk, want 8 and 2", len(got), bulk)
	}
}

// What package jobs does to a row ends the queue's hold on it, and no late word of the queue changes the row again.
func TestAChangeOfStateEndsTheHold(t *testing.T) {
	t.Parallel()
	b := setup(t, pgqueue.Options{})
	b.add(t, b.org, "test", 1, 0)
	d := b.receive(t, 1)[0]
	if _, err := b.pool.Exec(t.Context(), `UPDATE jobs SET receipt = NULL, due_at = now() + interval '200 ms'`); err != nil {
		t.Fatal(err)
	}
	if err := b.queue.Ack(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if err := b.queue.Release(t.Context(), d, time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := b.queue.Extend(t.Context(), d, time.Hour); !errors.Is(err, queue.ErrLost) {
		t.Errorf("Extend returned %v, want ErrLost", err)
	}
	if got := b.receive(t, 1); got[0].Message != d.Message {
		t.Errorf("received %v, want %v", got[0].Message, d.Message)
	}
}

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("os/exec.(*Cmd).Wait")) // testkit's server, which is for the process
}

// tally counts how often each message was sent.
type tally struct {
	mu   sync.Mutex
	sent map[id.UUID]int
}

func (s *tally) Send(_ context.Context, messages []queue.Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range messages {
		s.sent[m.ID]++
	}
	return nil
}

// Several processes relay the same rows: each is sent, and once.
func TestTwoRelays(t *testing.T) {
	t.Parallel()
	b := setup(t, pgqueue.Options{})
	other := pgqueue.New(b.pool, b.listener, pgqueue.Options{Poll: time.Hour})
	t.Cleanup(other.Close)
	to := &tally{sent: map[id.UUID]int{}}
	ctx, cancel := context.WithCancel(context.Background())
	var relays sync.WaitGroup
	for _, from := range []*pgqueue.Queue{b.queue, other} {
		relays.Go(func() {
			if err := queue.Relay(ctx, from, to, time.Hour, slog.New(slog.DiscardHandler)); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() { cancel(); relays.Wait() })
	const batches, each = 20, 60
	var adding sync.WaitGroup
	for range batches {
		adding.Go(func() { b.add(t, b.org, "test", each, 0) })
	}
	adding.Wait()
	testkit.Eventually(t, 30*time.Second, func() error {
		to.mu.Lock()
		defer to.mu.Unlock()
		if n := len(to.sent); n < batches*each {
			return fmt.Errorf("%d are sent", n)
		}
		return nil
	})
	for key, n := range to.sent {
		if n != 1 {
			t.Errorf("%s was sent %d times", key, n)
		}
	}
}
