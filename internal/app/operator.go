package app

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/platform/config"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/postgres/local"
	"github.com/rapporthq/rapport/internal/platform/secret"
)

// command is something that an operator can have done.
type command struct {
	name     string
	synopsis string // what follows the name
	about    string // one line
	required []string
	operands int // beside the flags
	// prepare declares the flags, and returns what runs once they have been read.
	prepare func(*flag.FlagSet) action
}

type action func(ctx context.Context, o *operator, operands []string) error

var commands = []command{
	{
		name:     "init",
		synopsis: "--organization SLUG --owner EMAIL [--name NAME] [--owner-name NAME] [--coach] [--issuer URL] [--subject SUBJECT]",
		about:    "set up the first organization and its owner",
		required: []string{"organization", "owner"},
		prepare:  initialize,
	},
	{
		name:     "import",
		synopsis: "FILE --session ID [--format WEBVTT|SUBRIP|TEXT|JSON|CSV]",
		about:    "import a transcript into a session, as its coach, and wait until it is analysed",
		required: []string{"session"},
		operands: 1,
		prepare:  importFile,
	},
	{
		name:     "audit",
		synopsis: "verify [--organization SLUG] [--after NUMBER:HASH]",
		about:    "check that nobody has changed the audit trail, and print where each organization's ends",
		operands: 1,
		prepare:  verifyAudit,
	},
	{
		name:     "events",
		synopsis: "[--retry | --discard]",
		about:    "say which events wait to be published and which were given up, and try those anew, or forget them",
		prepare:  lookAfterEvents,
	},
	{
		name:    "reindex",
		about:   "make the search index anew of what is in the database, while it is used, and compare them",
		prepare: reindex,
	},
	{
		name:     "search",
		synopsis: "verify",
		about:    "compare the search indexes with the database, document by document, and name what differs",
		operands: 1,
		prepare:  verifySearch,
	},
	{
		name:     "config",
		synopsis: "show",
		about:    "print the configuration as it is read: secrets as [redacted], or as where they are kept",
		operands: 1,
		prepare:  showConfig,
	},
	{
		name:     "bucket",
		synopsis: "configure",
		about:    "set versions, lifecycle, CORS and the block of everything public of the bucket of RAPPORT_S3_BUCKET",
		operands: 1,
		prepare:  configureBucket,
	},
	{
		name:     "unsuppress",
		synopsis: "ADDRESS",
		about:    "mail an address again to which mails came back, or whose owner called one spam",
		operands: 1,
		prepare:  unsuppress,
	},
	{
		name:    "migrate",
		about:   "bring the database to this version",
		prepare: migrate,
	},
}

// ErrUsage says that the arguments are off; what is wrong has been printed.
var ErrUsage = errors.New("usage")

// misuse is what is wrong with the arguments, if nothing else is.
type misuse string

func (m misuse) Error() string { return string(m) }

// Operate runs one command of an operator. It works on the running server's database, or on the private one of
// RAPPORT_HOME, which it starts if no server does. Help that was asked for goes to out, and is no error.
func Operate(ctx context.Context, lookup config.Lookup, args []string, out, errs io.Writer) error {
	name, args := first(args)
	if name == "help" {
		if name, args = first(args); name != "" {
			args = []string{"-h"}
		} else {
			name = "-h"
		}
	}
	if name == "-h" || name == "--help" {
		overview(out)
		return nil
	}
	i := slices.IndexFunc(commands, func(c command) bool { return c.name == name })
	if i < 0 {
		if name != "" {
			fmt.Fprintf(errs, "rapport: there is no command %q\n\n", name)
		}
		overview(errs)
		return ErrUsage
	}
	c := commands[i]
	flags := flag.NewFlagSet(c.name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	run := c.prepare(flags)
	operands, err := c.parse(flags, args)
	if errors.Is(err, flag.ErrHelp) {
		c.help(out, flags)
		return nil
	}
	if err == nil {
		err = operate(ctx, lookup, run, operands, out, errs)
	}
	var wrong misuse
	if errors.As(err, &wrong) {
		fmt.Fprintf(errs, "rapport %s: %v\nusage: %s\nrapport %s -h explains it\n", c.name, wrong, c.usage(), c.name)
		return ErrUsage
	}
	return plain(err)
}

func operate(ctx context.Context, lookup config.Lookup, run action, operands []string, out, errs io.Writer) error {
	cfg, err := config.Load(lookup)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return run(ctx, &operator{cfg: cfg, lookup: lookup, out: out, errs: errs, lost: cancel}, operands)
}

func first(args []string) (string, []string) {
	if len(args) == 0 {
		return "", nil
	}
	return args[0], args[1:]
}

// parse reads flags and operands in any order.
func (c command) parse(flags *flag.FlagSet, args []string) (operands []string, err error) {
	for {
		if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
			return nil, err
		} else if err != nil {
			return nil, misuse(err.Error())
		}
		if flags.NArg() == 0 {
			break
		}
		operands, args = append(operands, flags.Arg(0)), flags.Args()[1:]
	}
	if len(operands) > c.operands {
		return nil, misuse(fmt.Sprintf("what is %q?", operands[c.operands]))
	}
	if len(operands) < c.operands {
		return nil, misuse(strings.Fields(c.synopsis)[0] + " is missing")
	}
	for _, name := range c.required {
		if flags.Lookup(name).Value.String() == "" {
			return nil, misuse("--" + name + " is missing")
		}
	}
	return operands, nil
}

const common = `
The configuration is the server's, by environment variables: docs/configuration.md. It works on the running server's database, or,
without DATABASE_URL and a running server, starts the private one of RAPPORT_HOME. Exit status: 0 done, 1 failed, 2 wrong usage.
`

func overview(w io.Writer) {
	fmt.Fprint(w, "rapport looks after an installation of Rapport.\n\n")
	for _, c := range commands {
		fmt.Fprintf(w, "  %s\n        %s\n", c.usage(), c.about)
	}
	fmt.Fprint(w, "\nrapport COMMAND -h explains the flags of a command.\n", common)
}

func (c command) usage() string { return strings.TrimSpace("rapport " + c.name + " " + c.synopsis) }

func (c command) help(w io.Writer, flags *flag.FlagSet) {
	fmt.Fprintf(w, "usage: %s\n\n%s\n", c.usage(), c.about)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	gap := "\n"
	flags.VisitAll(func(f *flag.Flag) {
		fmt.Fprintf(table, "%s  --%s\t%s\n", gap, f.Name, f.Usage)
		gap = ""
	})
	_ = table.Flush() // what cannot be printed nobody reads
	fmt.Fprint(w, common)
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
	lookup    config.Lookup
	secrets   *secret.Keeper // of open
	out, errs io.Writer
	lost      func() // ends the command, for its database is gone
}

// open opens the database. alone says that no server works on it.
func (o *operator) open(ctx context.Context) (db *pgxpool.Pool, alone bool, closeDB func() error, err error) {
	if o.cfg.Database.URL == "" {
		_, err := local.RunningURL(ctx, o.cfg.Home)
		alone = err != nil
	}
	if o.secrets, err = OpenSecrets(ctx, o.cfg, o.lookup, NewLogger(o.cfg, o.errs)); err != nil {
		return nil, alone, nil, err
	}
	db, closeDB, err = OpenDatabase(ctx, o.cfg, o.secrets, Guest(), func(line string) { fmt.Fprintln(o.errs, "… "+line) }, o.lost)
	return db, alone, closeDB, err
}

// app opens the database and puts the product together over it, until closeApp. alone says that no server works on it. What a person reads
// is not mixed with measures: those go where the log does.
func (o *operator) app(ctx context.Context) (a *App, alone bool, closeApp func() error, err error) {
	db, alone, closeDB, err := o.open(ctx)
	if err != nil {
		return nil, false, nil, err
	}
	a, err = New(ctx, o.cfg, NewLogger(o.cfg, o.errs), db, WithSecrets(o.secrets), WithMetrics(o.errs))
	if err != nil {
		return nil, false, nil, errors.Join(err, closeDB())
	}
	return a, alone, func() error {
		a.Close()
		return closeDB()
	}, nil
}
