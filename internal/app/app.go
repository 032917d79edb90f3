// Package app puts the parts together: the only place that knows the domains, the platform and every adapter. The server,
// the command line and the tests all use it.
package app

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/rapporthq/rapport/graphiql"
	"github.com/rapporthq/rapport/internal/coaching/analytics"
	"github.com/rapporthq/rapport/internal/coaching/ask"
	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/coaching/brief"
	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/consent"
	"github.com/rapporthq/rapport/internal/coaching/deadletter"
	"github.com/rapporthq/rapport/internal/coaching/engagement"
	"github.com/rapporthq/rapport/internal/coaching/goal"
	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/coaching/insight/rules"
	"github.com/rapporthq/rapport/internal/coaching/live"
	"github.com/rapporthq/rapport/internal/coaching/note"
	"github.com/rapporthq/rapport/internal/coaching/notice"
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/coaching/personal"
	"github.com/rapporthq/rapport/internal/coaching/privacy"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/tag"
	"github.com/rapporthq/rapport/internal/coaching/theme"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/blob/disk"
	"github.com/rapporthq/rapport/internal/platform/cache"
	"github.com/rapporthq/rapport/internal/platform/config"
	"github.com/rapporthq/rapport/internal/platform/embed"
	"github.com/rapporthq/rapport/internal/platform/event"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/httpx"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/mail/devbox"
	pgonce "github.com/rapporthq/rapport/internal/platform/once/postgres"
	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/internal/platform/secret"
	"github.com/rapporthq/rapport/internal/platform/telemetry"
	"github.com/rapporthq/rapport/internal/transport"
	"github.com/rapporthq/rapport/loaders"
)

// App is the assembled product.
type App struct {
	config   config.Config
	log      *slog.Logger
	db       *pgxpool.Pool
	listener *postgres.Listener
	work     work
	found    found
	shared   shared
	stream   closingStream
	carrier  []httpx.Check // none where PostgreSQL alone takes events around
	files    files
	aws      *aws.Config // nil until somebody needs it
	secrets  *secret.Keeper
	metrics  *telemetry.Metrics // nil where none are wanted
	measures io.Writer
	url      atomic.Pointer[string] // how people reach the server
	mails    mails
	news     news
	now      func() time.Time
	runner   *jobs.Runner
	services loaders.Services
	analyser insight.Analyser
	answerer ask.Answerer
	analysis httpx.Check      // of what the analyser stands on
	models   []embed.Embedder // a test's own
	meaning  httpx.Check      // of what search by meaning stands on
	dev      *auth.DevIssuer  // nil in production
	ready    *httpx.Readiness
	handler  http.Handler
	streams  *transport.Streams
	timing   transport.Timing
	reads    *audit.ReadLog
	sealer   *audit.Sealer
	watched  chan struct{} // closed when streams are no longer reviewed
}

// Option changes how an App is put together.
type Option func(*App)

// WithLoaderWait makes loaders wait that long for more keys; for tests that count statements.
func WithLoaderWait(d time.Duration) Option { return func(a *App) { a.services.Wait = d } }

// WithClock makes reminders, digests and quiet hours go by another clock; for tests.
func WithClock(now func() time.Time) Option { return func(a *App) { a.now = now } }

// WithAnalyser has another analyser look for insights; for tests that must know where it is.
func WithAnalyser(other insight.Analyser) Option { return func(a *App) { a.analyser = other } }

// WithTiming has sockets wait so long for their sign-in, and idle streams give a sign of life so often; for tests.
func WithTiming(init, keepAlive time.Duration) Option {
	return func(a *App) { a.timing = transport.Timing{Init: init, KeepAlive: keepAlive} }
}

// WithEmbedder has another embedder make vectors; for tests that need none of a language's meaning.
// older ones can still be asked.
func WithEmbedder(other embed.Embedder, older ...embed.Embedder) Option {
	return func(a *App) { a.models = append([]embed.Embedder{other}, older...) }
}

// New assembles the product over a migrated database. Close releases what it holds; the pool stays the caller's.
func New(ctx context.Context, cfg config.Config, log *slog.Logger, db *pgxpool.Pool, opts ...Option) (*App, error) {
	a := &App{config: cfg, log: log, db: db, now: time.Now}
	for _, o := range opts {
		o(a)
	}
	a.ServedAt(cmp.Or(cfg.HTTP.PublicURL, "http://"+cfg.HTTP.Addr))
	var err error
	if a.files, err = a.openFiles(ctx); err != nil {
		return nil, err
	}
	if a.secrets == nil {
		if a.secrets, err = OpenSecrets(ctx, cfg, nil, log); err != nil {
			return nil, err
		}
	}
	a.metrics = a.openMetrics()
	if err := a.chooseAnalyser(ctx); err != nil {
		return nil, err
	}
	if a.shared, err = a.openShared(ctx); err != nil {
		return nil, err
	}
	a.streams = transport.NewStreams(limitsOf(cfg.HTTP, a.shared.limiter))
	a.listener = postgres.Listen(context.WithoutCancel(ctx), db, log)
	if a.work, err = a.openWork(ctx); err != nil {
		a.listener.Close()
		a.shared.close()
		return nil, err
	}
	if a.news, err = a.openNews(ctx); err != nil {
		a.work.close()
		a.listener.Close()
		a.shared.close()
		return nil, err
	}
	a.openStream()

	a.reads = audit.NewReadLog(db, log)
	a.sealer = audit.NewSealer(db, log)
	a.services.Audit = audit.NewService(db)
	a.services.DeadLetters = deadletter.NewService(db, aboutJobs...)
	a.services.Orgs = org.NewService(db)
	a.services.Clients = client.NewService(db, a.news.outbox)
	a.services.Engagements = engagement.NewService(db, a.services.Clients, a.news.outbox)
	a.services.Sessions = session.NewService(db, a.services.Engagements, a.news.outbox)
	a.services.Goals = goal.NewService(db, a.services.Clients, a.services.Engagements, a.services.Sessions, a.news.outbox)
	a.services.Transcripts = transcript.NewService(db, log, a.services.Sessions, a.files, a.stream, a.news.outbox)
	a.services.Themes = theme.NewService(db)
	a.services.Insights = insight.NewService(db, a.services.Transcripts, a.services.Sessions, a.services.Clients, a.services.Goals, a.analyser, a.limits(), a.services.Themes, a.stream, a.news.outbox)
	a.services.Consents = consent.NewService(db, a.news.outbox, consenting(a.services)...)
	a.services.Live = live.NewService(db, a.services.Consents, a.services.Sessions, a.services.Transcripts, a.services.Insights, a.stream, rules.Commits)
	a.services.GoalLinks = goal.NewLinks(a.services.Goals, linkable(a.services)...)
	a.services.Analytics = analytics.NewService(db, a.services.Goals, a.answers())
	a.services.Briefs = brief.NewService(a.services.Sessions, a.services.Goals, a.services.Insights, a.services.Themes)
	a.services.Notes = note.NewService(db, a.services.Orgs, a.services.Clients, a.services.Engagements, a.services.Sessions)
	if a.mails, err = a.openMails(ctx); err != nil {
		return nil, err
	}
	a.services.Notices = notice.NewService(notice.Options{
		DB: db, Stream: a.stream, Sender: a.mails.sender, Limits: notice.Limits{Person: cfg.Mail.PersonLimit, Organization: cfg.Mail.OrganizationLimit}, Kinds: a.notifiable(), Agenda: a.agenda, Pages: a.pages(), Now: a.now,
		Invitations: a.invitation,
	})
	a.services.Tags = tag.NewService(db, session.ReplaceTags, taggable(a.services)...)
	if err := a.openMeaning(ctx); err != nil {
		return nil, err
	}
	if a.services.Search, err = a.openSearch(ctx); err != nil {
		return nil, err
	}
	a.services.Ask = ask.NewService(db, log, ask.Domains{
		Clients: a.services.Clients, Engagements: a.services.Engagements, Sessions: a.services.Sessions, Transcripts: a.services.Transcripts, Search: a.services.Search,
	}, a.answerer, a.limits(), a.stream)
	a.services.Privacy = privacy.NewService(db, a.services.Clients, a.services.Transcripts, a.services.Insights, a.services.Live, a.files, a.mails.mailbox(), a.services.Search, Personal(), ask.Aged, a.news.outbox)

	a.runner = jobs.NewRunner(jobs.Config{
		DB: db, Queue: a.work.queue(), Log: log,
		Concurrency: cfg.Jobs.Concurrency, PerOrg: perOrg(cfg), Yielding: yielding(cfg), Lease: cfg.Jobs.Lease, Drain: cfg.HTTP.ShutdownTimeout * 8 / 10, Around: a.measured, Died: a.measuredDeath,
	})
	a.runner.Handle(transcript.JobParse, a.services.Transcripts.Parse, jobs.OnDead(a.services.Transcripts.ParseDied))
	a.runner.Handle(transcript.JobAnalyse, a.services.Insights.Analyse, jobs.OnDead(a.services.Insights.AnalyseDied))
	a.runner.Handle(transcript.JobKeep, a.services.Transcripts.Keep)
	a.runner.Handle(transcript.JobUnlink, a.services.Transcripts.Unlink)
	a.runner.Handle(live.JobWatch, a.services.Live.Watch)
	a.runner.Handle(consent.JobFollow, a.services.Privacy.Follow)
	a.runner.Handle(privacy.JobSweep, a.services.Privacy.Sweep)
	a.runner.Handle(privacy.JobExport, a.services.Privacy.Copy, jobs.OnDead(a.services.Privacy.Died))
	a.runner.Handle(privacy.JobErase, a.services.Privacy.Erase, jobs.OnDead(a.services.Privacy.Died))

	a.runner.Handle(ask.JobAnswer, a.services.Ask.Answer, jobs.OnDead(a.services.Ask.Died))
	a.services.Search.Handle(a.runner)
	a.services.Meaning.Handle(a.runner)
	a.runner.Handle(notice.JobAnnounce, a.services.Notices.Announce)
	a.runner.Handle(notice.JobDeliver, a.services.Notices.Deliver, jobs.OnDead(a.services.Notices.DeliverDied))

	a.ready = httpx.Ready(log, slices.Concat([]httpx.Check{
		{Name: "database", Adapter: "postgres", Probe: connects(db.Ping)},
		{Name: "migrations", Adapter: "postgres", Probe: connects(a.migrated)},
		a.work.check,
		a.files.check,
		a.analysis,
		a.found.check,
		a.meaning,
	}, a.files.inboxChecks(), a.mails.checks, a.news.checks, a.carrier, a.shared.checks)...)
	a.watched = make(chan struct{})
	go a.reviewStreams(context.WithoutCancel(ctx))
	if a.handler, err = a.routes(); err != nil {
		a.Close()
		return nil, err
	}
	return a, nil
}

// Close ends subscriptions, writes down what was read, and releases connections. Run has ended before.
func (a *App) Close() {
	a.reads.Close()
	a.stream.Close()
	a.news.close()
	a.work.close()
	a.listener.Close()
	<-a.watched
	a.shared.close()
}

// ServedAt says by which address people reach the server, where that is known only once it listens.
func (a *App) ServedAt(url string) { a.url.Store(&url) }

// Services are the domains' use cases.
func (a *App) Services() loaders.Services { return a.services }

// Handler serves everything over HTTP.
func (a *App) Handler() http.Handler { return a.handler }

// Sealer seals the audit trail.
func (a *App) Sealer() *audit.Sealer { return a.sealer }

// Runner runs the jobs.
func (a *App) Runner() *jobs.Runner { return a.runner }

// Run plays the process's role until ctx ends: it serves on ln and works on jobs, or one of the two. Then it drains: readiness
// off, sockets closed, requests and jobs finished within the shutdown timeout.
func (a *App) Run(ctx context.Context, ln net.Listener) error {
	if a.config.HTTP.PublicURL == "" {
		a.ServedAt("http://" + ln.Addr().String())
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return httpx.Serve(ctx, httpx.NewServer(a.handler, a.log), ln, httpx.Drain{
			Ready: a.ready, Delay: a.config.HTTP.DrainDelay, Timeout: a.config.HTTP.ShutdownTimeout * 8 / 10, Streams: a.streams.Close,
		})
	})
	g.Go(func() error { return a.relay(ctx) })
	g.Go(func() error { return a.news.run(ctx) })
	if a.config.Role.Works() {
		g.Go(func() error { return a.runner.Run(ctx) })
		g.Go(func() error { return a.reviewMeaning(ctx) })
		g.Go(func() error { return a.sweep(ctx) })
		g.Go(func() error { return a.sealer.Run(ctx) })
		g.Go(func() error { return a.services.Search.Relay(ctx, a.listener) })
		g.Go(func() error { return a.fillSearch(ctx) })
		g.Go(func() error { return a.watchTheClock(ctx) })
		g.Go(func() error { return a.hearOfMails(ctx) })
		g.Go(func() error { return a.hearOfFiles(ctx) })
		g.Go(func() error { return a.measure(ctx) })
	}
	return g.Wait()
}

// sweep removes what has served its time: old events, jobs that are done, files that were handed out or never came.
func (a *App) sweep(ctx context.Context) error {
	every := time.NewTicker(10 * time.Minute)
	defer every.Stop()
	for {
		if _, err := a.stream.Trim(ctx, a.config.Stream.Retention); err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "cannot trim the stream", "err", err)
		}
		if _, err := jobs.Prune(ctx, a.db, 7*24*time.Hour); err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "cannot prune jobs", "err", err)
		}
		if _, _, err := a.services.Transcripts.SweepUploads(ctx); err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "cannot sweep uploads", "err", err)
		}
		if _, err := a.services.Transcripts.SweepOriginals(ctx); err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "cannot see to originals that are not in the store", "err", err)
		}
		if err := a.services.Transcripts.SweepExports(ctx); err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "cannot sweep exports", "err", err)
		}
		if _, err := a.services.Live.Prune(ctx); err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "cannot remove words of live sessions", "err", err)
		}
		if err := a.services.Privacy.Schedule(ctx); err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "cannot schedule retention", "err", err)
		}
		if err := a.services.Notices.Prune(ctx); err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "cannot prune notifications", "err", err)
		}
		if _, err := event.Discard(ctx, a.db, refusedKept); err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "cannot forget events", "err", err)
		}
		if err := cache.Prune(ctx, a.db); err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "cannot prune stamps", "err", err)
		}
		if err := pgonce.Prune(ctx, a.db); err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "cannot prune answers of requests", "err", err)
		}
		if err := a.mails.prune(ctx); err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "cannot prune mails", "err", err)
		}
		if a.files.disk != nil { // a bucket sweeps itself
			if _, err := a.files.disk.Sweep(ctx); err != nil && ctx.Err() == nil {
				a.log.WarnContext(ctx, "cannot sweep files", "err", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-every.C:
		}
	}
}

// connects is probe, saying in few words to anybody that the database cannot be reached.
func connects(probe func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		err := probe(ctx)
		if postgres.Unavailable(err) {
			return fault.Unavailable("cannot connect").Because(err)
		}
		return err
	}
}

func (a *App) migrated(ctx context.Context) error {
	v, err := postgres.Version(ctx, a.db)
	if err == nil && !v.Ready() {
		err = fault.Unavailable("at version %d, needs %d", v.Current, v.Target)
	}
	return err
}

// linkable are the things that goals can be linked with, beside actions.
func linkable(s loaders.Services) []goal.Kind {
	ofSession := func(ctx context.Context, key session.ID) (client.ID, error) {
		m, err := s.Sessions.Get(ctx, key)
		if err != nil {
			return client.ID{}, err
		}
		return m.ClientID, nil
	}
	return []goal.Kind{
		{Prefix: "session", Column: "session_id", ClientOf: func(ctx context.Context, key id.UUID) (client.ID, error) {
			return ofSession(ctx, session.ID{UUID: key})
		}},
		{Prefix: "insight", Column: "insight_id", ClientOf: func(ctx context.Context, key id.UUID) (client.ID, error) {
			i, err := s.Insights.Get(ctx, insight.ID{UUID: key})
			if err != nil {
				return client.ID{}, err
			}
			return ofSession(ctx, i.SessionID)
		}},
	}
}

// taggable are the things that tags can be put on.
func taggable(s loaders.Services) []tag.Kind {
	return []tag.Kind{
		{Prefix: "client", Column: "client_id", Get: func(ctx context.Context, key id.UUID) (tag.Taggable, error) {
			return s.Clients.Get(ctx, client.ID{UUID: key})
		}},
		{Prefix: "session", Column: "session_id", Get: func(ctx context.Context, key id.UUID) (tag.Taggable, error) {
			return s.Sessions.Get(ctx, session.ID{UUID: key})
		}},
		{Prefix: "insight", Column: "insight_id", Get: func(ctx context.Context, key id.UUID) (tag.Taggable, error) {
			return s.Insights.Get(ctx, insight.ID{UUID: key})
		}},
		{Prefix: "note", Column: "note_id", Get: func(ctx context.Context, key id.UUID) (tag.Taggable, error) {
			return s.Notes.Get(ctx, note.ID{UUID: key})
		}, Secret: func(t tag.Taggable) bool { return t.(*note.Note).Visibility == note.Private }},
	}
}

// Personal is what the domains keep of clients beside transcripts and what is derived from them. What refers to something stands before
// it, and the client's own row last: by it the others are found.
func Personal() []personal.Store {
	return slices.Concat(ask.Personal, org.Personal, notice.Personal, tag.Personal, theme.Personal, goal.Personal, note.Personal, live.Personal, transcript.Personal, consent.Personal, session.Personal, engagement.Personal, client.Personal)
}

// consenting are the people who agree to something: clients, for all their sessions, and who else takes part in one, for that one.
func consenting(s loaders.Services) []consent.Kind {
	return []consent.Kind{
		{Prefix: "client", Column: "client_id", Get: func(ctx context.Context, key id.UUID) (consent.Subject, auth.Grants, error) {
			c, err := s.Clients.Get(ctx, client.ID{UUID: key})
			if err != nil {
				return nil, 0, err
			}
			return c, c.Grants, nil
		}},
		{Prefix: "participant", Column: "participant_id", Get: func(ctx context.Context, key id.UUID) (consent.Subject, auth.Grants, error) {
			return s.Sessions.GuestOf(ctx, session.ParticipantID{UUID: key})
		}},
	}
}

// routes is the HTTP chain.
func (a *App) routes() (http.Handler, error) {
	if !a.config.Role.Serves() {
		return httpx.Chain(a.health(), httpx.RequestID, httpx.AccessLog(a.log), httpx.Recover(a.log)), nil
	}
	who, err := a.authenticator()
	if err != nil {
		return nil, err
	}
	sameOrigin, err := httpx.SameOrigin(a.config.HTTP.CORSOrigins)
	if err != nil {
		return nil, err
	}
	mux := a.health()
	mux.Handle("/graphql", httpx.Chain(a.graphQL(who), sameOrigin, who.Middleware))
	mux.Handle("/", httpx.PageHeaders(graphiql.Handler(graphiql.Options{})))
	mux.Handle(notice.UnsubscribePath, a.services.Notices.UnsubscribeHandler())
	a.news.routes(mux)
	if a.mails.box != nil {
		mux.Handle("GET "+devbox.Path, auth.LocalOnly(a.mails.box.Handler()))
		mux.Handle("GET "+devbox.Path+"/", auth.LocalOnly(a.mails.box.Handler()))
	}
	if a.dev != nil {
		mux.Handle("/dev/login", a.dev.LoginHandler(people{a.db, a.dev.Issuer().Name}))
		mux.Handle("GET /dev/people", auth.LocalOnly(people{a.db, a.dev.Issuer().Name}))
	}
	all := http.NewServeMux()
	if a.files.disk != nil {
		all.Handle(disk.Path, a.files.disk.Handler()) // has a limit of its own
	}
	capped := httpx.BodyCap(a.config.HTTP.MaxBodyBytes)(mux)
	all.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		_, r.Pattern = mux.Handler(r) // for the log, also of what is too large to get there
		capped.ServeHTTP(w, r)
	})
	return httpx.Chain(all,
		httpx.RequestID, httpx.AccessLog(a.log), httpx.Recover(a.log), httpx.CORS(a.config.HTTP.CORSOrigins)), nil
}

// health is what every process serves.
func (a *App) health() *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("GET /healthz", httpx.Healthz())
	mux.Handle("GET /readyz", a.ready)
	return mux
}

// authenticator believes the configured identity provider and, in development, the development issuer.
func (a *App) authenticator() (*auth.Authenticator, error) {
	var issuers []auth.Issuer
	if c := a.config.Auth; c.Enabled() {
		keys, err := auth.NewRemoteKeys(c.JWKSURL, auth.WithLogger(a.log))
		if err != nil {
			return nil, err
		}
		issuers = append(issuers, auth.Issuer{Name: c.Issuer, Audience: c.Audience, OrganizationClaim: c.OrganizationClaim, Keys: keys})
	}
	if a.config.DevLogin() {
		dev, err := auth.OpenDevIssuer(a.config.Home)
		if err != nil {
			return nil, err
		}
		a.dev = dev
		issuers = append(issuers, dev.Issuer())
	}
	if len(issuers) == 0 {
		return nil, errors.New("no identity provider is configured: set RAPPORT_AUTH_ISSUER")
	}
	v, err := auth.NewVerifier(issuers)
	if err != nil {
		return nil, err
	}
	return auth.NewAuthenticator(v, directory{a.services.Orgs}, a.log), nil
}
