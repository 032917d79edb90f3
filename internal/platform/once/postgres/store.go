// Package pgonce keeps in PostgreSQL what has been done once.
package pgonce

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/platform/once"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// Store implements once.Store.
type Store struct{ db postgres.DB }

var _ once.Store = (*Store)(nil)

// New returns a store in db.
func New(db postgres.DB) *Store { return &Store{db} }

// Claim implements once.Store.
func (s *Store) Claim(ctx context.Context, key once.Key, value []byte, keep time.Duration) (there []byte, err error) {
	for {
		tag, err := s.db.Exec(ctx, `
			INSERT INTO idempotency_keys AS k (org_id, name, value, until) VALUES ($1, $2, $3, now() + $4::interval)
			ON CONFLICT (org_id, name) DO UPDATE SET value = EXCLUDED.value, until = EXCLUDED.until WHERE k.until <= now()`,
			key.Org, key.Name, value, keep)
		if err != nil || tag.RowsAffected() == 1 {
			return nil, postgres.Fault(err)
		}
		err = s.db.QueryRow(ctx, `SELECT value FROM idempotency_keys WHERE org_id = $1 AND name = $2`, key.Org, key.Name).Scan(&there)
		if !errors.Is(err, pgx.ErrNoRows) { // else it was forgotten meanwhile
			return there, postgres.Fault(err)
		}
	}
}

// Put implements once.Store.
func (s *Store) Put(ctx context.Context, key once.Key, value []byte, keep time.Duration) error {
	_, err := s.db.Exec(ctx, `
		INSERT INTO idempotency_keys (org_id, name, value, until) VALUES ($1, $2, $3, now() + $4::interval)
		ON CONFLICT (org_id, name) DO UPDATE SET value = EXCLUDED.value, until = EXCLUDED.until`, key.Org, key.Name, value, keep)
	return postgres.Fault(err)
}

// Forget implements once.Store.
func (s *Store) Forget(ctx context.Context, key once.Key) error {
	_, err := s.db.Exec(ctx, `DELETE FROM idempotency_keys WHERE org_id = $1 AND name = $2`, key.Org, key.Name)
	return postgres.Fault(err)
}

// Prune removes what is over, of all organizations.
func Prune(ctx context.Context, db postgres.DB) error {
	_, err := db.Exec(ctx, `DELETE FROM idempotency_keys WHERE until <= now()`)
	return err
}
