// Package apptest runs the whole product for a test: a real database, the real HTTP handler, and clients that speak to it
// as a front end does.
package apptest

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/app"
	"github.com/rapporthq/rapport/internal/platform/config"
	"github.com/rapporthq/rapport/internal/platform/embed/embedtest"
	"github.com/rapporthq/rapport/internal/platform/embed/local"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/postgres"
	pgstream "github.com/rapporthq/rapport/internal/platform/stream/postgres"
	"github.com/rapporthq/rapport/internal/testkit"
)

// The people of the demo organizations.
const (
	Owner      = "owner@harbor.example"
	Coach      = "coach@harbor.example"
	Coach2     = "coach2@harbor.example"
	Supervisor = "supervisor@harbor.example"
	ClientUser = "client@harbor.example"
	Sponsor    = "sponsor@harbor.example"
	Lumen      = "coach@lumen.example" // of the second tenant
)

// Env is a running product.
type Env struct {
	App         *app.App
	DB          *pgxpool.Pool // the app's own
	DatabaseURL string
	Config      config.Config
	URL         string // of the server, without a path
	Statements  *Statements
	Log         *Log

	settings settings
	stop     func() error // of Running
}

type settings struct {
	config  []func(*config.Config)
	app     []app.Option
	running bool
	env     *Env // whose database and home are used
}

// Option changes an Env.
type Option func(*settings)

// Config changes the configuration.
func Config(change func(*config.Config)) Option {
	return func(s *settings) { s.config = append(s.config, change) }
}

// AppOptions are handed to app.New.
func AppOptions(opts ...app.Option) Option {
	return func(s *settings) { s.app = append(s.app, opts...) }
}

// Together is several options as one.
func Together(opts ...Option) Option {
	return func(s *settings) {
		for _, o := range opts {
			o(s)
		}
	}
}

// Running serves as the program does, jobs included (App.Run), instead of behind httptest with jobs on demand (Env.Work).
func Running() Option { return func(s *settings) { s.running = true } }

// Production runs in production mode. The tokens of the demo's people come from an identity provider of the test's own.
func Production(t testing.TB) Option {
	return Config(func(c *config.Config) {
		p := provider(t, c.Home)
		c.Mode, c.Demo = config.Production, false
		c.Auth = config.Auth{Issuer: devIssuer, Audience: devAudience, JWKSURL: p.URL, OrganizationClaim: "org"}
	})
}

// New runs the product over an empty database.
func New(t testing.TB, opts ...Option) *Env {
	t.Helper()
	return start(t, testkit.DatabaseURL(t), opts)
}

// Demo runs the product with the demo organizations, their conversations imported and analysed.
func Demo(t testing.TB, opts ...Option) *Env {
	t.Helper()
	return start(t, DemoDatabase(t), opts)
}

// DemoDatabase is a database of the test's own with the demo organizations.
func DemoDatabase(t testing.TB) string {
	t.Helper()
	return demo.DatabaseURL(t)
}

// Another runs the product a second time, over the same database and with the same keys, as a second process would.
func (e *Env) Another(t testing.TB, opts ...Option) *Env {
	t.Helper()
	return start(t, e.DatabaseURL, append([]Option{func(s *settings) { s.env = e }}, opts...))
}

// Drop removes what Demo keeps between tests; for TestMain.
func Drop(ctx context.Context) error { return demo.Drop(ctx) }

// The demo is loaded once per process, and copied.
var demo = testkit.Filled{Fill: func(ctx context.Context, url string) error {
	home, err := os.MkdirTemp("", "rapport-demo-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(home) }()
	db, err := postgres.Open(ctx, url)
	if err != nil {
		return err
	}
	defer db.Close()
	a, err := app.New(ctx, configuration(home, nil), slog.New(slog.DiscardHandler), db, app.WithEmbedder(embedtest.Words{}))
	if err != nil {
		return err
	}
	defer a.Close()
	if err := a.LoadDemo(ctx, func(string) {}); err != nil {
		return err
	}
	if _, err = a.Runner().Drain(ctx); err != nil {
		return err
	}
	// The processes that tests start have the real model. They are not to make vectors of the whole demo anew.
	_, err = db.Exec(ctx, `INSERT INTO search_models (org_id, model) SELECT id, $1 FROM organizations`, local.Name)
	return err
}}

func configuration(home string, change []func(*config.Config)) config.Config {
	cfg, err := config.Load(func(name string) (string, bool) {
		values := map[string]string{"RAPPORT_HOME": home, "RAPPORT_DEMO": "false", "RAPPORT_ADDR": "127.0.0.1:0", "RAPPORT_MAX_OPERATIONS_PER_USER": "0"}
		v, ok := values[name]
		return v, ok
	})
	if err != nil {
		panic(err) // these values are right
	}
	for _, c := range change {
		c(&cfg)
	}
	return cfg
}

func start(t testing.TB, url string, opts []Option) *Env {
	t.Helper()
	var s settings
	for _, o := range opts {
		o(&s)
	}
	home := ""
	if s.env != nil {
		home = s.env.Config.Home
	} else {
		home = t.TempDir()
	}
	e := &Env{DatabaseURL: url, Config: configuration(home, s.config), Statements: &Statements{}, Log: &Log{}, settings: s}
	db, err := postgres.Open(t.Context(), url, postgres.WithMaxConns(8), postgres.WithApplicationName("apptest"), postgres.WithTracer(e.Statements))
	if err != nil {
		t.Fatal(err)
	}
	e.DB = db
	t.Cleanup(func() {
		closed := make(chan struct{})
		go func() { db.Close(); close(closed) }()
		select {
		case <-closed:
		case <-time.After(20 * time.Second):
			t.Errorf("apptest: %d connections were never released", db.Stat().AcquiredConns())
		}
	})
	log := slog.New(slog.NewTextHandler(e.Log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	options := s.app
	if e.Config.Meaning.Embedder == config.EmbedderLocal { // a test that wants OpenAI's has a server for it
		options = append([]app.Option{app.WithEmbedder(embedtest.Words{})}, options...)
	}
	e.App, err = app.New(t.Context(), e.Config, log, db, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.App.Close)
	if s.running {
		e.run(t)
	} else {
		server := httptest.NewServer(e.App.Handler())
		t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
		e.URL = server.URL
		e.App.ServedAt(e.URL)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of the server:\n%s", e.Log.Tail(20))
		}
	})
	return e
}

// run lets the app live as it does in the program.
func (e *Env) run(t testing.TB) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e.URL = "http://" + ln.Addr().String()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- e.App.Run(ctx, ln) }()
	e.stop = sync.OnceValue(func() error {
		cancel()
		select {
		case err := <-ended:
			return err
		case <-time.After(30 * time.Second):
			return fmt.Errorf("the app does not stop")
		}
	})
	t.Cleanup(func() { _ = e.stop() })
}

// Stop ends a Running app as SIGTERM does, and returns what Run returns.
func (e *Env) Stop() error { return e.stop() }

// Work runs the jobs that are due.
func (e *Env) Work(t testing.TB) {
	t.Helper()
	if _, err := e.App.Runner().Drain(t.Context()); err != nil {
		t.Fatalf("jobs: %v", err)
	}
}

// Index brings what has changed into the search index, as a Running app does by itself. It runs the jobs that are due.
func (e *Env) Index(t testing.TB) {
	t.Helper()
	for {
		n, err := e.App.Services().Search.Carry(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ran, err := e.App.Runner().Drain(t.Context())
		if err != nil {
			t.Fatalf("jobs: %v", err)
		}
		if n == 0 && ran == 0 {
			break
		}
	}
	if err := e.App.Services().Search.Refresh(t.Context()); err != nil && fault.KindOf(err) != fault.KindUnavailable { // a test may have taken it away
		t.Fatal(err)
	}
}

// Login signs a person in: POST /dev/login, or, in production, a token of the test's identity provider.
func (e *Env) Login(t testing.TB, email string) *Client {
	t.Helper()
	if e.Config.Mode == config.Production {
		return e.With(e.Token(t, email, time.Hour))
	}
	var out struct{ Token string }
	status, body := e.Send(t, http.MethodPost, "/dev/login", http.Header{"Content-Type": {"application/json"}}, fmt.Sprintf(`{"email": %q}`, email))
	if err := unmarshal(body, &out); err != nil || status != http.StatusOK || out.Token == "" {
		t.Fatalf("cannot sign in as %s: %d %s", email, status, body)
	}
	return e.With(out.Token)
}

// Anonymous is a client without a token.
func (e *Env) Anonymous() *Client { return e.With("") }

// With is a client with the given token.
func (e *Env) With(token string) *Client { return &Client{env: e, Token: token} }

// Send sends a request as it stands, and returns status and body.
func (e *Env) Send(t testing.TB, method, path string, header http.Header, body string) (int, []byte) {
	t.Helper()
	status, _, answer := e.send(t, method, path, header, []byte(body))
	return status, answer
}

// Beginning is the cursor before the first event of a session, given by the session's id as the API writes it.
func (e *Env) Beginning(t testing.TB, sessionID string) string {
	t.Helper()
	return e.cursor(t, sessionID, 0)
}

func (e *Env) cursor(t testing.TB, sessionID string, n int64) string {
	t.Helper()
	_, key, err := id.Parse(sessionID)
	if err != nil {
		t.Fatal(err)
	}
	var org id.UUID
	if err := e.DB.QueryRow(t.Context(), `SELECT org_id FROM sessions WHERE id = $1`, key).Scan(&org); err != nil {
		t.Fatal(err)
	}
	secret, err := pgstream.Key(t.Context(), e.DB, org)
	if err != nil {
		t.Fatal(err)
	}
	return string(secret.Cursor(sessionTopic(key), n))
}

// Log is what the server has logged.
type Log struct{ testkit.Log }

// Tail is the last n lines that are no requests, and of those before them what warns or went wrong.
func (l *Log) Tail(n int) string {
	lines := slices.DeleteFunc(strings.Split(strings.TrimSpace(l.String()), "\n"), func(line string) bool {
		return strings.Contains(line, "msg=request ")
	})
	last := max(0, len(lines)-n)
	kept := slices.DeleteFunc(slices.Clone(lines[:last]), func(line string) bool {
		return !strings.Contains(line, "level=WARN") && !strings.Contains(line, "level=ERROR")
	})
	return strings.Join(append(kept, lines[last:]...), "\n")
}
