package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/tools/bench/seed"
)

// busy is a coach's practice of years, for the home screen: 5,000 sessions, 20,000 insights, none of them reviewed, and 2,000
// actions, half of them open. A colleague and another organization have a fifth of it each.
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
	// It is today in the middle of it: half of the sessions are held, and what is to be done was due since a month ago, or is
	// within the next.
	day := time.Now().UTC().Truncate(24 * time.Hour)
	for _, sql := range []string{
		`UPDATE sessions SET starts_at = starts_at + (SELECT $1::timestamptz - date_trunc('day', percentile_disc(0.5) WITHIN GROUP (ORDER BY starts_at)) FROM sessions)`,
		`UPDATE sessions SET status = 'SCHEDULED' WHERE starts_at >= $1`,
		`UPDATE action_items SET due_on = ($1::timestamptz AT TIME ZONE 'UTC')::date + day, due_at = $1::timestamptz + (day + 1) * interval '1 day'
			FROM (SELECT id AS key, row_number() OVER (ORDER BY id)::int % 60 - 30 AS day FROM action_items) d WHERE id = key`,
		`UPDATE action_assignees SET due_at = a.due_at FROM action_items a WHERE a.id = action_id AND $1::timestamptz IS NOT NULL`,
		`UPDATE clients SET lifecycle = 'AT_RISK' FROM (SELECT id AS key, row_number() OVER (ORDER BY id) % 10 AS n FROM clients) k WHERE id = key AND n = 0 AND $1::timestamptz IS NOT NULL`,
		`INSERT INTO taggings (id, org_id, tag_id, client_id, created_at) SELECT gen_random_uuid(), c.org_id, t.id, c.id, $1 FROM clients c JOIN tags t ON t.owner_id = c.coach_id AND t.name = 'board'`,
	} {
		if _, err := db.Exec(ctx, sql, day); err != nil {
			return err
		}
	}
	for _, table := range []string{"sessions", "action_items", "action_assignees", "clients", "taggings"} {
		if _, err := db.Exec(ctx, "VACUUM (FULL, ANALYZE) "+table); err != nil { // as if it had been so all along
			return err
		}
	}
	seen, err := b.statements(ctx, at, string(query), map[string]any{"today": day, "tomorrow": day.AddDate(0, 0, 1), "soon": day.AddDate(0, 0, 8)})
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
	return b.database(ctx, name, func(db *pgxpool.Pool, issuer string) error {
		_, err := seed.Load(ctx, db, issuer, size)
		return err
	})
}

// database is a further database on the bench's server, which fill fills.
func (b *bench) database(ctx context.Context, name string, fill func(db *pgxpool.Pool, issuer string) error) (*pgxpool.Pool, string, error) {
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
	progress("filling a database for " + name)
	if err = fill(db, b.issuer.Issuer().Name); err == nil {
		err = leaveUnsearched(ctx, db)
	}
	if err != nil {
		db.Close()
		return nil, "", err
	}
	return db, at.String(), nil
}
