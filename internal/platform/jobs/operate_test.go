package jobs_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// kill makes n jobs that are dead.
func (b *bundle) kill(t *testing.T, n int) []jobs.Job {
	t.Helper()
	r := b.runner(jobs.Config{})
	r.Handle("test", func(context.Context, jobs.Job) error { return jobs.Permanent(errors.New("no utterances"), "NO_SPEECH") })
	var killed []jobs.Job
	for range n {
		j := b.job()
		b.enqueue(t, j)
		b.drain(t, r)
		killed = append(killed, j)
	}
	return killed
}

func (b *bundle) discard(t *testing.T, org, job id.UUID) error {
	t.Helper()
	return postgres.InTx(t.Context(), b.pool, func(tx pgx.Tx) error { return jobs.Discard(t.Context(), tx, org, job) })
}

func (b *bundle) replay(t *testing.T, org, job id.UUID) error {
	t.Helper()
	return postgres.InTx(t.Context(), b.pool, func(tx pgx.Tx) error { return jobs.Replay(t.Context(), tx, org, job) })
}

// dead are the ids of the dead jobs of the bundle's organization.
func (b *bundle) dead(t *testing.T) []id.UUID {
	t.Helper()
	rows, err := b.pool.Query(t.Context(), `SELECT id FROM jobs WHERE org_id = $1 AND state = 'DEAD' ORDER BY id`, b.org)
	if err != nil {
		t.Fatal(err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[id.UUID])
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func TestReplayGivesAllAttemptsAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	j := b.kill(t, 1)[0]
	d := b.dead(t)[0]
	if err := b.replay(t, b.addOrg(t), d); fault.KindOf(err) != fault.KindNotFound {
		t.Errorf("replay by another organization returns %v, want NotFound", err)
	}
	if err := b.replay(t, b.org, d); err != nil {
		t.Fatal(err)
	}
	if err := b.replay(t, b.org, d); fault.KindOf(err) != fault.KindNotFound {
		t.Errorf("a second replay returns %v, want NotFound", err)
	}
	if left := b.dead(t); len(left) != 0 {
		t.Errorf("still dead: %+v", left)
	}
	r := b.runner(jobs.Config{})
	r.Handle("test", func(context.Context, jobs.Job) error { return nil })
	b.drain(t, r)
	b.expect(t, j.Entity, "DONE 1 SUPERSEDED", "DONE 1")
}

func TestReplayLeavesTheWorkToTheOneThatWaits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	j := b.kill(t, 1)[0]
	b.enqueue(t, j)
	if err := b.replay(t, b.org, b.dead(t)[0]); err != nil {
		t.Fatal(err)
	}
	b.expect(t, j.Entity, "DONE 1 SUPERSEDED", "PENDING 0")
}

// What waits is due at once, what is dead is superseded, what is at work is left alone, and nothing is done twice.
func TestAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	again := func(j jobs.Job) (changed bool) {
		t.Helper()
		if err := postgres.InTx(t.Context(), b.pool, func(tx pgx.Tx) (err error) {
			changed, err = jobs.Again(t.Context(), tx, j)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return changed
	}
	dead := b.kill(t, 1)[0]
	for range 2 {
		if !again(dead) {
			t.Error("nothing was done about a dead one")
		}
	}
	b.expect(t, dead.Entity, "DONE 1 SUPERSEDED", "PENDING 0")

	later := b.job()
	later.RunAt = time.Now().Add(time.Hour)
	b.enqueue(t, later)
	never := b.job()
	if !again(later) || !again(never) {
		t.Error("nothing was done about one that waits, or was never there")
	}
	r := b.runner(jobs.Config{})
	r.Handle("test", func(_ context.Context, j jobs.Job) error {
		if again(j) {
			t.Error("one that is at work was disturbed")
		}
		return nil
	})
	b.drain(t, r)
	b.expect(t, dead.Entity, "DONE 1 SUPERSEDED", "DONE 1")
	b.expect(t, later.Entity, "DONE 1")
	b.expect(t, never.Entity, "DONE 1")
}

func TestDiscard(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.kill(t, 1)
	alive := b.job()
	b.enqueue(t, alive)
	d := b.dead(t)[0]
	for name, err := range map[string]error{
		"another organization's": b.discard(t, b.addOrg(t), d),
		"a living one":           b.discard(t, b.org, b.message(t, alive).ID),
	} {
		if fault.KindOf(err) != fault.KindNotFound {
			t.Errorf("discarding %s returns %v, want NotFound", name, err)
		}
	}
	if err := b.discard(t, b.org, d); err != nil {
		t.Fatal(err)
	}
	if left := b.dead(t); len(left) != 0 {
		t.Errorf("still there: %+v", left)
	}
}

func TestStats(t *testing.T) {
	t.Parallel()
	b := setup(t)
	stats := func() map[string]jobs.KindStats {
		t.Helper()
		all, err := jobs.Stats(t.Context(), b.pool)
		if err != nil {
			t.Fatal(err)
		}
		m := map[string]jobs.KindStats{}
		for _, k := range all {
			m[k.Kind] = k
		}
		return m
	}
	if got := stats(); len(got) != 0 {
		t.Errorf("without jobs: %v", got)
	}
	b.kill(t, 2)
	late, future, running := b.job(), b.job(), b.job()
	late.RunAt, future.RunAt = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	running.Kind = "other"
	b.enqueue(t, late, future, running)
	b.orphan(t, running, 1)
	got := stats()
	lag := got["test"].Lag
	if lag < time.Hour || lag > time.Hour+time.Minute {
		t.Errorf("lag is %s, want an hour", lag)
	}
	if want := (jobs.KindStats{Kind: "test", Pending: 2, Dead: 2, Lag: lag}); got["test"] != want {
		t.Errorf("got %+v, want %+v", got["test"], want)
	}
	if want := (jobs.KindStats{Kind: "other", Running: 1}); got["other"] != want {
		t.Errorf("got %+v, want %+v", got["other"], want)
	}
}

func TestPruneRemovesOnlyWhatIsDone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	dead := b.kill(t, 1)[0]
	waiting, done := b.job(), b.job()
	r := b.runner(jobs.Config{})
	r.Handle("test", func(context.Context, jobs.Job) error { return nil })
	b.enqueue(t, done)
	b.drain(t, r)
	b.enqueue(t, waiting)
	for olderThan, want := range map[time.Duration]int64{time.Hour: 0} {
		if n, err := jobs.Prune(t.Context(), b.pool, olderThan); err != nil || n != want {
			t.Errorf("pruned %d (%v), want %d", n, err, want)
		}
	}
	if n, err := jobs.Prune(t.Context(), b.pool, 0); err != nil || n != 1 {
		t.Errorf("pruned %d (%v), want 1", n, err)
	}
	b.expect(t, done.Entity)
	b.expect(t, dead.Entity, "DEAD 1 NO_SPEECH")
	b.expect(t, waiting.Entity, "PENDING 0")
}
