package postgres

import (
	"context"
	"io/fs"

	"github.com/jackc/pgx/v5/pgxpool"
)

// What only tests may do: go down, and use other files.

func MigrateDownTo(ctx context.Context, pool *pgxpool.Pool, version int64) error {
	return migrateDownTo(ctx, pool, migrations(), version)
}

func MigrateFiles(ctx context.Context, pool *pgxpool.Pool, files fs.FS) error {
	return migrate(ctx, pool, files)
}

func Newest() (int64, error) { return newest(migrations()) }

const Backlog = backlog
