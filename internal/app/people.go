package app

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// people are those whom the development issuer can sign in: members, and who is invited and may do nothing but accept. It serves their list to the explorer's page.
type people struct {
	db     *pgxpool.Pool
	issuer string
}

// PersonByEmail implements auth.People.
func (p people) PersonByEmail(ctx context.Context, email string) (auth.Person, error) {
	var found auth.Person
	err := p.db.QueryRow(ctx, `
		SELECT i.subject, u.email FROM users u JOIN user_identities i ON i.user_id = u.id
		WHERE i.issuer = $1 AND lower(u.email) = lower($2) ORDER BY i.created_at LIMIT 1`, p.issuer, email).
		Scan(&found.Subject, &found.Email)
	if errors.Is(err, pgx.ErrNoRows) { // somebody who is invited can sign in to accept
		err = p.db.QueryRow(ctx, `SELECT email, email FROM invitations
			WHERE lower(email) = lower($1) AND accepted_at IS NULL AND revoked_at IS NULL ORDER BY created_at LIMIT 1`, email).
			Scan(&found.Subject, &found.Email)
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return found, fault.NotFound("person")
	}
	return found, postgres.Fault(err)
}

// person is a line of the list.
type person struct {
	Email        string      `json:"email"`
	Name         string      `json:"name"`
	Roles        []auth.Role `json:"roles"`
	Organization string      `json:"organization"`
}

func (p people) list(ctx context.Context) ([]person, error) {
	rows, err := p.db.Query(ctx, `
		SELECT email, name, roles, slug FROM (
			SELECT u.email, u.name, m.roles, o.slug, o.created_at AS since, m.created_at
			FROM user_identities i
			JOIN users u ON u.id = i.user_id
			JOIN memberships m ON m.user_id = u.id AND m.status = 'ACTIVE'
			JOIN organizations o ON o.id = m.org_id
			WHERE i.issuer = $1
			UNION ALL
			SELECT n.email, 'Invited: ' || n.email, n.roles, o.slug, o.created_at, n.created_at
			FROM invitations n JOIN organizations o ON o.id = n.org_id
			WHERE n.accepted_at IS NULL AND n.revoked_at IS NULL AND n.expires_at > now()
			  AND NOT EXISTS (SELECT FROM users u JOIN user_identities i ON i.user_id = u.id AND i.issuer = $1 WHERE lower(u.email) = lower(n.email))
		) AS everybody ORDER BY since, slug, created_at, email LIMIT 100`, p.issuer)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[person])
}

func (p people) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	all, err := p.list(r.Context())
	if err != nil {
		http.Error(w, "the people cannot be listed now", http.StatusServiceUnavailable)
		return
	}
	if all == nil {
		all = []person{}
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(all) // a client gone is no matter
}
