// Package cache keeps answers that are expensive to compute, for as long as nothing has been written that they were computed from.
//
// Whether that is so PostgreSQL says, in one small statement: whoever writes to a table leaves a number there that nobody has seen before, in the
// transaction that writes (migration 63). So an answer is never older than what was committed when it was asked for, one's own changes
// included, on whichever server, and whatever the place that keeps it may forget or bring back. What is audited when it is read is
// not to be kept here, nor words of anybody: numbers and ids.
package cache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// Store keeps values for a while. It may forget any of them at any time. All methods are safe for concurrent use.
type Store interface {
	// Get returns the value that was last put under key, nil if it is not there. An error says that nobody can look.
	Get(ctx context.Context, key string) ([]byte, error)

	// Put keeps value under key for so long, at most. The value is not changed afterwards, by anybody.
	Put(ctx context.Context, key string, value []byte, keep time.Duration) error
}

// Answers are the answers that are kept. A nil one keeps none.
type Answers struct {
	store  Store
	log    *slog.Logger
	keep   time.Duration
	flight singleflight.Group
}

// New returns answers that store keeps for so long, at most.
func New(store Store, log *slog.Logger, keep time.Duration) *Answers {
	return &Answers{store: store, log: log, keep: keep}
}

const (
	largest   = 1 << 20          // bytes of an answer; a larger one is computed each time
	computing = 30 * time.Second // until an answer is given up that nobody waits for any more
)

// Question is what an answer depends on, beside the rows of tables.
type Question struct {
	Org id.UUID
	// State is that of the tables that the answer is computed from, of those that leave stamps, as it was read by StateOf before.
	State string
	// Of is the operation, its variables and the viewer with their roles; for a statement, its text and arguments. It becomes JSON, which must
	// tell apart what is not the same.
	Of any
}

// Through answers a question by compute, or by what compute has answered before, if nothing was written to its tables since. Those who
// ask the same at the same time share one computation; its context ends with none of theirs. Must not be called within a transaction that has written.
func Through[T any](ctx context.Context, a *Answers, q Question, compute func(context.Context) (T, error)) (answer T, err error) {
	if a == nil {
		return compute(ctx)
	}
	key, err := q.key()
	if err != nil {
		return answer, err
	}
	if raw, err := a.store.Get(ctx, key); err == nil && raw != nil && json.Unmarshal(raw, &answer) == nil {
		return answer, nil
	}
	result := a.flight.DoChan(key, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), computing)
		defer cancel()
		answer, err := compute(ctx)
		if err == nil {
			a.put(ctx, key, answer)
		}
		return answer, err
	})
	select {
	case r := <-result:
		if r.Err != nil {
			return answer, r.Err
		}
		return r.Val.(T), nil
	case <-ctx.Done():
		return answer, ctx.Err()
	}
}

// StateOf is the SQL of the state of tables in an organization, both in arguments: a text that is another one when something was written to
// one of the tables. Read it before the rows.
func StateOf(organization, tables string) string {
	return "coalesce((SELECT sum(stamp) FROM stamps WHERE org_id = " + organization + " AND tag = ANY(" + tables + ")), 0)::text"
}

func (q Question) key() (string, error) {
	raw, err := json.Marshal(q)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:]), nil
}

func (a *Answers) put(ctx context.Context, key string, answer any) {
	raw, err := json.Marshal(answer)
	if err != nil {
		a.log.ErrorContext(ctx, "an answer cannot be kept", "err", err)
		return
	}
	if len(raw) <= largest {
		_ = a.store.Put(ctx, key, raw, a.keep) // then it is computed again
	}
}

// Prune forgets the stamps of connections that have not written for a day; answers that were computed before are computed anew.
func Prune(ctx context.Context, db postgres.DB) error {
	_, err := db.Exec(ctx, `DELETE FROM stamps WHERE at < now() - interval '1 day'`)
	return err
}
