package org

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/id"
)

// A client is a row of the practice's, a login is a person's. Coaches note the address of a client, and the member with the role CLIENT
// who has that address is the client, whichever was there first: from then on the person sees what is theirs. The address of a member was
// vouched for by the identity provider, or comes from an operator.

// LinkClient makes a client the member's who has the client's address, if there is one and the client is nobody's.
func LinkClient(ctx context.Context, tx pgx.Tx, v auth.Viewer, client id.UUID) error {
	return link(ctx, tx, v, "c.id = $2 AND lower(c.email) = lower(u.email)", client)
}

// linkMember makes those clients a member's that have the member's address, or the one that the member was invited at, and are nobody's.
func linkMember(ctx context.Context, tx pgx.Tx, v auth.Viewer, user id.UUID, invited string) error {
	return link(ctx, tx, v, "m.user_id = $2 AND lower(c.email) IN (lower(u.email), lower($3))", user, invited)
}

func link(ctx context.Context, tx pgx.Tx, v auth.Viewer, which string, args ...any) error {
	rows, err := tx.Query(ctx, `
		WITH linked AS (
			UPDATE clients c SET user_id = m.user_id, updated_at = now() FROM memberships m JOIN users u ON u.id = m.user_id
			WHERE c.org_id = $1 AND m.org_id = $1 AND m.status = 'ACTIVE' AND 'CLIENT' = ANY(m.roles) AND c.user_id IS NULL AND `+which+`
			RETURNING c.id, m.user_id
		), seats AS (
			UPDATE participants p SET user_id = l.user_id FROM linked l WHERE p.org_id = $1 AND p.client_id = l.id AND p.user_id IS NULL
		)
		SELECT id FROM linked ORDER BY id`, append([]any{v.Org}, args...)...)
	if err != nil {
		return err
	}
	linked, err := pgx.CollectRows(rows, pgx.RowTo[id.UUID])
	if err != nil {
		return err
	}
	entries := make([]audit.Entry, len(linked))
	for i, client := range linked {
		entries[i] = audit.Entry{Action: "client.link", Kind: "client", ID: client, ClientID: client, Fields: []string{"user"}}
	}
	return audit.Record(ctx, tx, v, entries...)
}
