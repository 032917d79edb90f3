package audit_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
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

func seal(t testing.TB, db *pgxpool.Pool) (n int) {
	t.Helper()
	n, err := audit.NewSealer(db, slog.New(slog.DiscardHandler)).Seal(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func verify(t testing.TB, db *pgxpool.Pool, v auth.Viewer, after *audit.Seal, limit int) *audit.Verification {
	t.Helper()
	got, err := audit.Verify(t.Context(), db, v.Org, after, limit)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// chain makes an organization with seals of three rows each.
func chain(t testing.TB, db *pgxpool.Pool, seals int) auth.Viewer {
	t.Helper()
	v := organization(t, db)
	for range seals {
		var entries []audit.Entry
		for range 3 {
			entries = append(entries, audit.Entry{Action: "goal.update", Kind: "goal", ID: id.New(), ClientID: id.New(), Fields: []string{"title"}})
		}
		if err := record(t, db, v, entries...); err != nil {
			t.Fatal(err)
		}
		seal(t, db)
	}
	return v
}

// forge changes the trail as somebody would who owns the database.
func forge(t testing.TB, db *pgxpool.Pool, statements ...string) {
	t.Helper()
	for _, sql := range append(append([]string{`ALTER TABLE audit_events DISABLE TRIGGER USER`, `ALTER TABLE audit_seals DISABLE TRIGGER USER`, `ALTER TABLE audit_heads DISABLE TRIGGER USER`}, statements...),
		`ALTER TABLE audit_events ENABLE TRIGGER USER`, `ALTER TABLE audit_seals ENABLE TRIGGER USER`, `ALTER TABLE audit_heads ENABLE TRIGGER USER`) {
		if tag, err := db.Exec(t.Context(), sql); err != nil || !strings.HasPrefix(sql, "ALTER") && !strings.HasPrefix(sql, "DROP") && tag.RowsAffected() == 0 {
			t.Fatalf("%s: %v, %v", sql, tag, err)
		}
	}
}

func TestVerifyFindsWhatWasDone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		forge []string
		want  string // kind and number, or kind and seal, of each problem
	}{
		"nothing":          {nil, ""},
		"another actor":    {[]string{`UPDATE audit_events SET actor_id = gen_random_uuid() WHERE seq = 5`}, "TAMPERED 5"},
		"nobody":           {[]string{`UPDATE audit_events SET actor_id = NULL WHERE seq = 5`}, "TAMPERED 5"},
		"another time":     {[]string{`UPDATE audit_events SET at = at - interval '1 microsecond' WHERE seq = 9`}, "TAMPERED 9"},
		"another field":    {[]string{`UPDATE audit_events SET fields = '{dueOn}' WHERE seq = 1`}, "TAMPERED 1"},
		"another client":   {[]string{`UPDATE audit_events SET client_id = NULL WHERE seq = 2`}, "TAMPERED 2"},
		"another request":  {[]string{`UPDATE audit_events SET request_id = 'x' WHERE seq = 2`}, "TAMPERED 2"},
		"two rows":         {[]string{`UPDATE audit_events SET kind = 'note' WHERE seq IN (3, 4)`}, "TAMPERED 3, TAMPERED 4"},
		"a row gone":       {[]string{`DELETE FROM audit_events WHERE seq = 6`}, "MISSING 6"},
		"a seal's rows":    {[]string{`DELETE FROM audit_events WHERE seq BETWEEN 4 AND 6`}, "MISSING 4, MISSING 5, MISSING 6"},
		"and their seal":   {[]string{`DELETE FROM audit_events WHERE seq BETWEEN 4 AND 6`, `DELETE FROM audit_seals WHERE number = 2`}, "MISSING seal 2, BROKEN seal 3"},
		"rows swapped":     {[]string{`UPDATE audit_events SET seq = CASE seq WHEN 7 THEN -1 ELSE -2 END WHERE seq IN (7, 8)`, `UPDATE audit_events SET seq = CASE seq WHEN -1 THEN 8 ELSE 7 END WHERE seq < 0`}, "REORDERED 7, REORDERED 8"},
		"a row at the end": {[]string{`INSERT INTO audit_events SELECT gen_random_uuid(), org_id, at, actor_id, request_id, action, kind, entity_id, client_id, fields, 10, digest FROM audit_events WHERE seq = 9`}, "INSERTED 10"},
		"a row between": {[]string{`DROP INDEX audit_events_seq`,
			`INSERT INTO audit_events SELECT gen_random_uuid(), org_id, at, actor_id, request_id, action, kind, entity_id, client_id, fields, 5, digest FROM audit_events WHERE seq = 5`}, "INSERTED 5"},
		"the row and its digest": {[]string{`UPDATE audit_events a SET (at, actor_id, request_id, action, kind, entity_id, client_id, fields, digest) =
			(SELECT at, actor_id, request_id, action, kind, entity_id, client_id, fields, digest FROM audit_events b WHERE b.seq = 4) WHERE a.seq = 5`}, "TAMPERED 5"},
		"a seal's hash":     {[]string{`UPDATE audit_seals SET hash = decode(repeat('00', 32), 'hex') WHERE number = 2`}, "BROKEN seal 2, BROKEN seal 3"},
		"a seal's moment":   {[]string{`UPDATE audit_seals SET sealed_at = sealed_at - interval '1 day' WHERE number = 3`}, "BROKEN seal 3"},
		"a seal's end":      {[]string{`UPDATE audit_seals SET last_seq = 4000000000000 WHERE number = 3`}, "BROKEN seal 3"},
		"the last seal":     {[]string{`DELETE FROM audit_seals WHERE number = 3`}, "INSERTED 7, INSERTED 8, INSERTED 9, MISSING seal 3"},
		"the end":           {[]string{`DELETE FROM audit_events WHERE seq > 3`, `DELETE FROM audit_seals WHERE number > 1`}, "MISSING seal 2"},
		"everything":        {[]string{`DELETE FROM audit_events`, `DELETE FROM audit_seals`}, "MISSING seal 1"},
		"the head":          {[]string{`DELETE FROM audit_heads`}, "MISSING seal 3"},
		"another head":      {[]string{`UPDATE audit_heads SET hash = decode(repeat('00', 32), 'hex')`}, "BROKEN seal 3"},
		"seals made longer": {[]string{`UPDATE audit_seals SET last_seq = 10 WHERE number = 3`}, "MISSING 10"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := testkit.DB(t)
			v := chain(t, db, 3)
			forge(t, db, c.forge...)
			got := verify(t, db, v, nil, audit.MaxVerified)
			var problems []string
			for _, p := range got.Problems {
				where := fmt.Sprintf("seal %d", p.Seal)
				if p.Sequence != nil {
					where = fmt.Sprint(*p.Sequence)
				}
				problems = append(problems, string(p.Kind)+" "+where)
			}
			if is := strings.Join(problems, ", "); is != c.want || !got.Complete {
				t.Errorf("found %q, want %q; complete: %t", is, c.want, got.Complete)
			}
		})
	}
}

// Verifying goes on where it ended, and an end that was kept elsewhere tells of a chain that was made anew.
func TestVerifyInStretches(t *testing.T) {
	t.Parallel()
	db := testkit.DB(t)
	v := chain(t, db, 4)
	whole := verify(t, db, v, nil, audit.MaxVerified)
	var last *audit.Seal
	checked := 0
	for range 2 {
		got := verify(t, db, v, last, 4) // reached with the second seal
		if !got.Whole() {
			t.Fatalf("%+v", got.Problems[0])
		}
		if checked += got.CheckedEvents; got.Complete != (checked == 12) {
			t.Errorf("after %d rows: complete is %t", checked, got.Complete)
		}
		last = got.Last
	}
	if checked != 12 || *last != *whole.Last || last.Number != 4 || whole.CheckedEvents != 12 {
		t.Errorf("%d rows up to %+v; at once %d up to %+v", checked, last, whole.CheckedEvents, whole.Last)
	}
	// Everything made anew, with every hash right: the chain is whole, and not what it was.
	forge(t, db, `UPDATE audit_events SET seq = NULL, digest = NULL, actor_id = gen_random_uuid()`, `DELETE FROM audit_seals`, `DELETE FROM audit_heads`)
	seal(t, db)
	if got := verify(t, db, v, nil, audit.MaxVerified); !got.Whole() {
		t.Errorf("a chain made anew: %+v", got.Problems[0])
	}
	if got := verify(t, db, v, last, audit.MaxVerified); got.Whole() {
		t.Error("a chain made anew passes for the old one")
	}
}

// Of a chain whose end is cut off the message says what is gone, and what is sealed afterwards does not heal it.
func TestAnEndCutOffStaysGone(t *testing.T) {
	t.Parallel()
	db := testkit.DB(t)
	v := chain(t, db, 7)
	forge(t, db, `DELETE FROM audit_events WHERE seq > 6`, `DELETE FROM audit_seals WHERE number > 2`)
	got := verify(t, db, v, nil, audit.MaxVerified)
	const want = "the chain is cut off: seals 3 to 7 are gone, with which the rows with numbers 7 to 21 were sealed"
	if len(got.Problems) != 1 || got.Problems[0].Message != want || !got.Complete {
		t.Errorf("%+v", got.Problems)
	}
	if got := verify(t, db, v, nil, 3); !got.Whole() || got.Complete {
		t.Errorf("the first seal alone: %+v", got)
	}
	if err := record(t, db, v, audit.Entry{Action: "goal.update", Kind: "goal", ID: id.New()}); err != nil {
		t.Fatal(err)
	}
	seal(t, db)
	if got := verify(t, db, v, nil, audit.MaxVerified); got.Whole() || !strings.Contains(got.Problems[0].Message, "seal 8 follows seal 2") {
		t.Errorf("sealed since: %+v", got.Problems)
	}
	for _, sql := range []string{`DELETE FROM audit_heads`, `UPDATE audit_heads SET number = 2, seq = 6`, `TRUNCATE audit_heads`} {
		if _, err := db.Exec(t.Context(), sql); err == nil || !strings.Contains(err.Error(), "append-only") {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

// A row whose transaction commits late is sealed after rows that are younger.
func TestLateCommits(t *testing.T) {
	t.Parallel()
	db := testkit.DB(t)
	v := organization(t, db)
	entry := audit.Entry{Action: "goal.update", Kind: "goal", ID: id.New()}
	late, err := db.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = late.Rollback(context.WithoutCancel(t.Context())) }()
	if err := audit.Record(t.Context(), late, v, entry); err != nil {
		t.Fatal(err)
	}
	if err := record(t, db, v, entry); err != nil {
		t.Fatal(err)
	}
	if n := seal(t, db); n != 1 {
		t.Errorf("%d rows sealed, want the one that is committed", n)
	}
	if err := late.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := seal(t, db); n != 1 {
		t.Errorf("%d rows sealed, want the late one", n)
	}
	if got := verify(t, db, v, nil, 10); !got.Whole() || got.CheckedEvents != 2 || got.UnsealedCount != 0 {
		t.Errorf("%+v", got)
	}
}

// Fifty write, several processes seal, and nothing is left out or sealed twice.
func TestManyWritersAndSealers(t *testing.T) {
	t.Parallel()
	db := testkit.DB(t)
	v := organization(t, db)
	const writers, each = 50, 8
	ctx := t.Context()
	var written atomic.Bool // not a context: one that is cancelled leaves its lock to the server for a moment
	var sealers sync.WaitGroup
	for range 3 {
		sealers.Go(func() {
			s := audit.NewSealer(db, slog.New(slog.DiscardHandler))
			for !written.Load() {
				if _, err := s.Seal(ctx); err != nil {
					t.Error(err)
				}
			}
		})
	}
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range each {
				if err := postgres.InTx(ctx, db, func(tx pgx.Tx) error {
					return audit.Record(ctx, tx, v, audit.Entry{Action: "goal.update", Kind: "goal", ID: id.New()})
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	written.Store(true)
	sealers.Wait()
	seal(t, db)
	if got := verify(t, db, v, nil, audit.MaxVerified); !got.Whole() || got.CheckedEvents != writers*each || got.UnsealedCount != 0 || !got.Complete {
		t.Errorf("%+v", got)
	}
}

// What one response shows of a thing is one row, and is written behind the response.
func TestReads(t *testing.T) {
	t.Parallel()
	db := testkit.DB(t)
	v, other := organization(t, db), organization(t, db)
	log := audit.NewReadLog(db, slog.New(slog.DiscardHandler))
	defer log.Close()
	transcript, client := id.New(), id.New()
	entry := func(field string) audit.Entry {
		return audit.Entry{Action: "transcript.read", Kind: "transcript", ID: transcript, ClientID: client, Fields: []string{field}}
	}
	ctx, reads := audit.WithReads(t.Context())
	for _, field := range []string{"utterances", "summary", "utterances"} {
		audit.Read(ctx, v, entry(field))
	}
	audit.Read(t.Context(), v, entry("utterances")) // outside a response
	log.Add(ctx, reads)
	log.Add(ctx, reads) // has been taken
	// An organization that is gone holds up nobody.
	ctx, reads = audit.WithReads(t.Context())
	audit.Read(ctx, other, entry("utterances"))
	if _, err := db.Exec(t.Context(), `DELETE FROM organizations WHERE id = $1`, other.Org); err != nil {
		t.Fatal(err)
	}
	log.Add(ctx, reads)
	var fields []string
	var actor id.UUID
	if err := db.QueryRow(t.Context(), `SELECT fields, actor_id FROM audit_events WHERE entity_id = $1 AND client_id = $2`, transcript, client).Scan(&fields, &actor); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"utterances", "summary"}, fields); diff != "" || actor != v.User || count(t, db, v) != 1 {
		t.Errorf("by %s, %d rows: %s", actor, count(t, db, v), diff)
	}
}

// While the database refuses, responses wait; they go on when it answers again, or when nobody waits for them any more. What is written down by
// then is written at the latest when the log closes.
func TestReadsOutlastAnOutage(t *testing.T) {
	t.Parallel()
	db := testkit.DB(t)
	v := organization(t, db)
	if _, err := db.Exec(t.Context(), `ALTER TABLE audit_events RENAME TO away`); err != nil {
		t.Fatal(err)
	}
	log := audit.NewReadLog(db, slog.New(slog.DiscardHandler))
	ctx, reads := audit.WithReads(t.Context())
	audit.Read(ctx, v, audit.Entry{Action: "transcript.read", Kind: "transcript", ID: id.New()})
	added := make(chan struct{})
	go func() { defer close(added); log.Add(ctx, reads) }()
	gone, leave := context.WithCancel(t.Context())
	leave()
	nobody, shown := audit.WithReads(gone)
	audit.Read(nobody, v, audit.Entry{Action: "transcript.read", Kind: "transcript", ID: id.New()})
	log.Add(nobody, shown) // returns
	select {
	case <-added:
		t.Error("a response did not wait")
	default:
	}
	if _, err := db.Exec(t.Context(), `ALTER TABLE away RENAME TO audit_events`); err != nil {
		t.Fatal(err)
	}
	<-added
	log.Close()
	if n := count(t, db, v); n != 2 {
		t.Errorf("%d rows", n)
	}
}
