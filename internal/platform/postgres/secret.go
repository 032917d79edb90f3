package postgres

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/platform/id"
)

// Secret is an organization's row in a table of secrets, with the columns org_id and secret: made of so many random bytes when it is first needed,
// and the same for all who need it at that moment.
func Secret(ctx context.Context, db DB, table string, org id.UUID, size int) (secret []byte, err error) {
	fresh := make([]byte, size)
	_, _ = rand.Read(fresh) // never fails
	name := pgx.Identifier{table}.Sanitize()
	// Two statements in one round trip: the first waits for whoever makes the row at this moment, and only the next one sees it.
	batch := &pgx.Batch{}
	batch.Queue(`INSERT INTO `+name+` (org_id, secret) VALUES ($1, $2) ON CONFLICT DO NOTHING`, org, fresh)
	batch.Queue(`SELECT secret FROM `+name+` WHERE org_id = $1`, org).QueryRow(func(row pgx.Row) error { return row.Scan(&secret) })
	if err := db.SendBatch(ctx, batch).Close(); err != nil {
		return nil, fmt.Errorf("the secret in %s: %w", table, err)
	}
	return secret, nil
}
