package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/app/demo"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/config"
	"github.com/rapporthq/rapport/internal/platform/httpx"
	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/internal/platform/postgres/local"
	"github.com/rapporthq/rapport/internal/platform/secret"
	"github.com/rapporthq/rapport/internal/platform/telemetry"
)

// NewLogger returns the logger of a process: lines carry the request's and the viewer's ids.
func NewLogger(cfg config.Config, w io.Writer) *slog.Logger {
	return telemetry.NewLogger(w, telemetry.Options{
		JSON: cfg.Log.Format == config.LogJSON, Level: cfg.Log.Level,
		Attrs: []telemetry.Attrs{httpx.LogAttrs, auth.LogAttrs},
	})
}

// ballast is memory that nobody touches, and that is therefore only an address. The collector counts it among what lives.
var ballast []byte

// TuneMemory lets the collector wait until there are 24 MB of garbage, and as much again as lives: a request makes thousands of short-lived
// objects beside a heap of a few megabytes, and with Go's default a third of the processor's time went into collecting them again
// and again. A larger factor in place of the 24 MB would multiply what thousands of sockets hold, whose small objects lie scattered
// over all that was in use between two collections. GOGC and GOMEMLIMIT, where set, are left alone.
func TuneMemory() {
	if _, set := os.LookupEnv("GOGC"); !set {
		ballast = make([]byte, 24<<20)
		runtime.KeepAlive(ballast)
	}
}

// Serve is the life of a server, of a worker or of both in one: it brings up what it stands on, serves until ctx ends, and drains. What a person at the
// terminal should see goes to out, the log to stderr.
func Serve(ctx context.Context, lookup config.Lookup, out io.Writer) (err error) {
	cfg, err := config.Load(lookup)
	if err != nil {
		return err
	}
	log := NewLogger(cfg, os.Stderr)
	slog.SetDefault(log)
	TuneMemory()
	for _, warning := range config.Unknown(os.Environ()) {
		log.Warn(warning)
	}
	progress := func(line string) { fmt.Fprintln(out, "… "+line) }
	began := time.Now()

	ln, err := net.Listen("tcp", cfg.HTTP.Addr)
	if err != nil {
		return busy(cfg, err)
	}
	defer ln.Close() // Serve closes it first; this is for the errors before
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	role := Owner(ln.Addr().String())
	if !cfg.Role.Serves() {
		role = Tenant()
	}
	secrets, err := OpenSecrets(ctx, cfg, lookup, log)
	if err != nil {
		return err
	}
	if err := openAll(ctx, cfg, secrets); err != nil {
		return err
	}
	db, closeDB, err := OpenDatabase(ctx, cfg, secrets, role, progress, cancel)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeDB()) }()

	a, err := New(ctx, cfg, log, db, WithSecrets(secrets))
	if err != nil {
		return err
	}
	defer a.Close()
	if cfg.Demo && cfg.Role.Serves() {
		if err := a.LoadDemo(ctx, progress); err != nil {
			return err
		}
	}
	if err := a.announce(ctx, out, ln.Addr(), time.Since(began)); err != nil {
		return err
	}
	return a.Run(ctx, ln)
}

// Work is Serve for a worker, whatever RAPPORT_ROLE says.
func Work(ctx context.Context, lookup config.Lookup, out io.Writer) error {
	return Serve(ctx, lookup.With("RAPPORT_ROLE", string(config.Worker)), out)
}

// busy explains why the address cannot be listened on.
func busy(cfg config.Config, err error) error {
	if cfg.Database.URL == "" && cfg.Role.Serves() {
		lock, held := local.Lock(cfg.Home)
		if held != nil {
			return held
		}
		lock.Release()
	}
	return fmt.Errorf("cannot listen on %s: %w (set PORT to another port)", cfg.HTTP.Addr, err)
}

// Role says what a process wants of a private database.
type Role struct {
	address string // of the server that owns it; "" for a program that joins the owner if there is one
	joins   bool   // and does nothing without one
}

// Owner is a server at the given address: nobody else may run in the same home.
func Owner(address string) Role { return Role{address: address} }

// Guest is a program that uses the running server's database, or starts it for as long as it runs itself.
func Guest() Role { return Role{} }

// Tenant is a worker: it uses the running server's database, and starts none.
func Tenant() Role { return Role{joins: true} }

// OpenDatabase opens and migrates the configured database, or the private one of the home folder, which it starts. Should
// that one end and not start again, lost is called, and the function that closes the database returns why.
func OpenDatabase(ctx context.Context, cfg config.Config, secrets *secret.Keeper, role Role, progress func(string), lost func()) (_ *pgxpool.Pool, _ func() error, err error) {
	var undo []func() error
	closeAll := func() error {
		var errs []error
		for i := len(undo) - 1; i >= 0; i-- {
			errs = append(errs, undo[i]())
		}
		return errors.Join(errs...)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, closeAll())
		}
	}()
	url := ""
	options := []postgres.Option{postgres.WithMaxConns(cfg.Database.MaxConns)}
	if cfg.Database.URL != "" {
		address, login, err := openLogin(ctx, cfg.Database, secrets)
		if err != nil {
			return nil, nil, err
		}
		url, options = address, append(options, postgres.WithLogin(login))
	}
	if url == "" && role.address == "" {
		running, err := local.RunningURL(ctx, cfg.Home)
		if err != nil && role.joins {
			return nil, nil, fmt.Errorf("a worker needs DATABASE_URL, or a server that runs in %s: %w", cfg.Home, err)
		}
		if err == nil {
			url = running
		}
	}
	if url == "" {
		lock, err := local.Lock(cfg.Home)
		if err != nil {
			return nil, nil, err
		}
		undo = append(undo, func() error { lock.Release(); return nil })
		if err := lock.SetAddress(role.address); err != nil {
			return nil, nil, err
		}
		server, err := local.Start(ctx, local.Config{Home: cfg.Home, Progress: progress})
		if err != nil {
			return nil, nil, err
		}
		undo = append(undo, func() error {
			stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			return server.Stop(stop)
		})
		go func() {
			<-server.Done()
			lost()
		}()
		url = server.URL()
	}
	db, err := postgres.Open(ctx, url, options...)
	if err != nil {
		return nil, nil, err
	}
	undo = append(undo, func() error { db.Close(); return nil })
	return db, closeAll, postgres.Migrate(ctx, db)
}

// LoadDemo imports what is missing of the demo organizations.
func (a *App) LoadDemo(ctx context.Context, progress func(string)) error {
	if a.dev == nil {
		return errors.New("the demo needs the development sign-in")
	}
	return demo.Loader{
		DB: a.db, Services: a.services, Runner: a.runner, Issuer: a.dev.Issuer().Name, Now: time.Now(), Progress: progress,
	}.Load(ctx)
}

// announce prints the ready block.
func (a *App) announce(ctx context.Context, out io.Writer, addr net.Addr, took time.Duration) error {
	var b strings.Builder
	if a.config.Role.Serves() {
		fmt.Fprintf(&b, "\nRapport is ready after %.1f s: http://%s\n\n", took.Seconds(), addr)
		fmt.Fprintf(&b, "  GraphiQL   http://%s/\n  GraphQL    http://%s/graphql   (POST, GET, WebSocket, SSE)\n", addr, addr)
	} else {
		fmt.Fprintf(&b, "\nRapport's worker is ready after %.1f s: http://%s\n\n", took.Seconds(), addr)
	}
	fmt.Fprintf(&b, "  Health     http://%s/healthz, /readyz\n", addr)
	var version string
	if err := a.db.QueryRow(ctx, "SHOW server_version").Scan(&version); err != nil {
		return err
	}
	where := "private, in " + a.config.Home
	if a.config.Database.URL != "" {
		where = "DATABASE_URL"
		if a.config.Database.URL.Refers() {
			where = a.config.Database.URL.String()
		}
	}
	streamed := "postgres"
	if len(a.carrier) > 0 {
		streamed = "redis"
	}
	fmt.Fprintf(&b, "\n  database   PostgreSQL %s (%s)\n  queue      %s\n  stream     %s\n  limits     %s\n  files      %s\n  mail       %s\n  events     %s\n  search     %s\n  analyser   %s\n", version, where, a.work.where, streamed, a.shared.where, a.files.where, a.mails.where, a.news.where, a.found.where, a.analyses())
	for _, problem := range a.ready.Problems(ctx) {
		fmt.Fprintf(&b, "  attention  %s\n", problem)
	}
	if a.dev != nil {
		everybody, err := people{a.db, a.dev.Issuer().Name}.list(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "\n  Sign in with POST /dev/login {\"email\": …}; the explorer does it for you:\n")
		for _, p := range everybody {
			roles := make([]string, len(p.Roles))
			for i, r := range p.Roles {
				roles[i] = strings.ToLower(string(r))
			}
			fmt.Fprintf(&b, "    %-28s %-18s %s, %s\n", p.Email, p.Name, strings.Join(roles, " and "), p.Organization)
		}
	}
	fmt.Fprintf(&b, "\n  Ctrl-C stops it.\n\n")
	_, err := io.WriteString(out, b.String())
	return err
}
