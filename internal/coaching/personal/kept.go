package personal

import (
	"context"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
)

// RequireKept is a Conflict if the client was erased, or is being erased: whoever wanted to be forgotten gets no new name, and nothing new
// is written about them.
func RequireKept(ctx context.Context, db page.Querier, organization, client id.UUID) error {
	rows, err := db.Query(ctx, `
		SELECT FROM data_requests WHERE org_id = $1 AND client_id = $2 AND kind = 'ERASURE' AND status IN ('RUNNING', 'COMPLETED') LIMIT 1`, organization, client)
	if err != nil {
		return err
	}
	defer rows.Close()
	erased := rows.Next()
	if rows.Close(); rows.Err() != nil {
		return rows.Err()
	}
	if erased {
		return fault.Conflict("the client was erased: nothing is written about them any more").WithCode("ERASED")
	}
	return nil
}
