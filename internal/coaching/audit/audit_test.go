package audit_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/internal/testkit"
)

// organization adds one to a database and returns somebody who acts in it.
func organization(t testing.TB, db *pgxpool.Pool) auth.Viewer {
	t.Helper()
	v := auth.Viewer{Org: id.New(), User: id.New()}
	if _, err := db.Exec(t.Context(), `INSERT INTO organizations (id, slug, name) VALUES ($1, $2, 'Test')`, v.Org, "o-"+v.Org.String()); err != nil {
		t.Fatal(err)
	}
	return v
}

func record(t testing.TB, db *pgxpool.Pool, v auth.Viewer, entries ...audit.Entry) error {
	t.Helper()
	return postgres.InTx(t.Context(), db, func(tx pgx.Tx) error { return audit.Record(t.Context(), tx, v, entries...) })
}

func count(t testing.TB, db *pgxpool.Pool, v auth.Viewer) (n int) {
	t.Helper()
	if err := db.QueryRow(t.Context(), `SELECT count(*) FROM audit_events WHERE org_id = $1`, v.Org).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestRecord(t *testing.T) {
	t.Parallel()
	db := testkit.DB(t)
	v := organization(t, db)
	goal, client := id.New(), id.New()
	if err := record(t, db, v,
		audit.Entry{Action: "goal.update", Kind: "goal", ID: goal, ClientID: client, Fields: []string{"title", "dueOn"}},
		audit.Entry{Action: "client.archive", Kind: "client", ID: client},
	); err != nil {
		t.Fatal(err)
	}
	if err := audit.RecordSystem(t.Context(), db, v.Org, audit.Entry{Action: "org.found", Kind: "org", ID: v.Org}); err != nil {
		t.Fatal(err)
	}
	if err := record(t, db, v); err != nil {
		t.Errorf("nothing to record: %v", err)
	}
	type row struct {
		Action, Kind string
		Actor        *id.UUID
		Entity       id.UUID
		Client       *id.UUID
		Fields       []string
	}
	rows, err := db.Query(t.Context(), `SELECT action, kind, actor_id, entity_id, client_id, fields FROM audit_events WHERE org_id = $1 ORDER BY id`, v.Org)
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowToStructByPos[row])
	if err != nil {
		t.Fatal(err)
	}
	want := []row{
		{"goal.update", "goal", &v.User, goal, &client, []string{"title", "dueOn"}},
		{"client.archive", "client", &v.User, client, nil, []string{}},
		{"org.found", "org", nil, v.Org, nil, []string{}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestNamesAndNoValues(t *testing.T) {
	t.Parallel()
	db := testkit.DB(t)
	v := organization(t, db)
	good := audit.Entry{Action: "goal.update", Kind: "goal", ID: id.New()}
	for _, field := range []string{"", "Amara Okafor", "amara@harbor.example", "title, name", "日本", strings.Repeat("x", 65), "2026-01-01"} {
		bad := good
		bad.Fields = []string{"title", field}
		if err := record(t, db, v, bad); err == nil {
			t.Errorf("%q passed for the name of a field", field)
		}
	}
	for _, action := range []string{"", "goal", "Goal.update", "goal.update it", "goal.update.title"} {
		bad := good
		bad.Action = action
		if err := record(t, db, v, bad); err == nil {
			t.Errorf("%q passed for an action", action)
		}
	}
	if n := count(t, db, v); n != 0 {
		t.Errorf("%d rows were left", n)
	}
}

// A writer that has recorded and not committed holds up nobody.
func TestRecordTakesNoLock(t *testing.T) {
	t.Parallel()
	db := testkit.DB(t)
	v := organization(t, db)
	same := audit.Entry{Action: "goal.update", Kind: "goal", ID: id.New()}
	slow, err := db.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = slow.Rollback(t.Context()) }()
	if err := audit.Record(t.Context(), slow, v, same); err != nil {
		t.Fatal(err)
	}
	if err := postgres.InTx(t.Context(), db, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), `SET LOCAL lock_timeout = '1s'`); err != nil {
			return err
		}
		return audit.Record(t.Context(), tx, v, same)
	}); err != nil {
		t.Errorf("a second writer: %v", err)
	}
}

func TestGiven(t *testing.T) {
	t.Parallel()
	name := "x"
	in := struct {
		ID          id.UUID
		Name        **string
		AIEnabled   *bool
		CoachID     *id.UUID
		TagIds      []id.UUID
		Left        *string
		Description string
	}{Name: func() **string { p := &name; return &p }(), AIEnabled: new(bool), CoachID: &id.UUID{}, TagIds: []id.UUID{}}
	if diff := cmp.Diff([]string{"name", "aiEnabled", "coachId", "tagIds"}, audit.Given(in)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff(audit.Given(in), audit.Given(&in)); diff != "" {
		t.Errorf("by pointer: -want +got:\n%s", diff)
	}
}

func TestAppendOnly(t *testing.T) {
	t.Parallel()
	db := testkit.DB(t)
	v := organization(t, db)
	if err := record(t, db, v, audit.Entry{Action: "goal.update", Kind: "goal", ID: id.New()}); err != nil {
		t.Fatal(err)
	}
	digest := "decode(repeat('00', 32), 'hex')"
	for _, sql := range []string{
		`UPDATE audit_events SET action = 'goal.create'`,
		`UPDATE audit_events SET seq = 1, digest = ` + digest + `, actor_id = NULL`,
		`DELETE FROM audit_events`,
		`TRUNCATE audit_events`,
		`INSERT INTO audit_events (id, org_id, action, kind, entity_id, seq, digest) SELECT gen_random_uuid(), org_id, 'goal.update', 'goal', entity_id, 1, ` + digest + ` FROM audit_events`,
	} {
		if _, err := db.Exec(t.Context(), sql); err == nil || !strings.Contains(err.Error(), "append-only") {
			t.Errorf("%s: %v", sql, err)
		}
	}
	if _, err := db.Exec(t.Context(), `UPDATE audit_events SET seq = 1, digest = `+digest); err != nil {
		t.Errorf("sealing: %v", err)
	}
	if _, err := db.Exec(t.Context(), `UPDATE audit_events SET seq = 2`); err == nil {
		t.Error("a sealed row was given another number")
	}
	if _, err := db.Exec(t.Context(), `DELETE FROM organizations WHERE id = $1`, v.Org); err != nil {
		t.Errorf("erasing the organization: %v", err)
	}
	if n := count(t, db, v); n != 0 {
		t.Errorf("%d rows outlive their organization", n)
	}
}
