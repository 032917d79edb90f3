package privacy

import (
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
)

// scope: a request is seen by whose it is, by the client's responsible coach, and by owners and admins, who decide about it.
func scope(v auth.Viewer) *page.Scope {
	s := page.NewScope("r.org_id")
	if v.Has(auth.RoleOwner, auth.RoleAdmin) {
		s.Allow(auth.AsAdmin, "true")
	}
	if v.Has(auth.RoleCoach) {
		s.Allow(auth.AsCoach, "c.coach_id = $2")
	}
	if v.Has(auth.RoleClient) {
		s.Allow(auth.AsClient, "c.user_id = $2")
	}
	return s
}

var requests = page.Table[Request]{
	From: "data_requests r JOIN clients c ON c.org_id = $1 AND c.id = r.client_id",
	ID:   "r.id",
	Columns: "r.id, r.client_id, r.kind, r.status, r.requested_by, r.decided_by, r.created_at, r.completed_at, r.counts, c.user_id IS NOT NULL, " +
		"CASE WHEN r.kind = 'EXPORT' THEN r.completed_at + interval '23 hours' END, r.coach_id, r.transcript_ids IS NOT NULL, coalesce(r.transcript_ids, '{}')",
	Dest: func(r *Request) []any {
		return []any{&r.Grants, &r.ID, &r.ClientID, &r.Kind, &r.Status, &r.RequestedByID, &r.DecidedByID, &r.CreatedAt, &r.CompletedAt, &r.counts, &r.clientHasUser,
			&r.ExpiresAt, &r.coachID, &r.copied, &r.transcripts}
	},
	Key: func(r *Request) id.UUID { return r.ID.UUID },
}

var latestFirst = page.Order[Request]{Name: "request-created", Keys: []page.Key[Request]{
	{SQL: "r.created_at", Type: "timestamptz", Desc: true, Of: func(r *Request) string { return page.Time(r.CreatedAt) }},
	{SQL: "r.id", Type: "uuid", Desc: true, Of: func(r *Request) string { return r.ID.UUID.String() }},
}}
