// Package testkit is what tests share: a real database each, real components or a loud skip, and a way to wait without
// sleeping.
package testkit

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/internal/platform/postgres/local"
)

// DB returns a pool of up to 8 connections on a migrated database of the test's own, which is gone when the test
// ends. A connection that the test still holds then is an error.
func DB(t testing.TB) *pgxpool.Pool {
	t.Helper()
	return open(t, DatabaseURL(t))
}

// DatabaseURL is DB for a test that opens the database itself.
func DatabaseURL(t testing.TB) string {
	t.Helper()
	server := serverURL(t)
	name, err := template(t.Context(), server)
	if err != nil {
		t.Fatalf("testkit: %v", err)
	}
	// A copy of the template's files is three times as fast as writing them through the log.
	return create(t, server, "TEMPLATE "+name+" STRATEGY file_copy")
}

// Filled is a database that Fill fills once per test process, and that tests get copies of.
type Filled struct {
	// Fill writes into a migrated database and closes every connection to it.
	Fill func(ctx context.Context, url string) error

	once sync.Once
	name string
	err  error
}

// DatabaseURL is DatabaseURL with what Fill has written.
func (f *Filled) DatabaseURL(t testing.TB) string {
	t.Helper()
	server := serverURL(t)
	f.once.Do(func() {
		// Not the test's context: the other tests of the process wait for the same copy.
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		defer cancel()
		f.name, f.err = f.make(ctx, server)
	})
	if f.err != nil {
		t.Fatalf("testkit: filled database: %v", f.err)
	}
	return create(t, server, "TEMPLATE "+f.name+" STRATEGY file_copy")
}

func (f *Filled) make(ctx context.Context, server string) (name string, err error) {
	migrated, err := template(ctx, server)
	if err != nil {
		return "", err
	}
	name = "filled_" + strings.ToLower(rand.Text())
	if err := admin(ctx, server, "CREATE DATABASE "+name+" TEMPLATE "+migrated+" STRATEGY file_copy"); err != nil {
		return "", err
	}
	if err := f.Fill(ctx, databaseOf(server, name)); err != nil {
		return "", errors.Join(err, admin(ctx, server, "DROP DATABASE "+name+" WITH (FORCE)"))
	}
	return name, nil
}

// Drop removes the original, for TestMain: copies live and die with their tests.
func (f *Filled) Drop(ctx context.Context) error {
	url := os.Getenv("RAPPORT_TEST_DATABASE_URL")
	if f.name == "" || url == "" { // this process's own server goes with the process
		return nil
	}
	return admin(ctx, url, "DROP DATABASE IF EXISTS "+f.name+" WITH (FORCE)")
}

// EmptyDB is DB without any table.
func EmptyDB(t testing.TB) *pgxpool.Pool {
	t.Helper()
	return open(t, create(t, serverURL(t), "TEMPLATE template0"))
}

func open(t testing.TB, url string) *pgxpool.Pool {
	t.Helper()
	pool, err := postgres.Open(t.Context(), url, postgres.WithMaxConns(8), postgres.WithApplicationName("test"))
	if err != nil {
		t.Fatalf("testkit: %v", err)
	}
	t.Cleanup(func() {
		closed := make(chan struct{})
		go func() { pool.Close(); close(closed) }()
		select {
		case <-closed:
		case <-time.After(10 * time.Second):
			t.Errorf("testkit: %d connections were never released: are all rows closed, all transactions ended?", pool.Stat().AcquiredConns())
		}
	})
	return pool
}

func create(t testing.TB, server, like string) string {
	t.Helper()
	name := "test_" + strings.ToLower(rand.Text())
	if err := admin(t.Context(), server, "CREATE DATABASE "+name+" "+like); err != nil {
		t.Fatalf("testkit: %v", err)
	}
	t.Cleanup(func() {
		// t's context is over by now.
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := admin(ctx, server, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("testkit: %v", err)
		}
	})
	return databaseOf(server, name)
}

func admin(ctx context.Context, server, sql string) error {
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, sql)
	return errors.Join(err, conn.Close(ctx))
}

func databaseOf(server, name string) string {
	u, err := url.Parse(server)
	if err != nil {
		panic(err) // it has been connected to
	}
	u.Path = "/" + name
	return u.String()
}

// templates are made once per server and set of migrations, by whichever test process comes first.
var templates struct {
	sync.Mutex
	name string
}

func template(ctx context.Context, server string) (string, error) {
	templates.Lock()
	defer templates.Unlock()
	if templates.name != "" {
		return templates.name, nil
	}
	name := "template_" + postgres.Fingerprint()
	if err := makeTemplate(ctx, server, name); err != nil {
		return "", fmt.Errorf("template database: %w", err)
	}
	templates.name = name
	return name, nil
}

func makeTemplate(ctx context.Context, server, name string) (err error) {
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }() // which frees the lock
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock(hashtextextended($1, 0))", name); err != nil {
		return err
	}
	var exists bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&exists); err != nil || exists {
		return err
	}
	// Under another name first: a template is complete or not there.
	unfinished := name + "_unfinished"
	for _, sql := range []string{"DROP DATABASE IF EXISTS " + unfinished + " WITH (FORCE)", "CREATE DATABASE " + unfinished + " TEMPLATE template0"} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return err
		}
	}
	pool, err := postgres.Open(ctx, databaseOf(server, unfinished), postgres.WithMaxConns(2))
	if err != nil {
		return err
	}
	err = postgres.Migrate(ctx, pool)
	pool.Close()
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "ALTER DATABASE "+unfinished+" RENAME TO "+name)
	return err
}

var server struct {
	sync.Mutex
	url string
	err error
}

// serverURL is the server of RAPPORT_TEST_DATABASE_URL (which tools/testrun sets) or else one of this process's own, which
// dies with it. Its role must be allowed to create databases.
func serverURL(t testing.TB) string {
	t.Helper()
	if url := os.Getenv("RAPPORT_TEST_DATABASE_URL"); url != "" {
		return url
	}
	server.Lock()
	defer server.Unlock()
	if server.url == "" && server.err == nil {
		server.url, server.err = startServer(RepoRoot(t))
	}
	if errors.Is(server.err, local.ErrUnavailable) {
		RequireComponent(t, "postgresql", server.err.Error())
	}
	if server.err != nil {
		t.Fatalf("testkit: %v", server.err)
	}
	return server.url
}

func startServer(root string) (string, error) {
	// Not the test's context: the server is for all tests of the process.
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	s, err := local.Start(ctx, local.Config{
		Home:      Home(root),
		Throwaway: true,
	})
	if err != nil {
		return "", err
	}
	return s.URL(), nil
}

// Home is the folder that holds what was installed for the repository at root: RAPPORT_HOME, or .rapport in it.
func Home(root string) string {
	if home := os.Getenv("RAPPORT_HOME"); home != "" {
		return home
	}
	return filepath.Join(root, ".rapport")
}
