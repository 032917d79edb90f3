package postgres_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/internal/testkit"
)

// withoutOrg are the tables that belong to no organization. Everything else has org_id uuid NOT NULL; a new name here
// needs a reason.
var withoutOrg = []string{
	"organizations",      // is one
	"users",              // a person, who may be in several
	"user_identities",    // how that person signs in
	"search_generations", // which copy of the search index is in use, for all
	"goose_db_version",   // goose's own
}

// broken lists what in the schema breaks the rules of migrations/README.md, in words.
func broken(t *testing.T, db postgres.DB) []string {
	t.Helper()
	rows, err := db.Query(t.Context(), `
		WITH tables AS (
			SELECT c.oid, c.oid::regclass::text AS name, a.attnum AS org, a.atttypid = 'uuid'::regtype AND a.attnotnull AS good
			FROM pg_class c
			JOIN pg_namespace n ON n.oid = c.relnamespace
			LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'org_id' AND NOT a.attisdropped
			WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'
		), keys AS (
			SELECT k.*, child.name AS child, parent.name AS parent, child.org AS child_org, parent.org AS parent_org,
				ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey)) AS columns
			FROM pg_constraint k JOIN tables child ON child.oid = k.conrelid JOIN tables parent ON parent.oid = k.confrelid
			WHERE k.contype = 'f'
		)
		SELECT line FROM (
			SELECT format('table %s has no org_id uuid NOT NULL', name)
			FROM tables WHERE good IS NOT TRUE AND name <> ALL ($1)

			UNION ALL
			SELECT format('foreign key %s of %s does not join org_id to the org_id of %s', conname, child, parent)
			FROM keys
			WHERE child_org IS NOT NULL AND parent_org IS NOT NULL
			AND NOT EXISTS (SELECT FROM unnest(conkey, confkey) AS pair (mine, theirs) WHERE mine = child_org AND theirs = parent_org)

			UNION ALL
			SELECT format('foreign key %s of %s has no index that starts with its columns', conname, child)
			FROM keys
			WHERE NOT EXISTS (
				SELECT FROM pg_index i
				WHERE i.indrelid = conrelid AND i.indisvalid AND i.indnkeyatts >= cardinality(conkey)
				-- indkey counts from 0
				AND (SELECT array_agg(column_number ORDER BY column_number) FROM unnest(i.indkey::smallint[]) WITH ORDINALITY AS x (column_number, place) WHERE place <= cardinality(conkey))
				  = (SELECT array_agg(column_number ORDER BY column_number) FROM unnest(conkey) AS y (column_number))
				-- A partial index serves if all it leaves out is NULL in the key: then no parent is missed.
				AND (i.indpred IS NULL OR regexp_replace(pg_get_expr(i.indpred, i.indrelid), '[()]', '', 'g') IN (
					SELECT array_to_string(ARRAY(SELECT c || ' IS NOT NULL' FROM unnest(columns) c WHERE c = ANY (wanted)), ' AND ')
					FROM (SELECT ARRAY[c] AS wanted FROM unnest(columns) c UNION ALL SELECT columns) w))
			)
		) o (line) ORDER BY line`, withoutOrg)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func TestSchemaKeepsTheRules(t *testing.T) {
	t.Parallel()
	for _, line := range broken(t, testkit.DB(t)) {
		t.Error(line)
	}
}

// The check itself must see what it is there to see.
func TestSchemaRulesAreSeenToBreak(t *testing.T) {
	t.Parallel()
	pool := testkit.EmptyDB(t)
	exec(t, pool, `
		CREATE TABLE organizations (id uuid PRIMARY KEY);
		CREATE TABLE users (id uuid PRIMARY KEY);

		CREATE TABLE parent (org_id uuid NOT NULL REFERENCES organizations, id uuid, alias uuid, PRIMARY KEY (org_id, id), UNIQUE (id), UNIQUE (id, org_id), UNIQUE (org_id, alias));
		CREATE TABLE good (
			org_id uuid NOT NULL, id uuid, a uuid, b uuid, c uuid, user_id uuid REFERENCES users,
			PRIMARY KEY (org_id, id),
			CONSTRAINT reversed FOREIGN KEY (a, org_id) REFERENCES parent (id, org_id),
			CONSTRAINT longer FOREIGN KEY (org_id, b) REFERENCES parent,
			CONSTRAINT sparse FOREIGN KEY (org_id, c) REFERENCES parent);
		CREATE INDEX ON good (org_id, a);
		CREATE INDEX ON good (b, org_id, id);
		CREATE INDEX ON good (org_id, c) WHERE c IS NOT NULL;
		CREATE INDEX ON good (user_id);

		CREATE TABLE no_org (id uuid PRIMARY KEY);
		CREATE TABLE null_org (org_id uuid);
		CREATE TABLE text_org (org_id text NOT NULL);

		CREATE TABLE leak (org_id uuid NOT NULL, parent_id uuid CONSTRAINT plain REFERENCES parent (id));
		CREATE INDEX ON leak (parent_id);
		CREATE TABLE crossed (org_id uuid NOT NULL, a uuid, CONSTRAINT crossed FOREIGN KEY (a, org_id) REFERENCES parent (org_id, alias));
		CREATE INDEX ON crossed (org_id, a);

		CREATE TABLE slow (
			org_id uuid NOT NULL, a uuid, b uuid, c uuid, d uuid, state text,
			CONSTRAINT unindexed FOREIGN KEY (org_id, a) REFERENCES parent,
			CONSTRAINT behind FOREIGN KEY (org_id, b) REFERENCES parent,
			CONSTRAINT partial FOREIGN KEY (org_id, c) REFERENCES parent,
			CONSTRAINT included FOREIGN KEY (org_id, d) REFERENCES parent);
		CREATE INDEX ON slow (org_id, state, b);
		CREATE INDEX ON slow (org_id, c) WHERE state = 'PENDING';
		CREATE INDEX ON slow (org_id) INCLUDE (d);`)
	want := []string{
		"foreign key behind of slow has no index that starts with its columns",
		"foreign key crossed of crossed does not join org_id to the org_id of parent",
		"foreign key included of slow has no index that starts with its columns",
		"foreign key partial of slow has no index that starts with its columns",
		"foreign key plain of leak does not join org_id to the org_id of parent",
		"foreign key unindexed of slow has no index that starts with its columns",
		"table no_org has no org_id uuid NOT NULL",
		"table null_org has no org_id uuid NOT NULL",
		"table text_org has no org_id uuid NOT NULL",
	}
	if diff := cmp.Diff(want, broken(t, pool)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
