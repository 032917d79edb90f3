package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/tools/bench/seed"
)

// busy is a coach's practice of years, for the home screen: 5,000 sessions, 20,000 insights, none of them reviewed, and 2,000
// actions, half of them open and long overdue. A colleague and another organization have a fifth of it each.
var busy = seed.Size{Clients: 200, Sessions: 25, Utterances: 6, Insights: 4, Goals: 2, Actions: 10}

// measureHome tells how many statements the home screen of docs/operations takes, and what PostgreSQL needs for them.
func measureHome(ctx context.Context, b *bench) error {
	query, err := os.ReadFile("docs/operations/home.graphql")
	if err != nil {
		return fmt.Errorf("run it in the root of the repository: %w", err)
	}
	db, at, err := b.another(ctx, "home", busy)
	if err != nil {
		return err
	}
	defer db.Close()
	var day time.Time
	if err := db.QueryRow(ctx, `SELECT date_trunc('day', starts_at) FROM sessions WHERE coach_id = (SELECT id FROM users WHERE email = $1)
		ORDER BY starts_at OFFSET $2 LIMIT 1`, seed.Coach, busy.Clients*busy.Sessions/2).Scan(&day); err != nil {
		return err
	}
	for _, sql := range []string{
		`UPDATE clients SET lifecycle = 'AT_RISK' WHERE id IN (SELECT id FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM clients) c WHERE n % 10 = 0)`,
		`INSERT INTO taggings (id, org_id, tag_id, client_id) SELECT gen_random_uuid(), c.org_id, t.id, c.id FROM clients c JOIN tags t ON t.owner_id = c.coach_id AND t.name = 'board'`,
		`VACUUM ANALYZE clients`, `VACUUM ANALYZE taggings`,
	} {
		if _, err := db.Exec(ctx, sql); err != nil {
			return err
		}
	}
	seen, err := b.statements(ctx, at, string(query), map[string]any{"today": day, "tomorrow": day.AddDate(0, 0, 1)})
	if err != nil {
		return err
	}
	fmt.Fprintf(b.out, "\nHome screen of a coach with %d clients, %d sessions, %d insights, %d actions, in PostgreSQL\n",
		busy.Clients, busy.Clients*busy.Sessions, busy.Clients*busy.Sessions*busy.Insights, busy.Clients*busy.Actions)
	took, err := b.explained(ctx, db, seen)
	if err != nil {
		return err
	}
	fmt.Fprintf(b.out, "  %d statements, the identity's included; %.1f ms of PostgreSQL's own time, planning and execution by EXPLAIN ANALYZE\n", len(seen), took)
	return nil
}

// another is a second database on the bench's server, of another size.
func (b *bench) another(ctx context.Context, name string, size seed.Size) (*pgxpool.Pool, string, error) {
	if _, err := b.db.Exec(ctx, "CREATE DATABASE "+name); err != nil {
		return nil, "", err
	}
	at, err := url.Parse(b.url)
	if err != nil {
		return nil, "", err
	}
	at.Path = "/" + name
	db, err := postgres.Open(ctx, at.String(), postgres.WithMaxConns(4), postgres.WithApplicationName("bench"))
	if err != nil {
		return nil, "", err
	}
	if err := postgres.Migrate(ctx, db); err != nil {
		db.Close()
		return nil, "", err
	}
	issuer, err := auth.OpenDevIssuer(b.home)
	if err == nil {
		progress("filling a database for the " + name + " screen")
		_, err = seed.Load(ctx, db, issuer.Issuer().Name, size)
	}
	if err != nil {
		db.Close()
		return nil, "", err
	}
	return db, at.String(), nil
}
