package app

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/coaching/notice"
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/coaching/search"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/coaching/transcript/format"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/mail"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// showConfig prints what the environment says, after checking it.
func showConfig(*flag.FlagSet) action {
	return func(_ context.Context, o *operator, operands []string) error {
		if operands[0] != "show" {
			return misuse(fmt.Sprintf("what is %q?", operands[0]))
		}
		fmt.Fprintln(o.out, o.cfg)
		return nil
	}
}

// configureBucket has the bucket do what the product relies on. It needs no database.
func configureBucket(*flag.FlagSet) action {
	return func(ctx context.Context, o *operator, operands []string) error {
		if operands[0] != "configure" {
			return misuse(fmt.Sprintf("what is %q?", operands[0]))
		}
		if o.cfg.Files.S3Bucket == "" {
			return errors.New("RAPPORT_S3_BUCKET: must be set")
		}
		a := &App{config: o.cfg}
		f, err := a.openFiles(ctx)
		if err != nil {
			return err
		}
		var origins []string
		for _, origin := range append([]string{o.cfg.HTTP.PublicURL}, o.cfg.HTTP.CORSOrigins...) {
			if origin != "" && !slices.Contains(origins, origin) {
				origins = append(origins, origin)
			}
		}
		if len(origins) == 0 {
			return errors.New("RAPPORT_PUBLIC_URL: must be set: pages from there send files to the bucket")
		}
		if err := f.s3.Configure(ctx, origins); err != nil {
			return err
		}
		fmt.Fprintf(o.out, "the bucket %s is configured for pages of %s\n", o.cfg.Files.S3Bucket, strings.Join(origins, ", "))
		return nil
	}
}

// migrate brings the database to this version, which opening it does.
func migrate(*flag.FlagSet) action {
	return func(ctx context.Context, o *operator, _ []string) error {
		db, _, closeDB, err := o.open(ctx)
		if err != nil {
			return err
		}
		v, err := postgres.Version(ctx, db)
		if err == nil {
			fmt.Fprintf(o.out, "the database is at version %d\n", v.Current)
		}
		return errors.Join(err, closeDB())
	}
}

// reindex makes anew all that is searched, and says what is there afterwards.
func reindex(*flag.FlagSet) action {
	return func(ctx context.Context, o *operator, _ []string) (err error) {
		a, _, closeApp, err := o.app(ctx)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, closeApp()) }()
		began := time.Now()
		if err := a.services.Search.Rebuild(ctx); err != nil {
			return err
		}
		held, err := a.services.Search.Verify(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintf(o.out, "%s: made anew in %s: %d documents of %d things in %d organizations\n", a.found.where, time.Since(began).Round(100*time.Millisecond), held.Documents, held.Groups, held.Organizations)
		if held.Repaired > 0 {
			fmt.Fprintf(o.out, "%d of them had changed meanwhile and were written again\n", held.Repaired)
		}
		return nil
	}
}

// verifySearch compares what is searched with the database. What differs is named, and makes it fail.
func verifySearch(*flag.FlagSet) action {
	return func(ctx context.Context, o *operator, operands []string) (err error) {
		if operands[0] != "verify" {
			return misuse(fmt.Sprintf("what is %q?", operands[0]))
		}
		a, _, closeApp, err := o.app(ctx)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, closeApp()) }()
		differing := 0
		held, err := a.services.Search.Compare(ctx, func(d search.Difference) {
			differing++
			fmt.Fprintf(o.out, "%s: %s: %d missing, %d altered, %d that should not be there\n", d.Index, d.Group, d.Missing, d.Altered, d.Surplus)
		})
		if err != nil {
			return err
		}
		fmt.Fprintf(o.out, "%s: %d documents of %d things in %d organizations compared\n", a.found.where, held.Documents, held.Groups, held.Organizations)
		if differing > 0 {
			return fmt.Errorf("%d things differ: what has just changed is indexed within seconds; what stays is made anew by rapport reindex", differing)
		}
		return nil
	}
}

// unsuppress takes an address off the lists of those that get no mail: the organizations' and SES's. What the address's owner wanted stays.
func unsuppress(*flag.FlagSet) action {
	return func(ctx context.Context, o *operator, operands []string) (err error) {
		to, err := mail.ParseAddress(operands[0])
		if err != nil {
			return misuse(fmt.Sprintf("%q is no e-mail address", operands[0]))
		}
		a, _, closeApp, err := o.app(ctx)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, closeApp()) }()
		if a.mails.ses != nil {
			if err := a.mails.ses.Forgive(ctx, to.Email); err != nil {
				return err
			}
		} else {
			fmt.Fprintln(o.errs, "… no SES is configured here: its own list stays as it is")
		}
		orgs, err := notice.Unsuppress(ctx, a.db, to.Email, time.Now())
		if err == nil {
			fmt.Fprintf(o.out, "%d organizations mail the address again\n", len(orgs))
		}
		return err
	}
}

// verifyAudit checks the audit trail of one organization or of all.
func verifyAudit(f *flag.FlagSet) action {
	slug := f.String("organization", "", "short name of the organization; all if left out")
	after := f.String("after", "", "seal at which an earlier check of the organization ended, as it was printed")
	return func(ctx context.Context, o *operator, operands []string) (err error) {
		if operands[0] != "verify" {
			return misuse(fmt.Sprintf("what is %q?", operands[0]))
		}
		var from *audit.Seal
		if *after != "" {
			if *slug == "" {
				return misuse("--after goes with --organization")
			}
			if from, err = audit.ParseSeal(*after); err != nil {
				return misuse("--after: " + err.Error())
			}
		}
		db, _, closeDB, err := o.open(ctx)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, closeDB()) }()
		rows, err := db.Query(ctx, `SELECT id, slug FROM organizations WHERE $1 = '' OR slug = $1 ORDER BY slug`, *slug)
		if err != nil {
			return err
		}
		type organization struct {
			ID   id.UUID
			Slug string
		}
		all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[organization])
		if err != nil {
			return err
		}
		if len(all) == 0 {
			return fault.NotFound("organization " + *slug)
		}
		broken := 0
		for _, one := range all {
			whole, err := o.verifyOne(ctx, db, one.ID, one.Slug, from)
			if err != nil {
				return err
			}
			if !whole {
				broken++
			}
		}
		if broken > 0 {
			return fmt.Errorf("the audit trail of %d of %d organizations is not what was written", broken, len(all))
		}
		return nil
	}
}

// verifyOne goes on from seal to seal until the end of the chain or the first stretch with something wrong in it.
func (o *operator) verifyOne(ctx context.Context, db *pgxpool.Pool, org id.UUID, slug string, from *audit.Seal) (whole bool, err error) {
	checked := 0
	for {
		v, err := audit.Verify(ctx, db, org, from, audit.MaxVerified)
		if err != nil {
			return false, err
		}
		checked += v.CheckedEvents
		for _, p := range v.Problems {
			fmt.Fprintf(o.out, "%s: seal %d: %s\n", slug, p.Seal, p.Message)
		}
		if from = v.Last; v.Whole() && !v.Complete {
			continue
		}
		end := "nothing is sealed"
		if from != nil {
			end = "ends with " + from.String()
		}
		fmt.Fprintf(o.out, "%s: %d events, %d wait for their seal, %s\n", slug, checked, v.UnsealedCount, end)
		return v.Whole(), nil
	}
}

// initialize makes the first organization of an installation, with somebody who can sign in to it.
func initialize(f *flag.FlagSet) action {
	slug := f.String("organization", "", "short name of the organization, as tokens name it: harbor")
	name := f.String("name", "", "name of the organization; the slug if left out")
	owner := f.String("owner", "", "the owner's e-mail address")
	ownerName := f.String("owner-name", "", "the owner's name; the e-mail address if left out")
	coach := f.Bool("coach", false, "the owner coaches, too")
	issuer := f.String("issuer", "", "issuer of the owner's tokens; the configured one if left out, in development the development sign-in")
	subject := f.String("subject", "", "subject of the owner's tokens; the e-mail address if left out")
	return func(ctx context.Context, o *operator, _ []string) (err error) {
		if *name == "" {
			*name = *slug
		}
		if *subject == "" {
			*subject = *owner
		}
		*issuer = cmp.Or(*issuer, o.cfg.Auth.Issuer)
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
}

// importFile imports a transcript as the session's coach and waits until it is analysed.
func importFile(f *flag.FlagSet) action {
	sessionID := f.String("session", "", "id of the session: session_…")
	kind := f.String("format", "", "what the file is; recognised by its content if left out")
	return func(ctx context.Context, o *operator, operands []string) (err error) {
		var key session.ID
		if err := key.UnmarshalGQL(*sessionID); err != nil {
			return misuse("--session: " + err.Error())
		}
		wanted := format.Format(strings.ToUpper(*kind))
		if wanted != "" && !slices.Contains(format.Formats(), wanted) {
			return misuse("--format: there is no " + *kind)
		}
		content, err := os.ReadFile(operands[0])
		if err != nil {
			return err
		}
		a, alone, closeApp, err := o.app(ctx)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, closeApp()) }()

		ctx, err = asCoach(ctx, a.db, key)
		if err != nil {
			return err
		}
		events, err := a.services.Insights.Events(ctx, &key, nil, nil)
		if err != nil {
			return err
		}
		defer events.Close()
		name := filepath.Base(operands[0])
		in := transcript.ImportInput{SessionID: key, Content: string(content), Filename: &name}
		if wanted != "" {
			in.Format = &wanted
		}
		imported, err := a.services.Transcripts.Import(ctx, in)
		if err != nil {
			return err
		}
		t := imported.Transcript
		read := format.Format("not read yet") // an upload's
		if t.Format != nil {
			read = *t.Format
		}
		fmt.Fprintf(o.out, "%s  version %d, %s\n", t.ID, t.Version, read)
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
}

// follow prints what is found, until the transcript is READY, waits for its speakers' roles, or has failed.
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
			switch e.Transcript.Status {
			case transcript.Ready:
				fmt.Fprintln(o.out, "READY")
				return nil
			case transcript.NeedsSpeakers:
				fmt.Fprintln(o.out, "NEEDS_SPEAKERS: the coach is asked who is who; the rest follows the answer")
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
