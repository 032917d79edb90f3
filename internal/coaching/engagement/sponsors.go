package engagement

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/check"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// maxSponsors bounds the list of an engagement's sponsors, which is read without pages.
const maxSponsors = 20

// Sponsorships returns who sponsors each engagement, in the order of the engagements. The ids are of engagements that the
// viewer has been shown; which of the people the viewer may see is org's to say.
func (s *Service) Sponsorships(ctx context.Context, keys []id.UUID) ([][]*Sponsorship, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	found := make([][]*Sponsorship, len(keys))
	rows, err := s.db.Query(ctx, `
		SELECT k.ord, es.user_id, es.grants, es.created_at
		FROM unnest($2::uuid[]) WITH ORDINALITY AS k(engagement_id, ord)
		JOIN engagement_sponsors es ON es.org_id = $1 AND es.engagement_id = k.engagement_id
		ORDER BY k.ord, es.created_at, es.user_id`, v.Org, keys)
	if err != nil {
		return nil, err
	}
	var ord int
	var row Sponsorship
	_, err = pgx.ForEachRow(rows, []any{&ord, &row.UserID, &row.Grants, &row.CreatedAt}, func() error {
		one := row
		found[ord-1] = append(found[ord-1], &one)
		row.Grants = nil
		return nil
	})
	return found, err
}

// SetSponsor adds a sponsor to an engagement, or changes what one may see. Doing it twice is doing it once.
func (s *Service) SetSponsor(ctx context.Context, in SetSponsorInput) (_ *Engagement, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "engagement.SetSponsor(%s, %s)", in.EngagementID, in.UserID)
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		e, err := s.lockMine(ctx, tx, v, in.EngagementID)
		if err != nil {
			return err
		}
		var problems check.Input
		for i, g := range in.Grants {
			if slices.Contains(in.Grants[:i], g) {
				problems.Fail(fmt.Sprintf("grants.%d", i), "is named twice")
			}
		}
		if err := problems.Err(); err != nil {
			return err
		}
		if err := org.RequireActive(ctx, tx, v.Org, in.UserID, auth.RoleSponsor, "userId"); err != nil {
			return err
		}
		var others int
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM engagement_sponsors WHERE org_id = $1 AND engagement_id = $2 AND user_id <> $3`,
			v.Org, in.EngagementID, in.UserID).Scan(&others); err != nil {
			return err
		}
		if others >= maxSponsors {
			return fault.Conflict("an engagement has at most %d sponsors", maxSponsors)
		}
		if _, err := tx.Exec(ctx, `
			INSERT INTO engagement_sponsors (org_id, engagement_id, user_id, grants) VALUES ($1, $2, $3, $4)
			ON CONFLICT (org_id, engagement_id, user_id) DO UPDATE SET grants = excluded.grants`,
			v.Org, in.EngagementID, in.UserID, append([]Grant{}, in.Grants...)); err != nil {
			return err
		}
		return audit.Record(ctx, tx, v, entry("engagement.sponsor", in.EngagementID, e.ClientID, "sponsorships"),
			audit.Entry{Action: "sponsor.set", Kind: "user", ID: in.UserID.UUID, ClientID: e.ClientID.UUID, Fields: []string{"grants"}})
	})
	if err != nil {
		return nil, err
	}
	return s.Get(ctx, in.EngagementID)
}

// RemoveSponsor takes a sponsor off an engagement. Who is no sponsor of it is already off.
func (s *Service) RemoveSponsor(ctx context.Context, in RemoveSponsorInput) (_ *Engagement, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "engagement.RemoveSponsor(%s, %s)", in.EngagementID, in.UserID)
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		e, err := s.lockMine(ctx, tx, v, in.EngagementID)
		if err != nil {
			return err
		}
		gone, err := tx.Exec(ctx, `DELETE FROM engagement_sponsors WHERE org_id = $1 AND engagement_id = $2 AND user_id = $3`,
			v.Org, in.EngagementID, in.UserID)
		if err != nil || gone.RowsAffected() == 0 {
			return err
		}
		return audit.Record(ctx, tx, v, entry("engagement.sponsor", in.EngagementID, e.ClientID, "sponsorships"),
			audit.Entry{Action: "sponsor.remove", Kind: "user", ID: in.UserID.UUID, ClientID: e.ClientID.UUID})
	})
	if err != nil {
		return nil, err
	}
	return s.Get(ctx, in.EngagementID)
}

// used counts the sessions of the engagement in a column that use up one of those agreed.
func used(engagementColumn string) string {
	return "(SELECT count(*) FROM sessions s WHERE s.org_id = $1 AND s.engagement_id = " + engagementColumn + " AND (s.status = 'COMPLETED' OR s.uses_session))"
}

// SessionsLeft is the SQL expression for how many of the sessions agreed the engagement in a column has left; NULL without an
// agreed number.
func SessionsLeft(engagementColumn string) string {
	return "(SELECT greatest(0, e.sessions_included - " + used("e.id") + ") FROM engagements e WHERE e.org_id = $1 AND e.id = " + engagementColumn +
		" AND e.sessions_included IS NOT NULL)"
}

// SessionsUsed counts what each engagement has used up of the sessions agreed, in the order of the engagements: those held,
// and those that were not held but count. It is counted and not kept: a number beside the sessions could differ from them.
// The ids are of engagements that the viewer has been shown.
func (s *Service) SessionsUsed(ctx context.Context, keys []id.UUID) ([]int, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := s.db.Query(ctx, `
		SELECT `+used("k.engagement_id")+`
		FROM unnest($2::uuid[]) WITH ORDINALITY AS k(engagement_id, ord) ORDER BY k.ord`, v.Org, keys)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int])
}
