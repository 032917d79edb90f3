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

// people are those whom the development issuer can sign in. It serves their list to the explorer's page.
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
		SELECT u.email, u.name, m.roles, o.slug
		FROM user_identities i
		JOIN users u ON u.id = i.user_id
		JOIN memberships m ON m.user_id = u.id AND m.status = 'ACTIVE'
		JOIN organizations o ON o.id = m.org_id
		WHERE i.issuer = $1 ORDER BY o.created_at, o.slug, m.created_at, u.email LIMIT 100`, p.issuer)
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
