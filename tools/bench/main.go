// Bench measures how fast the server parses, answers and imports, and what memory it takes, and prints it: `make bench`. It
// judges nothing and fails on no time: figures of different machines, or of a busy one, do not compare. What can be
// compared are two sides that were measured in turns, here the server and the floor: a handler written by hand that
// answers the same bytes from one statement.
//
// It runs a PostgreSQL of its own, in a folder below TMPDIR, with the settings of a server that must survive a power cut.
// Everything that is measured over HTTP runs in a process of its own, so that the cost of asking is not counted.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/platform/auth"
	embedlocal "github.com/rapporthq/rapport/internal/platform/embed/local"
	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/internal/platform/postgres/local"
	"github.com/rapporthq/rapport/tools/bench/rig"
	"github.com/rapporthq/rapport/tools/bench/seed"
)

type options struct {
	sections string
	runs     int
	length   time.Duration
	conns    int
	profile  string

	transcripts int
	workers     int
	load        seed.Houses // that are searched
	searches    int         // of each kind
	serve       string      // the role of a child process
	url         string
	home        string
	elastic     string // where Elasticsearch is, for a child; "" is without
	vectors     int    // MiB of memory for vectors, of a child; 0 is what the product takes
}

// sections in the order in which they are measured.
var sections = []struct {
	name    string
	measure func(context.Context, *bench) error
}{
	{"parse", measureParse},
	{"embed", measureEmbed},
	{"page", measurePage},
	{"statements", measureStatements},
	{"dashboard", measureDashboard},
	{"home", measureHome},
	{"import", measureImport},
	{"audit", measureAudit},
	{"pipeline", measurePipeline},
	{"relays", measureRelays},
	{"memory", measureMemory},
	{"live", measureLive},
	{"sockets", measureSockets},
	{"answers", measureAnswers},
	{"search", measureSearch},
	{"search-alone", measureSearchAlone},
}

func main() {
	var o options
	names := make([]string, len(sections))
	for i, s := range sections {
		names[i] = s.name
	}
	flag.StringVar(&o.sections, "only", "", "measure only these sections: "+strings.Join(names, ", "))
	flag.IntVar(&o.runs, "runs", 5, "how often everything is measured; medians are printed")
	flag.DurationVar(&o.length, "length", 5*time.Second, "how long one run of the dashboard lasts, for each side")
	flag.IntVar(&o.conns, "conns", 16, "connections that ask for the dashboard at once")
	flag.StringVar(&o.profile, "profile", "", "write CPU profiles of each side of the dashboard and of the sockets, and of the live hour, and the plans of the dashboard's statements, into this folder")
	flag.IntVar(&o.transcripts, "transcripts", 1000, "how many transcripts go through the pipeline")
	flag.IntVar(&o.workers, "workers", 1, "with how many workers the pipeline is measured at first; at most with two")
	flag.IntVar(&o.load.Utterances, "utterances", 100_000, "how many utterances are searched in Elasticsearch; the goals of docs/search.md are for 1,000,000, which take half an hour")
	flag.IntVar(&o.load.Organizations, "organizations", 2, "of how many organizations: 20 for 1,000,000 utterances")
	flag.IntVar(&o.searches, "searches", 400, "how many searches of each kind are measured")
	short := flag.Bool("short", false, "three short runs: to see that all works")
	flag.StringVar(&o.serve, "serve", "", "used by the program itself: be this side's server")
	flag.StringVar(&o.url, "database", "", "used by the program itself")
	flag.StringVar(&o.home, "home", "", "used by the program itself")
	flag.StringVar(&o.elastic, "elastic", "", "used by the program itself")
	flag.IntVar(&o.vectors, "vectors", 0, "used by the program itself")
	flag.Parse()
	if *short {
		o.runs, o.length, o.transcripts, o.load.Utterances, o.searches = 3, time.Second, 40, 10_000, 40
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	run := measure
	if o.serve != "" {
		run = serve
	}
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is what the sections share.
type bench struct {
	options
	out      io.Writer
	db       *pgxpool.Pool // the bench's own, not the servers'
	practice *seed.Practice
	client   *http.Client
	issuer   *auth.DevIssuer
	token    string // the coach's
	files    uint64 // that were sent through the pipeline
}

func measure(ctx context.Context, o options) (err error) {
	chosen := map[string]bool{}
	for name := range strings.SplitSeq(o.sections, ",") {
		chosen[strings.TrimSpace(name)] = true
	}
	// As many connections as there are sources that send at once (http.DefaultClient keeps two).
	b := &bench{options: o, out: os.Stdout, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: followed}}}
	for _, s := range sections {
		if o.sections != "" && !chosen[s.name] {
			continue
		}
		if b.db == nil && s.name != "parse" && s.name != "pipeline" {
			closeAll, err := b.prepare(ctx)
			if err != nil {
				return err
			}
			defer closeAll()
		}
		if err := s.measure(ctx, b); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		delete(chosen, s.name)
	}
	delete(chosen, "")
	for name := range chosen {
		return fmt.Errorf("there is no section %q", name)
	}
	return nil
}

func (b *bench) prepare(ctx context.Context) (closeAll func(), err error) {
	closeAll = func() {}
	defer func() {
		if err != nil {
			closeAll()
		}
	}()
	undo := func(f func()) {
		before := closeAll
		closeAll = func() { f(); before() }
	}
	// Not one of the tests' throw-away servers: those live in memory where the machine has room, and a commit must be seen
	// to cost what it costs on a disk.
	if b.home, err = os.MkdirTemp("", "rapport-bench-"); err != nil {
		return closeAll, err
	}
	undo(func() { _ = os.RemoveAll(b.home) })
	if err := os.Chmod(b.home, 0o755); err != nil { // PostgreSQL's own account, when started as root
		return closeAll, err
	}
	binaries, err := local.Install(ctx, installed(), progress)
	if err != nil {
		return closeAll, err
	}
	server, err := local.Start(ctx, local.Config{Home: b.home, Binaries: binaries, Settings: rig.Durable, Progress: progress})
	if err != nil {
		return closeAll, err
	}
	undo(func() {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		_ = server.Stop(stop)
	})
	b.url = server.URL()
	if b.db, err = postgres.Open(ctx, b.url, postgres.WithMaxConns(4), postgres.WithApplicationName("bench")); err != nil {
		return closeAll, err
	}
	undo(b.db.Close)
	if err := postgres.Migrate(ctx, b.db); err != nil {
		return closeAll, err
	}
	if b.issuer, err = auth.OpenDevIssuer(b.home); err != nil {
		return closeAll, err
	}
	progress("filling the database")
	if b.practice, err = seed.Load(ctx, b.db, b.issuer.Issuer().Name, seed.Full); err != nil {
		return closeAll, err
	}
	if err := leaveUnsearched(ctx, b.db); err != nil {
		return closeAll, err
	}
	if _, err := b.db.Exec(ctx, "CHECKPOINT"); err != nil && !isForbidden(err) {
		return closeAll, err
	}
	if b.token, err = b.tokenOf(seed.Coach); err != nil {
		return closeAll, err
	}
	fmt.Fprintf(b.out, "\n%s/%s, %d cores, %s, PostgreSQL of its own with fsync; %d sessions, %d utterances; medians of %d runs\n",
		runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), seed.Full.Clients*seed.Full.Sessions, b.practice.Utterances, b.runs)
	return closeAll, nil
}

// tokenOf is a person's, who is known by their address.
func (b *bench) tokenOf(address string) (string, error) {
	token, _, err := b.issuer.Issue(auth.Person{Subject: address, Email: address})
	return token, err
}

// installed is the folder that servers are installed in.
func installed() string { return cmp.Or(os.Getenv("RAPPORT_HOME"), ".rapport") }

// isForbidden says that only a superuser may: a checkpoint is a courtesy.
func isForbidden(err error) bool {
	var coded interface{ SQLState() string }
	return errors.As(err, &coded) && coded.SQLState() == "42501"
}

func progress(line string) { fmt.Fprintln(os.Stderr, "… "+line) }

func profileFile(dir, side string) string { return filepath.Join(dir, "dashboard-"+side+".pprof") }

// leaveUnsearched lets nothing that was filled in be copied for searching, which servers would else do while they are measured. What changes
// from now on is.
func leaveUnsearched(ctx context.Context, db *pgxpool.Pool) error {
	_, err := db.Exec(ctx, `DELETE FROM search_changes`)
	if err == nil {
		_, err = db.Exec(ctx, `INSERT INTO search_models (org_id, model) SELECT id, $1 FROM organizations`, embedlocal.Name)
	}
	return err
}
