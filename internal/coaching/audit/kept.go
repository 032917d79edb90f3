package audit

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
)

// CodeErased is the code of the conflict that RequireKept finds.
const CodeErased = "ERASED"

var errErased = fault.Conflict("the client was erased: nothing is written about them any more").WithCode(CodeErased)

// erasing is the advisory lock between who writes about a client c and who erases them.
const erasing = `hashtextextended('erasing ' || $1::text || c::text, 0)`

// RequireKept is a Conflict if one of the clients was erased, or is being erased. Record asks it of the clients whom its entries name; a
// change that concerns another one asks it itself.
//
// Who has asked holds the client until the transaction ends (Settle), and never waits for it: what cannot be held is being erased.
func RequireKept(ctx context.Context, tx pgx.Tx, organization id.UUID, clients ...id.UUID) error {
	if len(clients) == 0 {
		return nil
	}
	b := &pgx.Batch{}
	verdict := QueueKept(b, organization, clients...)
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return err
	}
	return verdict()
}

// QueueKept is RequireKept as part of a batch that does more: before all else in it. verdict says what RequireKept would, once the batch has run.
func QueueKept(b *pgx.Batch, organization id.UUID, clients ...id.UUID) (verdict func() error) {
	var held, kept bool
	// Two statements, for the second must see what was committed before the first.
	b.Queue(`SELECT coalesce(bool_and(pg_try_advisory_xact_lock_shared(`+erasing+`)), true) FROM unnest($2::uuid[]) AS c`, organization, clients).QueryRow(func(row pgx.Row) error { return row.Scan(&held) })
	b.Queue(`
		SELECT NOT EXISTS (SELECT FROM data_requests r WHERE r.org_id = $1 AND r.client_id = ANY($2) AND r.kind = 'ERASURE' AND r.status IN ('RUNNING', 'COMPLETED'))`,
		organization, clients).QueryRow(func(row pgx.Row) error { return row.Scan(&kept) })
	return func() error {
		if !held || !kept {
			return errErased
		}
		return nil
	}
}

// Settle waits for the changes about a client that were under way when the erasure was decided. It is the only lock of its transaction, and
// its caller has committed the decision: who comes later is refused, so that everything that was written is there to be found.
func Settle(ctx context.Context, tx pgx.Tx, organization, client id.UUID) error {
	_, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(`+erasing+`) FROM (SELECT $2::uuid AS c) x`, organization, client)
	return err
}
