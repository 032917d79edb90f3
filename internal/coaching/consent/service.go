package consent

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/check"
	"github.com/rapporthq/rapport/internal/platform/event"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/page"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// Kind is a kind of people who agree to something.
type Kind struct {
	Prefix string // of their ids
	Column string // of consents
	// Get returns the person and what the viewer is to them, or NotFound if the viewer cannot see them. AsClient is the person.
	Get func(ctx context.Context, key id.UUID) (Subject, auth.Grants, error)
}

// Service records consents.
type Service struct {
	db     *pgxpool.Pool
	outbox *event.Outbox
	kinds  map[string]Kind

	withdrawn []Withdrawal
}

// Withdrawal is what another domain does about consents that somebody takes back, in the transaction, when they are no longer in force. The
// subject is the client or participant. What may not be there any more even if they are given again at once is removed here; JobFollow comes later.
type Withdrawal func(ctx context.Context, tx pgx.Tx, organization, subject id.UUID, scopes []Scope) error

// OnWithdrawal registers what must happen with a withdrawal, while the program is put together.
func (s *Service) OnWithdrawal(f Withdrawal) { s.withdrawn = append(s.withdrawn, f) }

// NewService returns a Service for the given kinds of people that tells other systems what it does.
func NewService(db *pgxpool.Pool, outbox *event.Outbox, kinds ...Kind) *Service {
	s := &Service{db: db, outbox: outbox, kinds: map[string]Kind{}}
	for _, k := range kinds {
		s.kinds[k.Prefix] = k
	}
	return s
}

// ByIDs returns those of the consents that the viewer may see.
func (s *Service) ByIDs(ctx context.Context, ids []id.UUID) (map[id.UUID]*Consent, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.ByIDs(ctx, s.db, v, consents, scope(v), ids)
}

// OfClients returns all that each client has agreed to and taken back, latest first, in the order of the clients.
func (s *Service) OfClients(ctx context.Context, clients []id.UUID) ([][]*Consent, error) {
	return s.of(ctx, "cs.client_id", clients)
}

// OfParticipants returns what each participant has agreed to for that one session, latest first, in the order of the participants.
func (s *Service) OfParticipants(ctx context.Context, participants []id.UUID) ([][]*Consent, error) {
	return s.of(ctx, "cs.participant_id", participants)
}

// maxRecords are the latest of a person's consents, which are shown without pages.
const maxRecords = 50

func (s *Service) of(ctx context.Context, column string, parents []id.UUID) ([][]*Consent, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.AllChildren(ctx, s.db, v, consents, scope(v), page.Filter{}, latestFirst, column, parents, maxRecords)
}

// CurrentTexts returns what people of the viewer's organization are asked to agree to now, one text a scope.
func (s *Service) CurrentTexts(ctx context.Context) ([]*Text, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return currentTexts(ctx, s.db, v.Org)
}

func currentTexts(ctx context.Context, db page.Querier, organization id.UUID) ([]*Text, error) {
	rows, err := db.Query(ctx, `
		SELECT DISTINCT ON (scope) scope, version, text, published_at FROM consent_texts WHERE org_id = $1 ORDER BY scope, version DESC`, organization)
	if err != nil {
		return nil, err
	}
	published, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*Text, error) {
		t := &Text{}
		return t, row.Scan(&t.Scope, &t.Version, &t.Text, &t.PublishedAt)
	})
	if err != nil {
		return nil, err
	}
	all := make([]*Text, len(Scopes))
	for i, scope := range Scopes {
		all[i] = &Text{Scope: scope, Version: 1, Text: builtIn[scope]}
		for _, t := range published {
			if t.Scope == scope {
				all[i] = t
			}
		}
	}
	return all, nil
}

// Publish makes a text the current one of its scope. Consents to earlier texts stay valid and are shown as outdated. Publishing the
// current text again is publishing it once.
func (s *Service) Publish(ctx context.Context, in PublishInput) (_ *Text, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "consent.Publish(%s)", in.Scope)
	if !v.Has(auth.RoleOwner, auth.RoleAdmin) {
		return nil, fault.Forbidden("only an owner or an admin can publish a consent text")
	}
	var problems check.Input
	text := problems.Text("text", in.Text, 20_000)
	if strings.TrimSpace(text) == "" && problems.Err() == nil {
		problems.Fail("text", "must not be empty")
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	var out *Text
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		// The organization's row is the lock for the versions of its texts.
		if _, err := tx.Exec(ctx, `SELECT FROM organizations WHERE id = $1 FOR NO KEY UPDATE`, v.Org); err != nil {
			return err
		}
		current, err := currentTexts(ctx, tx, v.Org)
		if err != nil {
			return err
		}
		for _, t := range current {
			if t.Scope == in.Scope {
				out = t
			}
		}
		if out.Text == text {
			return nil
		}
		out = &Text{Scope: in.Scope, Version: out.Version + 1, Text: text, PublishedAt: new(time.Time)}
		if err := tx.QueryRow(ctx, `
			INSERT INTO consent_texts (org_id, scope, version, text, published_by) VALUES ($1, $2, $3, $4, $5) RETURNING published_at`,
			v.Org, out.Scope, out.Version, out.Text, v.User).Scan(out.PublishedAt); err != nil {
			return err
		}
		return audit.Record(ctx, tx, v, audit.Entry{Action: "consent.publish", Kind: "org", ID: v.Org, Fields: []string{"consentTexts"}})
	})
	return out, err
}

// Give records that somebody agrees: the person themselves, or a coach on their behalf. What is in force already, for the same text,
// stays as it is.
func (s *Service) Give(ctx context.Context, in GiveInput) (_ Subject, err error) {
	v, kind, self, err := s.subject(ctx, in.SubjectID)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "consent.Give(%s)", in.SubjectID)
	scopes := distinct(in.Scopes)
	var problems check.Input
	if len(scopes) == 0 {
		problems.Fail("scopes", "name at least one scope")
	}
	if in.TextVersion != nil && len(scopes) != 1 {
		problems.Fail("textVersion", "goes only with a single scope: each has versions of its own")
	}
	source := InPerson
	if self {
		source = InApp
	}
	if in.Source != nil && *in.Source != source && (self || *in.Source == InApp || *in.Source == Unknown) {
		problems.Fail("source", "%s is for what somebody else records: by oneself it is IN_APP, on behalf of another IN_PERSON, FORM, EMAIL or ON_RECORD", *in.Source)
	} else if in.Source != nil {
		source = *in.Source
	}
	if in.GivenAt != nil {
		problems.Time("givenAt", *in.GivenAt)
		if in.GivenAt.After(time.Now().Add(time.Minute)) {
			problems.Fail("givenAt", "must not lie in the future")
		}
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		current, err := currentTexts(ctx, tx, v.Org)
		if err != nil {
			return err
		}
		ids, versions := make([]id.UUID, len(scopes)), make([]int, len(scopes))
		for i, scope := range scopes {
			for _, t := range current {
				if t.Scope == scope {
					ids[i], versions[i] = id.New(), t.Version
				}
			}
			if in.TextVersion == nil {
				continue
			}
			if *in.TextVersion < 1 || *in.TextVersion > versions[i] {
				return fault.Invalid("textVersion", "there are the versions 1 to %d of this text", versions[i])
			}
			versions[i] = *in.TextVersion
		}
		rows, err := tx.Query(ctx, `
			INSERT INTO consents (id, org_id, `+kind.Column+`, scope, text_version, source, given_at, recorded_by)
			SELECT n.id, $1, $2, n.scope, n.version, $3, coalesce($4, now()), $5
			FROM unnest($6::uuid[], $7::text[], $8::int[]) AS n (id, scope, version)
			ON CONFLICT DO NOTHING RETURNING id, scope`, v.Org, in.SubjectID.UUID, source, in.GivenAt, v.User, ids, scopes, versions)
		_, err = s.follow(ctx, tx, v, in.SubjectID, "consent.give", "consent.given", rows, err)
		return err
	})
	if err != nil {
		return nil, err
	}
	who, _, err := kind.Get(ctx, in.SubjectID.UUID)
	return who, err
}

// Withdraw ends consents. From the end of the transaction on nobody sees what rested on them, and a job removes it; what is registered with
// OnWithdrawal is gone with the transaction. What is not in force stays as it is.
func (s *Service) Withdraw(ctx context.Context, in WithdrawInput) (_ Subject, err error) {
	v, kind, _, err := s.subject(ctx, in.SubjectID)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "consent.Withdraw(%s)", in.SubjectID)
	scopes := distinct(in.Scopes)
	if len(scopes) == 0 {
		return nil, fault.Invalid("scopes", "name at least one scope")
	}
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			UPDATE consents SET withdrawn_at = now(), withdrawn_by = $3
			WHERE org_id = $1 AND `+kind.Column+` = $2 AND scope = ANY($4) AND withdrawn_at IS NULL RETURNING id, scope`,
			v.Org, in.SubjectID.UUID, v.User, scopes)
		changed, err := s.follow(ctx, tx, v, in.SubjectID, "consent.withdraw", "consent.withdrawn", rows, err)
		if err != nil || len(changed) == 0 {
			return err
		}
		for _, f := range s.withdrawn {
			if err := f(ctx, tx, v.Org, in.SubjectID.UUID, changed); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	who, _, err := kind.Get(ctx, in.SubjectID.UUID)
	return who, err
}

// follow records what was done, tells other systems what has happened, and has what is kept of conversations follow the changed consents, whose
// scopes it returns.
func (s *Service) follow(ctx context.Context, tx pgx.Tx, v auth.Viewer, subject id.Any, action, happened string, rows pgx.Rows, err error) (scopes []Scope, _ error) {
	if err != nil {
		return nil, err
	}
	var entries []audit.Entry
	var key ID
	var scope Scope
	if _, err := pgx.ForEachRow(rows, []any{&key, &scope}, func() error {
		e := audit.Entry{Action: action, Kind: "consent", ID: key.UUID}
		if subject.Prefix == "client" {
			e.ClientID = subject.UUID
		}
		entries, scopes = append(entries, e), append(scopes, scope)
		return nil
	}); err != nil || len(entries) == 0 {
		return nil, err
	}
	slices.Sort(scopes)
	if err := audit.Record(ctx, tx, v, entries...); err != nil {
		return nil, err
	}
	if err := s.outbox.Add(ctx, tx, v.Org, event.News{Type: happened, Subject: subject, Data: event.Data{subject.Prefix + "Id": subject, "scopes": scopes}}); err != nil {
		return nil, err
	}
	return scopes, jobs.Enqueue(ctx, tx, jobs.Job{Org: v.Org, Kind: JobFollow, Entity: subject.UUID})
}

// subject finds whose consent it is, and whether that is the viewer.
func (s *Service) subject(ctx context.Context, key id.Any) (v auth.Viewer, kind Kind, self bool, err error) {
	if v, err = auth.FromContext(ctx); err != nil {
		return v, kind, false, err
	}
	kind, known := s.kinds[key.Prefix]
	if !known {
		return v, kind, false, fault.Invalid("subjectId", "expected the id of a client or a participant, got %s_…", key.Prefix)
	}
	_, is, err := kind.Get(ctx, key.UUID)
	switch {
	case err != nil:
		return v, kind, false, err
	case is.Any(auth.AsClient):
		return v, kind, true, nil
	case is.Any(auth.AsCoach):
		return v, kind, false, nil
	}
	return v, kind, false, fault.Forbidden("only the person themselves, or their coach on their behalf, can give and withdraw consent")
}
