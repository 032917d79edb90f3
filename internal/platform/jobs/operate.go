package jobs

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// Replay gives dead jobs all their attempts again, from now on. If another job about the same entity waits already, that one
// does the work and the dead one counts as done. If one of them is not dead, or not of org, it is not found, and the
// transaction is to be rolled back.
func Replay(ctx context.Context, tx pgx.Tx, org id.UUID, ids ...id.UUID) (err error) {
	defer fault.Wrap(&err, "jobs.Replay(%s)", org)
	// Enqueue has settled all questions of who waits already; so a replay enqueues, and retires the dead rows.
	rows, err := tx.Query(ctx, `
		WITH dead AS (SELECT id FROM jobs WHERE org_id = $1 AND id = ANY ($2) AND state = 'DEAD' ORDER BY id FOR UPDATE)
		UPDATE jobs j SET state = 'DONE', finished_at = clock_timestamp(), last_error_code = $3
		FROM dead WHERE j.id = dead.id
		RETURNING j.org_id, j.kind, j.entity_id, j.max_attempts, coalesce(j.trace_context, '')`, org, ids, CodeSuperseded)
	if err != nil {
		return err
	}
	again, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (j Job, err error) {
		return j, row.Scan(&j.Org, &j.Kind, &j.Entity, &j.MaxAttempts, &j.TraceContext)
	})
	if err != nil {
		return err
	}
	if len(again) < len(ids) {
		return fault.NotFound("dead job")
	}
	return Enqueue(ctx, tx, again...)
}

// Again has a job done now, whatever became of it before: one that waits is due at once, dead ones count as done, and one that is at work is
// left alone. It belongs where Enqueue does, late in a transaction. It is false if one is at work and nothing was changed.
func Again(ctx context.Context, tx pgx.Tx, j Job) (_ bool, err error) {
	defer fault.Wrap(&err, "jobs.Again")
	var working bool
	if err := tx.QueryRow(ctx, `
		WITH dead AS (
			UPDATE jobs SET state = 'DONE', finished_at = clock_timestamp(), last_error_code = $4
			WHERE org_id = $1 AND kind = $2 AND entity_id = $3 AND state = 'DEAD'),
		waiting AS (
			UPDATE jobs SET run_at = now() WHERE org_id = $1 AND kind = $2 AND entity_id = $3 AND state = 'PENDING' AND run_at > now())
		SELECT EXISTS (SELECT FROM jobs WHERE org_id = $1 AND kind = $2 AND entity_id = $3 AND state = 'RUNNING')`,
		j.Org, j.Kind, j.Entity, CodeSuperseded).Scan(&working); err != nil || working {
		return false, err
	}
	return true, Enqueue(ctx, tx, j)
}

// Discard removes dead jobs. If one of them is not dead, or not of org, it is not found, and the transaction is to be rolled
// back.
func Discard(ctx context.Context, tx pgx.Tx, org id.UUID, ids ...id.UUID) (err error) {
	defer fault.Wrap(&err, "jobs.Discard(%s)", org)
	tag, err := tx.Exec(ctx, `
		WITH dead AS (SELECT id FROM jobs WHERE org_id = $1 AND id = ANY ($2) AND state = 'DEAD' ORDER BY id FOR UPDATE)
		DELETE FROM jobs j USING dead WHERE j.id = dead.id`, org, ids)
	if err == nil && int(tag.RowsAffected()) < len(ids) {
		return fault.NotFound("dead job")
	}
	return err
}

// Prune removes jobs that were done longer ago than olderThan and returns how many. Dead ones stay until somebody decides.
func Prune(ctx context.Context, db postgres.DB, olderThan time.Duration) (removed int64, err error) {
	defer fault.Wrap(&err, "jobs.Prune")
	const batch = 5000 // short statements: vacuum and the other writers get their turn
	for {
		tag, err := db.Exec(ctx, `
			DELETE FROM jobs WHERE id IN (
				SELECT id FROM jobs WHERE state = 'DONE' AND finished_at < now() - $1::interval
				ORDER BY finished_at, id LIMIT $2)`, olderThan, batch)
		if err != nil {
			return removed, err
		}
		removed += tag.RowsAffected()
		if tag.RowsAffected() < batch {
			return removed, nil
		}
	}
}

// KindStats counts the jobs of one kind that are not done, over all organizations.
type KindStats struct {
	Kind    string
	Pending int // due or not
	Running int
	Dead    int
	Lag     time.Duration // how long the longest waiting due job waits; 0 without one
}

// Stats returns the counts of every kind that has jobs which are not done, by name.
func Stats(ctx context.Context, db postgres.DB) (_ []KindStats, err error) {
	defer fault.Wrap(&err, "jobs.Stats")
	// One branch a state, because each has an index of its own and the done are many.
	rows, err := db.Query(ctx, `
		SELECT kind, count(*) FILTER (WHERE state = 'PENDING'), count(*) FILTER (WHERE state = 'RUNNING'),
			count(*) FILTER (WHERE state = 'DEAD'),
			coalesce(extract(epoch FROM now() - min(run_at) FILTER (WHERE state = 'PENDING' AND run_at <= now())), 0)::float8
		FROM (
			SELECT kind, state, run_at FROM jobs WHERE state = 'PENDING'
			UNION ALL SELECT kind, state, run_at FROM jobs WHERE state = 'RUNNING'
			UNION ALL SELECT kind, state, run_at FROM jobs WHERE state = 'DEAD'
		) live
		GROUP BY kind ORDER BY kind`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (k KindStats, err error) {
		var lag float64
		err = row.Scan(&k.Kind, &k.Pending, &k.Running, &k.Dead, &lag)
		k.Lag = time.Duration(lag * float64(time.Second))
		return k, err
	})
}
