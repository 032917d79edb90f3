package postgres_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/internal/testkit"
)

// catalogue describes every object of the schema, one a line, goose's own table aside.
func catalogue(t *testing.T, db postgres.DB) []string {
	t.Helper()
	rows, err := db.Query(t.Context(), `
		WITH relations AS (
			SELECT c.* FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema' AND c.relname NOT LIKE 'goose\_db\_version%'
		), extensions AS (
			SELECT objid FROM pg_depend WHERE deptype = 'e'
		)
		SELECT line FROM (
			SELECT format('%s %s %s %s', relkind, oid::regclass, relpersistence, array_to_string(reloptions, ','))
			FROM relations
			UNION ALL
			SELECT format('column %s.%s %s %s null=%s default=%s generated=%s identity=%s collation=%s comment=%s', r.oid::regclass, a.attname,
				(SELECT count(*) FROM pg_attribute b WHERE b.attrelid = r.oid AND b.attnum > 0 AND b.attnum <= a.attnum AND NOT b.attisdropped),
				format_type(a.atttypid, a.atttypmod), NOT a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attgenerated, a.attidentity,
				a.attcollation::regcollation, col_description(r.oid, a.attnum))
			FROM relations r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
			LEFT JOIN pg_attrdef d ON d.adrelid = r.oid AND d.adnum = a.attnum
			WHERE r.relkind <> 'i'
			UNION ALL
			SELECT format('constraint %s %s %s validated=%s', c.conrelid::regclass, c.conname, pg_get_constraintdef(c.oid), c.convalidated)
			FROM pg_constraint c JOIN relations r ON r.oid = c.conrelid
			UNION ALL
			SELECT format('index %s valid=%s', pg_get_indexdef(i.indexrelid), i.indisvalid)
			FROM pg_index i JOIN relations r ON r.oid = i.indexrelid
			UNION ALL
			SELECT format('trigger %s', pg_get_triggerdef(tg.oid))
			FROM pg_trigger tg JOIN relations r ON r.oid = tg.tgrelid WHERE NOT tg.tgisinternal
			UNION ALL
			SELECT format('view %s %s', oid::regclass, pg_get_viewdef(oid)) FROM relations WHERE relkind IN ('v', 'm')
			UNION ALL
			SELECT format('policy %s %s %s %s', p.tablename, p.policyname, p.qual, p.with_check) FROM pg_policies p
			UNION ALL
			SELECT format('type %s %s %s', t.oid::regtype, t.typtype, (SELECT string_agg(e.enumlabel, ',' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid))
			FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
			WHERE n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema' AND t.typtype IN ('e', 'd') AND t.oid NOT IN (SELECT objid FROM extensions)
			UNION ALL
			SELECT format('routine %s %s', p.oid::regprocedure, md5(pg_get_functiondef(p.oid)))
			FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
			WHERE n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema' AND p.prokind <> 'a' AND p.oid NOT IN (SELECT objid FROM extensions)
			UNION ALL
			SELECT format('text search configuration %s', c.oid::regconfig)
			FROM pg_ts_config c JOIN pg_namespace n ON n.oid = c.cfgnamespace WHERE n.nspname <> 'pg_catalog'
			UNION ALL
			SELECT format('schema %s', nspname) FROM pg_namespace WHERE nspname NOT LIKE 'pg\_%' AND nspname NOT IN ('information_schema', 'public')
			UNION ALL
			SELECT format('extension %s', extname) FROM pg_extension WHERE extname <> 'plpgsql'
		) o (line) ORDER BY line`)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func version(t *testing.T, db postgres.DB) postgres.SchemaVersion {
	t.Helper()
	v, err := postgres.Version(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestMigrationsGoUpAndDownAndUpAgain(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pool := testkit.EmptyDB(t)
	newest, err := postgres.Newest()
	if err != nil {
		t.Fatal(err)
	}
	if v := version(t, pool); v.Current != 0 || v.Target != newest || v.Ready() != (newest == 0) {
		t.Errorf("empty: %+v, ready %t", v, v.Ready())
	}
	empty := catalogue(t, pool)

	if err := postgres.Migrate(ctx, pool); err != nil {
		t.Fatal(err)
	}
	first := catalogue(t, pool)
	if v := version(t, pool); v.Current != newest || !v.Ready() {
		t.Errorf("migrated: %+v, ready %t", v, v.Ready())
	}
	if err := postgres.Migrate(ctx, pool); err != nil {
		t.Errorf("migrating twice: %v", err)
	}

	if err := postgres.MigrateDownTo(ctx, pool, 0); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(empty, catalogue(t, pool)); diff != "" {
		t.Errorf("Down leaves something behind (-before +after):\n%s", diff)
	}
	if v := version(t, pool); v.Current != 0 {
		t.Errorf("after Down: %+v", v)
	}

	if err := postgres.Migrate(ctx, pool); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, catalogue(t, pool)); diff != "" {
		t.Errorf("Up after Down is another schema (-first +second):\n%s", diff)
	}
}

// Each file's Down must undo its own Up, not only all of them together.
func TestEachMigrationGoesDown(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pool := testkit.DB(t)
	newest, err := postgres.Newest()
	if err != nil {
		t.Fatal(err)
	}
	want := catalogue(t, pool)
	for v := newest - 1; v >= 0; v-- {
		if err := postgres.MigrateDownTo(ctx, pool, v); err != nil {
			t.Fatalf("down to %d: %v", v, err)
		}
		if err := postgres.Migrate(ctx, pool); err != nil {
			t.Fatalf("up from %d: %v", v, err)
		}
		if diff := cmp.Diff(want, catalogue(t, pool)); diff != "" {
			t.Errorf("down to %d and up again is another schema:\n%s", v, diff)
		}
	}
}

func TestServersThatStartTogetherMigrateOnce(t *testing.T) {
	t.Parallel()
	pool := testkit.EmptyDB(t)
	files := fstest.MapFS{
		// The pause holds the door open for a second one, were there no lock.
		"00001_slow.sql":  {Data: []byte("-- +goose Up\nCREATE TABLE once ();\nSELECT pg_sleep(0.2);\n-- +goose Down\nDROP TABLE once;\n")},
		"00002_count.sql": {Data: []byte("-- +goose Up\nCREATE TABLE applied (n int);\nINSERT INTO applied VALUES (1);\n-- +goose Down\nDROP TABLE applied;\n")},
	}
	var servers errgroup.Group
	for range 4 {
		servers.Go(func() error { return postgres.MigrateFiles(t.Context(), pool, files) })
	}
	if err := servers.Wait(); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := pool.QueryRow(t.Context(), "SELECT count(*) FROM applied").Scan(&n); err != nil || n != 1 {
		t.Errorf("applied %d times (%v), want once", n, err)
	}
}

func TestMigrateToleratesANewerDatabase(t *testing.T) {
	t.Parallel()
	pool := testkit.DB(t)
	exec(t, pool, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)")
	if err := postgres.Migrate(t.Context(), pool); err != nil {
		t.Errorf("the program of the release before cannot start: %v", err)
	}
	if v := version(t, pool); v.Current != 99999 || !v.Ready() {
		t.Errorf("%+v, ready %t", v, v.Ready())
	}
}

func TestAFailedMigrationLeavesTheOnesBefore(t *testing.T) {
	t.Parallel()
	pool := testkit.EmptyDB(t)
	err := postgres.MigrateFiles(t.Context(), pool, fstest.MapFS{
		"00001_good.sql": {Data: []byte("-- +goose Up\nCREATE TABLE good ();\n-- +goose Down\nDROP TABLE good;\n")},
		"00002_bad.sql":  {Data: []byte("-- +goose Up\nCREATE TABLE half ();\nSELECT 1/0;\n-- +goose Down\nDROP TABLE half;\n")},
	})
	if err == nil || !strings.Contains(err.Error(), "00002_bad.sql") {
		t.Errorf("err = %v, want the file's name", err)
	}
	if v := version(t, pool); v.Current != 1 {
		t.Errorf("version %d, want 1", v.Current)
	}
	var good, half bool
	if err := pool.QueryRow(t.Context(), "SELECT to_regclass('good') IS NOT NULL, to_regclass('half') IS NOT NULL").Scan(&good, &half); err != nil || !good || half {
		t.Errorf("good %t, half %t (%v); want the first file only", good, half, err)
	}
}

func TestNoMigrations(t *testing.T) {
	t.Parallel()
	if err := postgres.MigrateFiles(t.Context(), testkit.EmptyDB(t), fstest.MapFS{}); err != nil {
		t.Error(err)
	}
}

func TestFingerprintIsStable(t *testing.T) {
	t.Parallel()
	if a, b := postgres.Fingerprint(), postgres.Fingerprint(); a != b || len(a) != 16 {
		t.Errorf("fingerprints %q and %q", a, b)
	}
}
