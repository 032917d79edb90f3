package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/internal/testkit"
)

// Who needs a secret that another is about to make waits for it and gets the same, whether or not it is made in the end.
func TestSecretsAreMadeOnce(t *testing.T) {
	t.Parallel()
	db := testkit.DB(t)
	exec(t, db, `CREATE TABLE secrets (org_id uuid PRIMARY KEY, secret bytea NOT NULL)`)
	for name, made := range map[string]bool{"made by another": true, "not made after all": false} {
		org := id.New()
		other, err := db.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = other.Rollback(context.WithoutCancel(t.Context())) }()
		theirs, err := postgres.Secret(t.Context(), other, "secrets", org, 32)
		if err != nil || len(theirs) != 32 || bytes.Equal(theirs, make([]byte, 32)) {
			t.Fatalf("%s: %x, %v", name, theirs, err)
		}
		type result struct {
			secret []byte
			err    error
		}
		mine := make(chan result)
		go func() {
			secret, err := postgres.Secret(t.Context(), db, "secrets", org, 32)
			mine <- result{secret, err}
		}()
		testkit.Eventually(t, 20*time.Second, func() error {
			var waits bool
			if err := db.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'transactionid')`).Scan(&waits); err != nil {
				return err
			}
			if !waits {
				return errors.New("nobody waits")
			}
			return nil
		})
		end := other.Rollback
		if made {
			end = other.Commit
		}
		if err := end(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := <-mine
		again, err := postgres.Secret(t.Context(), db, "secrets", org, 32)
		if got.err != nil || err != nil || len(got.secret) != 32 || !bytes.Equal(got.secret, again) || bytes.Equal(got.secret, theirs) != made {
			t.Errorf("%s: %x (%v), then %x (%v), the other's %x", name, got.secret, got.err, again, err, theirs)
		}
	}
	if _, err := postgres.Secret(t.Context(), db, "nowhere", id.New(), 32); err == nil {
		t.Error("a secret without a table")
	}
}
