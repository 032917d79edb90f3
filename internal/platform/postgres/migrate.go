package postgres

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations
var embedded embed.FS

// migrations are the files 00001_….sql and on, in the root.
func migrations() fs.FS {
	sub, err := fs.Sub(embedded, "migrations")
	if err != nil {
		panic(err) // only an invalid path can fail
	}
	return sub
}

// Migrate brings the database to the newest version this program knows. Servers that start at the same moment wait
// for one another (up to five minutes); a database that is already newer is left alone, which is what makes a rollback
// of the program safe. Each file is one transaction unless it says otherwise; a failed file leaves the ones before it
// applied.
func Migrate(ctx context.Context, pool *pgxpool.Pool) error {
	return migrate(ctx, pool, migrations())
}

func migrate(ctx context.Context, pool *pgxpool.Pool, files fs.FS) (err error) {
	return withProvider(ctx, pool, files, func(p *goose.Provider) error {
		_, err := p.Up(ctx)
		return err
	})
}

func migrateDownTo(ctx context.Context, pool *pgxpool.Pool, files fs.FS, version int64) error {
	return withProvider(ctx, pool, files, func(p *goose.Provider) error {
		_, err := p.DownTo(ctx, version)
		return err
	})
}

func withProvider(ctx context.Context, pool *pgxpool.Pool, files fs.FS, fn func(*goose.Provider) error) (err error) {
	// A connection of its own: building an index may take longer than a request may, while waiting for a lock must not
	// take long, because every request that needs the table queues up behind the waiting migration.
	like := pool.Config()
	conf := like.ConnConfig
	conf.RuntimeParams["statement_timeout"] = "0"
	conf.RuntimeParams["idle_in_transaction_session_timeout"] = "0"
	conf.RuntimeParams["lock_timeout"] = "10000"
	conf.RuntimeParams["application_name"] += " migrations"
	db := stdlib.OpenDB(*conf, stdlib.OptionBeforeConnect(like.BeforeConnect))
	defer func() { err = errors.Join(err, db.Close()) }()

	p, err := newProvider(db, files)
	if errors.Is(err, goose.ErrNoMigrations) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	err = fn(p)
	if failed := (*goose.PartialError)(nil); errors.As(err, &failed) && failed.Failed != nil {
		return fmt.Errorf("migrate: %s: %w", path.Base(failed.Failed.Source.Path), failed.Err)
	}
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

func newProvider(db *sql.DB, files fs.FS) (*goose.Provider, error) {
	const everySecond, forFiveMinutes = 1, 300
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(everySecond, forFiveMinutes))
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectPostgres, db, files,
		goose.WithSessionLocker(locker), goose.WithDisableGlobalRegistry(true))
}

// SchemaVersion compares a database with this program.
type SchemaVersion struct {
	Current int64 // the newest migration applied to the database; 0 is none
	Target  int64 // the newest migration this program brings; 0 is none
}

// Ready says whether this program can serve from the database. A newer schema is fine: migrations expand first and
// contract a release later (migrations/README.md).
func (v SchemaVersion) Ready() bool { return v.Current >= v.Target }

// Version reads the schema version of db; a database that was never migrated is at 0.
func Version(ctx context.Context, db DB) (SchemaVersion, error) {
	v := SchemaVersion{}
	var err error
	if v.Target, err = newest(migrations()); err != nil {
		return SchemaVersion{}, fmt.Errorf("schema version: %w", err)
	}
	const undefinedTable = "42P01"
	err = db.QueryRow(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`).Scan(&v.Current)
	var pgErr *pgconn.PgError
	if err != nil && !(errors.As(err, &pgErr) && pgErr.Code == undefinedTable) {
		return SchemaVersion{}, fmt.Errorf("schema version: %w", err)
	}
	return v, nil
}

func newest(files fs.FS) (int64, error) {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return 0, err
	}
	var version int64
	for _, name := range names {
		n, err := goose.NumericComponent(name)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
		version = max(version, n)
	}
	return version, nil
}

// Fingerprint identifies the migrations this program brings, to the byte: 16 hexadecimal digits.
func Fingerprint() string {
	files := migrations()
	names, err := fs.Glob(files, "*.sql") // sorted
	if err != nil {
		panic(err) // only a malformed pattern can fail
	}
	sum := sha256.New()
	for _, name := range names {
		content, err := fs.ReadFile(files, name)
		if err != nil {
			panic(err) // an embedded file that was just listed
		}
		fmt.Fprintf(sum, "%s %d\n%s", name, len(content), content)
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}
