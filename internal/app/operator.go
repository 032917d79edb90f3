package app

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/coaching/transcript/format"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/config"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/internal/platform/postgres/local"
)

const usage = `rapport looks after an installation of Rapport.

  rapport init --organization SLUG --owner EMAIL   set up the first organization and its owner
  rapport import FILE --session ID                 import a transcript into a session
  rapport migrate                                  bring the database to this version

The configuration is the server's: environment variables, docs/configuration.md. Each command explains its flags with -h.
`

// ErrUsage says that the arguments are off; what is wrong has been printed.
var ErrUsage = errors.New("usage")

// Operate runs one command of an operator. It works on the running server's database, or on the private one of
// RAPPORT_HOME, which it starts if no server does.
func Operate(ctx context.Context, lookup config.Lookup, args []string, out, errs io.Writer) error {
	commands := map[string]func(context.Context, *operator, []string) error{
		"init": initialize, "import": importFile, "migrate": migrate,
	}
	if len(args) == 0 || commands[args[0]] == nil {
		fmt.Fprint(errs, usage)
		return ErrUsage
	}
	cfg, err := config.Load(lookup)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	o := &operator{cfg: cfg, out: out, errs: errs, lost: cancel}
	return plain(commands[args[0]](ctx, o, args[1:]))
}

// plain leaves out which functions an error came through: a person at a terminal needs what was wrong.
func plain(err error) error {
	faults := fault.All(err)
	if len(faults) == 0 {
		return err
	}
	problems := make([]error, len(faults))
	for i, f := range faults {
		problems[i] = f
	}
	return errors.Join(problems...)
}

// operator is a command at work.
type operator struct {
	cfg       config.Config
	out, errs io.Writer
	lost      func() // ends the command, for its database is gone
}

// flags returns the flag set of a command.
func (o *operator) flags(line string) *flag.FlagSet {
	f := flag.NewFlagSet("rapport", flag.ContinueOnError)
	f.SetOutput(o.errs)
	f.Usage = func() {
		fmt.Fprintln(o.errs, "rapport "+line)
		f.PrintDefaults()
	}
	return f
}

// open opens the database. alone says that no server works on it.
func (o *operator) open(ctx context.Context) (db *pgxpool.Pool, alone bool, closeDB func() error, err error) {
	if o.cfg.Database.URL == "" {
		_, err := local.RunningURL(ctx, o.cfg.Home)
		alone = err != nil
	}
	db, closeDB, err = OpenDatabase(ctx, o.cfg, Guest(), func(line string) { fmt.Fprintln(o.errs, "… "+line) }, o.lost)
	return db, alone, closeDB, err
}

// migrate brings the database to this version, which opening it does.
func migrate(ctx context.Context, o *operator, _ []string) error {
	db, _, closeDB, err := o.open(ctx)
	if err != nil {
		return err
	}
	v, err := postgres.Version(ctx, db)
	fmt.Fprintf(o.out, "the database is at version %d\n", v.Current)
	return errors.Join(err, closeDB())
}

// initialize makes the first organization of an installation, with somebody who can sign in to it.
func initialize(ctx context.Context, o *operator, args []string) (err error) {
	f := o.flags("init --organization SLUG --owner EMAIL [--name NAME] [--owner-name NAME] [--coach] [--issuer URL --subject SUBJECT]")
	slug := f.String("organization", "", "short name of the organization, as tokens name it: harbor")
	name := f.String("name", "", "name of the organization; the slug if left out")
	owner := f.String("owner", "", "the owner's e-mail address")
	ownerName := f.String("owner-name", "", "the owner's name; the e-mail address if left out")
	coach := f.Bool("coach", false, "the owner coaches, too")
	issuer := f.String("issuer", o.cfg.Auth.Issuer, "issuer of the owner's tokens; the configured one if left out, in development the development sign-in")
	subject := f.String("subject", "", "subject of the owner's tokens; the e-mail address if left out")
	if err := f.Parse(args); err != nil {
		return ErrUsage
	}
	if *slug == "" || *owner == "" || f.NArg() > 0 {
		f.Usage()
		return ErrUsage
	}
	if *name == "" {
		*name = *slug
	}
	if *subject == "" {
		*subject = *owner
	}
	if *issuer == "" && o.cfg.DevLogin() {
		*issuer = auth.DevIssuerName
	}
	roles := []auth.Role{auth.RoleOwner}
	if *coach {
		roles = append(roles, auth.RoleCoach)
	}
	db, _, closeDB, err := o.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeDB()) }()
	var organization org.ID
	err = postgres.InTx(ctx, db, func(tx pgx.Tx) (err error) {
		if organization, err = org.Found(ctx, tx, *slug, *name); err != nil {
			return err
		}
		_, err = org.Join(ctx, tx, organization, org.NewMember{
			Email: *owner, Name: *ownerName, Roles: roles, Identity: &org.Identity{Issuer: *issuer, Subject: *subject},
		})
		return err
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(o.out, "organization %s (%s)\nowner        %s, who signs in as %q of %s\n", *slug, organization, *owner, *subject, *issuer)
	return nil
}

// importFile imports a transcript as the session's coach and waits until it is analysed.
func importFile(ctx context.Context, o *operator, args []string) (err error) {
	f := o.flags("import FILE --session ID [--format WEBVTT|SUBRIP|TEXT]")
	sessionID := f.String("session", "", "id of the session: session_…")
	kind := f.String("format", "", "format of the file; recognised by its content if left out")
	var file string
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		file, args = args[0], args[1:]
	}
	if err := f.Parse(args); err != nil {
		return ErrUsage
	}
	if file == "" && f.NArg() == 1 {
		file = f.Arg(0)
	}
	if file == "" || *sessionID == "" {
		f.Usage()
		return ErrUsage
	}
	var key session.ID
	if err := key.UnmarshalGQL(*sessionID); err != nil {
		return fmt.Errorf("--session: %w", err)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	db, alone, closeDB, err := o.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeDB()) }()
	a, err := New(ctx, o.cfg, NewLogger(o.cfg, o.errs), db)
	if err != nil {
		return err
	}
	defer a.Close()

	ctx, err = asCoach(ctx, db, key)
	if err != nil {
		return err
	}
	events, err := a.services.Insights.Events(ctx, &key, nil, nil)
	if err != nil {
		return err
	}
	defer events.Close()
	name := filepath.Base(file)
	in := transcript.ImportInput{SessionID: key, Content: string(content), Filename: &name}
	if *kind != "" {
		wanted := format.Format(strings.ToUpper(*kind))
		in.Format = &wanted
	}
	imported, err := a.services.Transcripts.Import(ctx, in)
	if err != nil {
		return err
	}
	t := imported.Transcript
	fmt.Fprintf(o.out, "%s  version %d, %s\n", t.ID, t.Version, *t.Format)
	for _, w := range t.Warnings {
		fmt.Fprintf(o.out, "  line %d: %s; assumed: %s\n", w.Line, w.Message, w.Assumed)
	}
	if imported.AlreadyImported {
		fmt.Fprintln(o.out, "this very file was imported before: nothing was changed")
		return nil
	}
	if alone { // no server is there to do it
		if _, err := a.runner.Drain(ctx); err != nil {
			return err
		}
	}
	return o.follow(ctx, t.ID, events)
}

// follow prints what is found, until the transcript is READY or has failed.
func (o *operator) follow(ctx context.Context, key transcript.ID, events *insight.Events) error {
	for {
		e, err := events.Next(ctx)
		if err != nil {
			return err
		}
		switch e := e.(type) {
		case insight.Added:
			fmt.Fprintf(o.out, "  %-16s %s\n", e.Insight.Kind, e.Insight.Title)
		case insight.TranscriptChanged:
			if e.Transcript.ID != key {
				continue
			}
			if e.Transcript.Status == transcript.Ready {
				fmt.Fprintln(o.out, "READY")
				return nil
			}
			if why := e.Transcript.Failure(); why != nil {
				return fmt.Errorf("%s: %s", why.Code, why.Message)
			}
		}
	}
}

// asCoach acts as the coach of a session.
func asCoach(ctx context.Context, db *pgxpool.Pool, key session.ID) (context.Context, error) {
	v := auth.Viewer{Roles: []auth.Role{auth.RoleCoach}}
	err := db.QueryRow(ctx, `SELECT org_id, coach_id FROM sessions WHERE id = $1`, key).Scan(&v.Org, &v.User)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, fault.NotFound("session " + key.String())
	}
	return auth.WithViewer(ctx, v), err
}
