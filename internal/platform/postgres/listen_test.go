package postgres_test

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/goleak"

	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/internal/testkit"
)

const patience = 30 * time.Second

func listen(t *testing.T, pool *pgxpool.Pool) *postgres.Listener {
	t.Helper()
	l := postgres.Listen(t.Context(), pool, slog.New(slog.NewTextHandler(t.Output(), nil)))
	t.Cleanup(l.Close)
	return l
}

// receive returns the next payload.
func receive(t *testing.T, wake <-chan string) string {
	t.Helper()
	select {
	case payload, ok := <-wake:
		if !ok {
			t.Fatal("the channel is closed")
		}
		return payload
	case <-time.After(patience):
		t.Fatal("nobody woke the subscriber")
	}
	return ""
}

// settle waits until the subscription is in effect: woken at once, and again when nothing can be missed any more.
func settle(t *testing.T, wake <-chan string) {
	t.Helper()
	for range 2 {
		if payload := receive(t, wake); payload != "" {
			t.Fatalf("first woken with %q, want the empty payload", payload)
		}
	}
}

func notify(t *testing.T, pool *pgxpool.Pool, channel, payload string) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), "SELECT pg_notify($1, $2)", channel, payload); err != nil {
		t.Fatal(err)
	}
}

func TestListenerFansOut(t *testing.T) {
	t.Parallel()
	pool := testkit.DB(t)
	l := listen(t, pool)
	const odd = `Odd "name"; DROP TABLE x`
	a1, _ := l.Subscribe("a")
	settle(t, a1)
	a2, _ := l.Subscribe("a")
	if payload := receive(t, a2); payload != "" {
		t.Errorf("the second subscriber was first woken with %q", payload)
	}
	b, _ := l.Subscribe(odd)
	settle(t, b)

	notify(t, pool, "a", "1")
	notify(t, pool, odd, "2")
	notify(t, pool, "a", "3")
	for name, sub := range map[string]<-chan string{"a1": a1, "a2": a2} {
		if one, three := receive(t, sub), receive(t, sub); one != "1" || three != "3" {
			t.Errorf("%s got %q, %q; want 1, 3", name, one, three)
		}
	}
	if two := receive(t, b); two != "2" {
		t.Errorf("b got %q, want 2", two)
	}
}

func TestListenerCancel(t *testing.T) {
	t.Parallel()
	pool := testkit.DB(t)
	l := listen(t, pool)
	kept, _ := l.Subscribe("kept")
	settle(t, kept)
	gone, cancel := l.Subscribe("gone")
	settle(t, gone)
	cancel()
	cancel()
	if _, open := <-gone; open {
		t.Error("a cancelled subscription still delivers")
	}
	// PostgreSQL must not send what nobody wants any more. The listener has looked after its channels when it has taken
	// this one; and whoever then comes back is told twice again, because the listening began anew.
	other, _ := l.Subscribe("other")
	settle(t, other)
	again, _ := l.Subscribe("gone")
	settle(t, again)
	notify(t, pool, "gone", "2")
	if payload := receive(t, again); payload != "2" {
		t.Errorf("again got %q, want 2", payload)
	}
	notify(t, pool, "kept", "3")
	if payload := receive(t, kept); payload != "3" {
		t.Errorf("kept got %q, want 3", payload)
	}
}

func TestListenerRecoversAndWakesEverybody(t *testing.T) {
	t.Parallel()
	pool := testkit.DB(t)
	l := listen(t, pool)
	a, _ := l.Subscribe("a")
	b, _ := l.Subscribe("b")
	settle(t, a)
	settle(t, b)
	for round := range 3 {
		var killed int
		err := pool.QueryRow(t.Context(), `
			SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
			WHERE datname = current_database() AND application_name LIKE '% listener'`).Scan(&killed)
		if err != nil {
			t.Fatal(err)
		}
		if killed == 0 {
			t.Fatal("there was no connection to kill")
		}
		for name, sub := range map[string]<-chan string{"a": a, "b": b} {
			if payload := receive(t, sub); payload != "" {
				t.Errorf("%s was woken with %q after the reconnect, want the empty payload", name, payload)
			}
		}
		notify(t, pool, "b", strconv.Itoa(round))
		if payload := receive(t, b); payload != strconv.Itoa(round) {
			t.Errorf("b got %q, want %d", payload, round)
		}
	}
}

func TestListenerTellsASlowSubscriberThatItMissedSome(t *testing.T) {
	t.Parallel()
	pool := testkit.DB(t)
	l := listen(t, pool)
	slow, _ := l.Subscribe("a")
	settle(t, slow)
	quick, _ := l.Subscribe("b")
	settle(t, quick)
	for i := range postgres.Backlog + 10 {
		notify(t, pool, "a", strconv.Itoa(i))
	}
	notify(t, pool, "b", "end")
	if payload := receive(t, quick); payload != "end" { // so all the others were delivered, and nobody was held up
		t.Errorf("quick got %q, want end", payload)
	}
	if payload := receive(t, slow); payload != "" {
		t.Errorf("slow got %q, want the empty payload first", payload)
	}
	for i := postgres.Backlog + 1; i < postgres.Backlog+10; i++ {
		if payload := receive(t, slow); payload != strconv.Itoa(i) {
			t.Errorf("slow got %q, want %d", payload, i)
		}
	}
}

func TestListenerClosesWhileItCannotConnect(t *testing.T) {
	t.Parallel()
	conf := testkit.DB(t).Config()
	conf.ConnConfig.RuntimeParams["role"] = "nobody_has_this_role"
	refused, err := pgxpool.NewWithConfig(t.Context(), conf) // connects when it is used, which is never
	if err != nil {
		t.Fatal(err)
	}
	defer refused.Close()
	l := listen(t, refused)
	wake, _ := l.Subscribe("a")
	if payload := receive(t, wake); payload != "" {
		t.Errorf("woken with %q", payload)
	}
	l.Close()
	if _, open := <-wake; open {
		t.Error("a closed listener still delivers")
	}
}

// Not parallel: it counts goroutines.
func TestListenerLeaksNothing(t *testing.T) {
	pool := testkit.DB(t)
	before := goleak.IgnoreCurrent()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	byContext := postgres.Listen(ctx, pool, slog.New(slog.DiscardHandler))
	byClose := postgres.Listen(t.Context(), pool, slog.New(slog.DiscardHandler))
	for i, l := range []*postgres.Listener{byContext, byClose} {
		wake, _ := l.Subscribe(fmt.Sprint("channel", i))
		settle(t, wake)
		if i == 0 {
			cancel()
		} else {
			l.Close()
		}
		if _, open := <-wake; open {
			t.Error("an ended listener still delivers")
		}
		l.Close()
		late, done := l.Subscribe("late")
		if _, open := <-late; open {
			t.Error("an ended listener took a subscriber")
		}
		done()
	}
	goleak.VerifyNone(t, before)
	testkit.Eventually(t, patience, func() error {
		var n int
		if err := pool.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE '% listener'`).Scan(&n); err != nil {
			return err
		}
		if n > 0 {
			return fmt.Errorf("%d connections left", n)
		}
		return nil
	})
}
