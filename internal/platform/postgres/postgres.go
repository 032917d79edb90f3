// Package postgres is how Rapport talks to PostgreSQL: the pool, the transaction, the migrations and the listener.
//
// Stores take a DB, so that the same query runs inside or outside a transaction; services decide about transactions
// with InTx.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
)

// DB runs SQL: a pool, where every call stands alone, or a transaction.
type DB interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	SendBatch(ctx context.Context, batch *pgx.Batch) pgx.BatchResults
	CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource) (int64, error)
}

var (
	_ DB = (*pgxpool.Pool)(nil)
	_ DB = (pgx.Tx)(nil)
)

// Option changes the pool that Open makes.
type Option func(*pgxpool.Config)

// WithMaxConns limits the pool's connections (default 20). Mind the sum over all processes: a listener and a
// migration take one more each.
func WithMaxConns(n int32) Option {
	return func(c *pgxpool.Config) { c.MaxConns = n }
}

// WithApplicationName names the process in pg_stat_activity (default "rapport").
func WithApplicationName(name string) Option {
	return func(c *pgxpool.Config) { c.ConnConfig.RuntimeParams["application_name"] = name }
}

// WithStatementTimeout limits each statement (default 30 s; 0 is no limit). It is the net under a forgotten deadline,
// not a replacement for the context's.
func WithStatementTimeout(d time.Duration) Option {
	return func(c *pgxpool.Config) {
		c.ConnConfig.RuntimeParams["statement_timeout"] = strconv.FormatInt(d.Milliseconds(), 10)
	}
}

// Login says as whom new connections sign in: those of the pool, and the listener's and the migrations' beside it. Connections that
// there are stay.
type Login interface {
	// Login returns user and password as they are now; "" leaves what the url says.
	Login(ctx context.Context) (user, password string)
	// Refused hears that the server did not accept them.
	Refused()
}

// WithLogin has new connections sign in as l says, for a password that changes while the program runs.
func WithLogin(l Login) Option {
	const wrongPassword, wrongLogin = "28P01", "28000"
	return func(c *pgxpool.Config) {
		c.BeforeConnect = func(ctx context.Context, conf *pgx.ConnConfig) error {
			user, password := l.Login(ctx)
			if user != "" {
				conf.User = user
			}
			if password != "" {
				conf.Password = password
			}
			before := conf.OnPgError
			conf.OnPgError = func(conn *pgconn.PgConn, err *pgconn.PgError) bool {
				if err.Code == wrongPassword || err.Code == wrongLogin {
					l.Refused()
				}
				return before(conn, err)
			}
			return nil
		}
	}
}

// WithTracer shows every query to t. A tracer that also implements pgx's other tracer interfaces (batches, copies,
// connections) sees those too.
func WithTracer(t pgx.QueryTracer) Option {
	return func(c *pgxpool.Config) { c.ConnConfig.Tracer = t }
}

// Open connects to the database at url and returns a pool once a connection has answered. Times come back in UTC. What the
// url says about connection parameters wins over the defaults, and an option wins over the url. Errors never hold
// the password.
func Open(ctx context.Context, url string, opts ...Option) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	cfg.MaxConns = 20
	cfg.MaxConnLifetime = 30 * time.Minute // so that a failed-over or resized database is found again
	cfg.MaxConnLifetimeJitter = 5 * time.Minute
	cfg.MaxConnIdleTime = 5 * time.Minute
	cfg.HealthCheckPeriod = 30 * time.Second
	cfg.PingTimeout = 5 * time.Second // a connection whose other end has vanished without a word must not hold up who gets it
	if cfg.ConnConfig.ConnectTimeout == 0 {
		cfg.ConnConfig.ConnectTimeout = 10 * time.Second
	}
	for name, value := range map[string]string{
		"application_name":  "rapport",
		"timezone":          "UTC",
		"statement_timeout": "30000",
		// No network inside a transaction: one that sits idle this long belongs to a bug, and it holds locks.
		"idle_in_transaction_session_timeout": "60000",
	} {
		if _, set := cfg.ConnConfig.RuntimeParams[name]; !set {
			cfg.ConnConfig.RuntimeParams[name] = value
		}
	}
	cfg.AfterConnect = func(_ context.Context, conn *pgx.Conn) error {
		readTimesAsUTC(conn.TypeMap())
		return nil
	}
	for _, opt := range opts {
		opt(cfg)
	}
	if cfg.BeforeConnect == nil {
		cfg.BeforeConnect = func(context.Context, *pgx.ConnConfig) error { return nil }
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("postgres: %w", err)
	}
	return pool, nil
}

// readTimesAsUTC makes a timestamptz a time in UTC. The session's time zone does not: over the binary protocol an
// instant arrives without a zone, and pgx would dress it in the machine's.
func readTimesAsUTC(m *pgtype.Map) {
	t := &pgtype.Type{Name: "timestamptz", OID: pgtype.TimestamptzOID, Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC}}
	m.RegisterType(t)
	m.RegisterType(&pgtype.Type{Name: "_timestamptz", OID: pgtype.TimestamptzArrayOID, Codec: &pgtype.ArrayCodec{ElementType: t}})
}

// attempts is how often InTx tries a transaction that the server gives up for the sake of others.
const attempts = 6

// lost are the errors by which the server gives up one transaction so that others can go on: serialization_failure and
// deadlock_detected. What the transaction did is undone, and the same again may succeed.
var lost = []string{"40001", "40P01"}

// InTx runs fn in a transaction and commits if fn returns nil. When fn returns an error, panics or ends its goroutine,
// the transaction is rolled back. A failed commit is an error like any other: nothing was written. A transaction that the
// server gives up in a deadlock is run again, after a short while and a few times at most: fn must begin anew each time,
// assigning to what it leaves behind and not adding to it. It must do no network but the database's. Nothing else is retried.
func InTx(ctx context.Context, pool *pgxpool.Pool, fn func(tx pgx.Tx) error) (err error) {
	for attempt := range attempts {
		if attempt > 0 {
			// The others are done within milliseconds; chance keeps the same two from meeting again.
			pause := time.NewTimer(time.Duration(1+rand.IntN(10<<attempt)) * time.Millisecond)
			select {
			case <-ctx.Done():
				pause.Stop()
				return err
			case <-pause.C:
			}
		}
		var server *pgconn.PgError
		if err = once(ctx, pool, pgx.TxOptions{}, fn); !errors.As(err, &server) || !slices.Contains(lost, server.Code) {
			return err
		}
	}
	return err
}

// Snapshot runs fn in a transaction that reads, and in which every statement sees what the first one saw.
func Snapshot(ctx context.Context, pool *pgxpool.Pool, fn func(tx pgx.Tx) error) error {
	return once(ctx, pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, fn)
}

func once(ctx context.Context, pool *pgxpool.Pool, options pgx.TxOptions, fn func(tx pgx.Tx) error) (err error) {
	tx, err := pool.BeginTx(ctx, options)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	open := true
	hooked := &hooked{Tx: tx}
	// Deferred without recover: a panic goes on with its own stack. A rollback that fails is not reported, because pgx
	// then closes the connection, which rolls back as well.
	defer func() {
		if open {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			_ = tx.Rollback(ctx)
		}
	}()
	if err = fn(hooked); err != nil {
		return err
	}
	open = false // a failed commit has ended the transaction too
	if err = tx.Commit(ctx); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	for _, fn := range hooked.committed {
		fn()
	}
	return nil
}

// hooked is a transaction of InTx.
type hooked struct {
	pgx.Tx
	committed []func()
}

// AfterCommit has fn run when tx has been committed, before InTx returns, in the order of the calls. If the process dies in between
// it never runs, so it can only make something happen sooner that happens anyway. It is false, and fn does not run, if tx
// is not what InTx gave its function: one that was begun in another way, or within it.
func AfterCommit(tx pgx.Tx, fn func()) bool {
	h, ok := tx.(*hooked)
	if ok {
		h.committed = append(h.committed, fn)
	}
	return ok
}

// Violates says whether err is the database's refusal of a row by the constraint, or unique index, of that name.
func Violates(err error, constraint string) bool {
	var server *pgconn.PgError
	return errors.As(err, &server) && server.ConstraintName == constraint
}
