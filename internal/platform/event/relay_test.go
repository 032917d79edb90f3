package event_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/goleak"

	"github.com/rapporthq/rapport/internal/platform/event"
	"github.com/rapporthq/rapport/internal/platform/event/eventtest"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/internal/testkit"
)

type bundle struct {
	pool     *pgxpool.Pool
	listener *postgres.Listener
	org      id.UUID
}

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{pool: testkit.DB(t), org: id.New()}
	b.listener = postgres.Listen(context.Background(), b.pool, slog.New(slog.DiscardHandler))
	t.Cleanup(b.listener.Close)
	if _, err := b.pool.Exec(t.Context(), `INSERT INTO organizations (id, slug, name) VALUES ($1, 'test', 'Test')`, b.org); err != nil {
		t.Fatal(err)
	}
	return b
}

// relay returns a relay that does not poll unless told to.
func (b *bundle) relay(t *testing.T, to event.Publisher, opts event.Options) *event.Relay {
	t.Helper()
	if opts.Poll == 0 {
		opts.Poll = time.Hour
	}
	r := event.NewRelay(b.pool, b.listener, to, slog.New(slog.DiscardHandler), opts)
	t.Cleanup(r.Close)
	return r
}

func run(t *testing.T, r *event.Relay) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

type subject struct{ id.UUID }

func (s subject) String() string { return id.Format("session", s.UUID) }

// add commits n events of each subject, round by round.
func (b *bundle) add(t *testing.T, n int, subjects ...subject) {
	t.Helper()
	for round := range n {
		for _, s := range subjects {
			if err := postgres.InTx(t.Context(), b.pool, func(tx pgx.Tx) error {
				return new(event.Outbox).Add(t.Context(), tx, b.org, event.News{Type: "session.held", Subject: s, Data: event.Data{"sessionId": s, "round": round}})
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func subjects(n int) []subject {
	all := make([]subject, n)
	for i := range all {
		all[i] = subject{id.New()}
	}
	return all
}

func (b *bundle) status(t *testing.T) event.Status {
	t.Helper()
	s, err := event.StatusOf(t.Context(), b.pool)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// empties waits until nothing is in the outbox.
func (b *bundle) empties(t *testing.T) {
	t.Helper()
	testkit.Eventually(t, 20*time.Second, func() error {
		if s := b.status(t); s.Waiting+s.Refused > 0 {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
}

// inOrder checks that of each subject the events arrived in their order, repetitions aside, and returns how many arrived how often.
func inOrder(t *testing.T, arrived []event.Event) (times map[id.UUID]int) {
	t.Helper()
	times = map[id.UUID]int{}
	last := map[string]int64{}
	for _, e := range arrived {
		if times[e.ID]++; times[e.ID] == 1 {
			if e.Sequence <= last[e.Subject] {
				t.Errorf("%s: event %d arrived after %d", e.Subject, e.Sequence, last[e.Subject])
			}
			last[e.Subject] = e.Sequence
		}
	}
	return times
}

func TestAddingIsCommitting(t *testing.T) {
	t.Parallel()
	b := setup(t)
	never := errors.New("never mind")
	goal, key := subjects(1)[0], (*subject)(nil)
	news := event.News{Type: "goal.created", Subject: goal, Data: event.Data{"goalId": goal, "engagementId": key, "assigneeIds": []subject{goal}, "score": 3}}
	if err := postgres.InTx(t.Context(), b.pool, func(tx pgx.Tx) error {
		if err := new(event.Outbox).Add(t.Context(), tx, b.org, news); err != nil {
			return err
		}
		return never
	}); !errors.Is(err, never) {
		t.Fatal(err)
	}
	if err := postgres.InTx(t.Context(), b.pool, func(tx pgx.Tx) error {
		var none *event.Outbox
		return errors.Join(none.Add(t.Context(), tx, b.org, news), new(event.Outbox).Add(t.Context(), tx, b.org))
	}); err != nil {
		t.Fatal(err)
	}
	if s := b.status(t); s.Waiting != 0 {
		t.Fatalf("what was rolled back, or nobody publishes, waits: %+v", s)
	}
	if err := postgres.InTx(t.Context(), b.pool, func(tx pgx.Tx) error { return new(event.Outbox).Add(t.Context(), tx, b.org, news) }); err != nil {
		t.Fatal(err)
	}
	to := &eventtest.Memory{}
	if n, err := b.relay(t, to, event.Options{}).Drain(t.Context()); err != nil || n != 1 {
		t.Fatalf("%d, %v", n, err)
	}
	got := to.Arrived()[0]
	if want := fmt.Sprintf(`{"assigneeIds":[%q],"goalId":%q,"score":3}`, goal, goal); string(got.Data) != want || got.Type != news.Type || got.Subject != goal.String() || got.Org != b.org {
		t.Errorf("arrived %+v with %s, want %s", got, got.Data, want)
	}
}

// Several relays share the work: nothing is lost, nothing comes twice, and each subject's events come in their order.
func TestTwoRelays(t *testing.T) {
	t.Parallel()
	b := setup(t)
	to := &eventtest.Memory{}
	for range 3 {
		run(t, b.relay(t, to, event.Options{Batch: 7, Poll: 100 * time.Millisecond}))
	}
	const each = 6
	all := subjects(30)
	var adding sync.WaitGroup
	for part := range slices.Chunk(all, 10) {
		adding.Go(func() { b.add(t, each, part...) })
	}
	adding.Wait()
	b.empties(t)
	times := inOrder(t, to.Arrived())
	if len(times) != each*len(all) {
		t.Errorf("%d events arrived, %d were added", len(times), each*len(all))
	}
	for key, n := range times {
		if n != 1 {
			t.Errorf("%s arrived %d times", key, n)
		}
	}
}

// While a relay holds an event, another one takes none of the same subject, and all of the others.
func TestOneOfASubjectAtATime(t *testing.T) {
	t.Parallel()
	b := setup(t)
	to := &eventtest.Memory{}
	holds, release := make(chan struct{}), make(chan struct{})
	slow := publisher(func(ctx context.Context, events []event.Event) []error {
		close(holds)
		<-release
		return to.Publish(ctx, events)
	})
	all := subjects(2)
	b.add(t, 2, all[0])
	first := b.relay(t, slow, event.Options{Batch: 1})
	carried := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { carried <- first.Run(ctx) }()
	<-holds
	b.add(t, 1, all[1])
	second := b.relay(t, to, event.Options{})
	if n, err := second.Drain(t.Context()); n != 1 || err != nil {
		t.Errorf("published %d beside what is held, %v", n, err)
	}
	cancel()
	close(release)
	if err := <-carried; err != nil {
		t.Error(err)
	}
	// The held one was put back, for its relay was told to end before it was published.
	if n, err := second.Drain(t.Context()); n != 2 || err != nil {
		t.Errorf("published %d afterwards, %v", n, err)
	}
	if times := inOrder(t, to.Arrived()); len(times) != 3 || to.Arrived()[0].Subject != all[1].String() {
		t.Errorf("%d arrived, the first of %s", len(times), to.Arrived()[0].Subject)
	}
}

// A relay dies between publishing and deleting: what it held comes again from another one, and nothing else does.
func TestKilledBetweenPublishingAndDeleting(t *testing.T) {
	t.Parallel()
	b := setup(t)
	dead, ended := make(chan struct{}), make(chan struct{})
	to := &eventtest.Memory{}
	var once sync.Once
	dying := publisher(func(ctx context.Context, events []event.Event) []error {
		results := to.Publish(ctx, events)
		once.Do(func() { close(dead) })
		<-ended // as a process that is gone, and returns from no call
		return results
	})
	all := subjects(20)
	b.add(t, 2, all...)
	r := b.relay(t, dying, event.Options{Batch: 5, Hold: 500 * time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	var gone sync.WaitGroup
	gone.Go(func() { _, _ = r.Drain(ctx) })
	defer gone.Wait()
	defer close(ended)
	defer cancel()
	<-dead
	first := to.Arrived()
	run(t, b.relay(t, to, event.Options{Batch: 5}))
	b.empties(t)
	times := inOrder(t, to.Arrived())
	if len(times) != 2*len(all) || len(first) != 5 {
		t.Errorf("%d events arrived, %d were added; %d of the one that died", len(times), 2*len(all), len(first))
	}
	for _, e := range first {
		if times[e.ID] != 2 {
			t.Errorf("what the dead relay held came %d times", times[e.ID])
		}
		delete(times, e.ID)
	}
	for key, n := range times {
		if n != 1 {
			t.Errorf("%s arrived %d times, though no relay died over it", key, n)
		}
	}
}

type publisher func(context.Context, []event.Event) []error

func (p publisher) Publish(ctx context.Context, events []event.Event) []error { return p(ctx, events) }

// A process that is told to end deletes what it has published.
func TestAGentleEndRepeatsNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx, cancel := context.WithCancel(t.Context())
	to := &eventtest.Memory{After: func(context.Context) { cancel() }}
	b.add(t, 1, subjects(3)...)
	if err := b.relay(t, to, event.Options{}).Run(ctx); err != nil {
		t.Fatal(err)
	}
	if s := b.status(t); s.Waiting != 0 || len(to.Arrived()) != 3 {
		t.Errorf("%+v after the end, %d arrived", s, len(to.Arrived()))
	}
}

// Of a batch a part may fail: that part alone is published again, later, and what comes after it of the same subject waits for it.
func TestPartialFailures(t *testing.T) {
	t.Parallel()
	b := setup(t)
	all := subjects(5)
	bad, tries := all[2], 0
	to := &eventtest.Memory{Before: func(e event.Event) error {
		if e.Subject == bad.String() && strings.Contains(string(e.Data), `"round":0`) && tries < 2 {
			tries++
			return errors.New("not now")
		}
		return nil
	}}
	b.add(t, 2, all...)
	run(t, b.relay(t, to, event.Options{Pause: 20 * time.Millisecond}))
	b.empties(t)
	arrived := to.Arrived()
	times := inOrder(t, arrived)
	if len(arrived) != 10 || len(times) != 10 || tries != 2 {
		t.Errorf("%d arrived, %d different ones, after %d failures", len(arrived), len(times), tries)
	}
	if last := arrived[8:]; last[0].Subject != bad.String() || last[1].Subject != bad.String() {
		t.Errorf("what failed did not come last: %v", last)
	}
}

// An event that can never be published holds up none, not even of its own subject, and can be found, tried again and forgotten.
func TestPoison(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var log strings.Builder
	all := subjects(4)
	mended := false
	to := &eventtest.Memory{Before: func(e event.Event) error {
		if !mended && e.Subject == all[1].String() && strings.Contains(string(e.Data), `"round":0`) {
			return fmt.Errorf("sns: %w", event.ErrRefused)
		}
		if !mended && e.Subject == all[2].String() && strings.Contains(string(e.Data), `"round":0`) {
			return errors.New("something is odd")
		}
		return nil
	}}
	b.add(t, 2, all...)
	r := event.NewRelay(b.pool, b.listener, to, slog.New(slog.NewTextHandler(&log, nil)), event.Options{Attempts: 3, Pause: time.Millisecond, Poll: 10 * time.Millisecond})
	t.Cleanup(r.Close)
	stop := run(t, r)
	testkit.Eventually(t, 20*time.Second, func() error {
		if s := b.status(t); s.Waiting != 0 {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
	stop()
	if n := len(to.Arrived()); n != 6 {
		t.Errorf("%d arrived, want 6", n)
	}
	refused, err := event.RefusedOf(t.Context(), b.pool, 10)
	if err != nil || len(refused) != 2 {
		t.Fatalf("%v, %v", refused, err)
	}
	slices.SortFunc(refused, func(a, b event.Refused) int { return a.Attempts - b.Attempts })
	for i, want := range []event.Refused{{Event: event.Event{Subject: all[1].String()}, Attempts: 1, Code: "EVENT_REFUSED"}, {Event: event.Event{Subject: all[2].String()}, Attempts: 3, Code: "FAILED"}} {
		if got := refused[i]; got.Subject != want.Subject || got.Attempts != want.Attempts || got.Code != want.Code || got.Since.IsZero() {
			t.Errorf("given up %+v, want %+v", got, want)
		}
	}
	if got := log.String(); strings.Count(got, "an event was given up") != 2 || !strings.Contains(got, refused[0].Key()) {
		t.Errorf("logged %s", got)
	}
	if n, err := event.Discard(t.Context(), b.pool, time.Hour); n != 0 || err != nil {
		t.Errorf("discarded %d that are young, %v", n, err)
	}
	mended = true
	if n, err := event.Retry(t.Context(), b.pool); n != 2 || err != nil {
		t.Errorf("retried %d, %v", n, err)
	}
	if n, err := r.Drain(t.Context()); n != 2 || err != nil {
		t.Errorf("published %d, %v", n, err)
	}
	b.empties(t)
	b.add(t, 1, all[0])
	if _, err := b.pool.Exec(t.Context(), `UPDATE outbox SET due_at = NULL, failed_at = now() - interval '2 hours'`); err != nil {
		t.Fatal(err)
	}
	if n, err := event.Discard(t.Context(), b.pool, time.Hour); n != 1 || err != nil {
		t.Errorf("discarded %d, %v", n, err)
	}
}

// While nothing can be published no event is to blame: all of them wait, however long it takes.
func TestAway(t *testing.T) {
	t.Parallel()
	b := setup(t)
	calls := 0
	to := &eventtest.Memory{Before: func(event.Event) error {
		if calls++; calls <= 12 {
			return fault.Unavailable("away")
		}
		return nil
	}}
	b.add(t, 1, subjects(4)...)
	run(t, b.relay(t, to, event.Options{Attempts: 1}))
	b.empties(t)
	if n := len(to.Arrived()); n != 4 {
		t.Errorf("%d arrived", n)
	}
}

func TestWakesUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	arrived := make(chan struct{}, 10)
	to := &eventtest.Memory{After: func(context.Context) { arrived <- struct{}{} }}
	run(t, b.relay(t, to, event.Options{}))
	for range 3 {
		b.add(t, 1, subjects(1)...)
		select {
		case <-arrived:
		case <-time.After(20 * time.Second):
			t.Fatal("nobody was woken")
		}
	}
	b.listener.Close() // from now on the poll has to do
	polling := &eventtest.Memory{After: func(context.Context) { arrived <- struct{}{} }}
	run(t, b.relay(t, polling, event.Options{Poll: 20 * time.Millisecond}))
	b.add(t, 1, subjects(1)...)
	select {
	case <-arrived:
	case <-time.After(20 * time.Second):
		t.Fatal("nobody has looked")
	}
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
