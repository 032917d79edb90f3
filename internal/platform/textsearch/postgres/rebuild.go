package pgsearch

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/internal/platform/textsearch"
)

// live is the generation in use.
const live = `(SELECT g.id FROM search_generations g WHERE g.live)`

// Rebuild implements textsearch.Index.
func (x *Index) Rebuild(ctx context.Context, fill func(ctx context.Context, w textsearch.Writer) error) (err error) {
	defer fault.Wrap(&err, "pgsearch.Rebuild")
	x.making.Lock()
	defer x.making.Unlock()
	conn, err := x.db.Acquire(ctx)
	if err != nil {
		return unavailable(ctx, err)
	}
	defer conn.Release()
	// Another process may have died in the middle: whoever holds the lock clears up after it.
	const lock = `hashtextextended('search rebuild', 0)`
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock(`+lock+`)`); err != nil {
		return unavailable(ctx, err)
	}
	defer func() {
		_, _ = conn.Exec(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock(`+lock+`)`)
	}()
	if err := x.clear(ctx); err != nil {
		return unavailable(ctx, err)
	}
	if _, err := x.db.Exec(ctx, `INSERT INTO search_generations (id, live) SELECT max(id) + 1, false FROM search_generations`); err != nil {
		return unavailable(ctx, err)
	}
	if err := fill(ctx, next{x}); err != nil {
		return errors.Join(err, x.clear(context.WithoutCancel(ctx)))
	}
	err = postgres.InTx(ctx, x.db, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT FROM search_generations ORDER BY id FOR UPDATE`); err != nil { // writers under way go first
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE search_generations SET live = false WHERE live`); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE search_generations SET live = true WHERE id = (SELECT max(id) FROM search_generations)`)
		return err
	})
	if err != nil {
		return errors.Join(err, x.clear(context.WithoutCancel(ctx)))
	}
	return x.clear(ctx)
}

// clear removes the generations that are not in use, with all that is in them.
func (x *Index) clear(ctx context.Context) error {
	if _, err := x.db.Exec(ctx, `DELETE FROM search_generations WHERE NOT live`); err != nil { // from here on nobody writes into them
		return err
	}
	for _, table := range []string{"search_completions", "search_documents", "search_words"} {
		for {
			tag, err := x.db.Exec(ctx, `DELETE FROM `+table+` WHERE ctid = ANY(ARRAY(
				SELECT ctid FROM `+table+` WHERE generation <> ALL(ARRAY(SELECT id FROM search_generations)) LIMIT 10000))`)
			if err != nil {
				return err
			}
			if tag.RowsAffected() == 0 {
				break
			}
		}
	}
	return nil
}

// next writes into the generation that is being made.
type next struct{ x *Index }

func (n next) Put(ctx context.Context, org id.UUID, docs []textsearch.Document) error {
	return n.x.put(ctx, org, docs, true)
}

func (n next) Prune(ctx context.Context, org id.UUID, before int64, groups ...string) error {
	return n.x.prune(ctx, org, before, groups, true)
}

func (next) Refresh(context.Context) error { return nil }
