package transcript

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/coaching/conversation"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/transcript/format"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/blob"
	"github.com/rapporthq/rapport/internal/platform/check"
	"github.com/rapporthq/rapport/internal/platform/event"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/page"
	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/internal/platform/stream"
)

// Service keeps the transcripts.
type Service struct {
	db       *pgxpool.Pool
	log      *slog.Logger
	sessions *session.Service
	files    blob.Store
	events   stream.Stream
	outbox   *event.Outbox
}

// NewService returns a Service over db that keeps larger files in files and tells events, and other systems, what it does. Which files could not
// be read goes to log.
func NewService(db *pgxpool.Pool, log *slog.Logger, sessions *session.Service, files blob.Store, events stream.Stream, outbox *event.Outbox) *Service {
	return &Service{db: db, log: log, sessions: sessions, files: files, events: events, outbox: outbox}
}

// ByIDs returns those of the transcripts that the viewer may see.
func (s *Service) ByIDs(ctx context.Context, ids []id.UUID) (map[id.UUID]*Transcript, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.ByIDs(ctx, s.db, v, transcripts, scope(v, "t.org_id"), ids)
}

// Get returns one transcript, or NotFound.
func (s *Service) Get(ctx context.Context, key ID) (*Transcript, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.Get(ctx, s.db, v, transcripts, scope(v, "t.org_id"), key.UUID, "transcript")
}

// CurrentOf returns that transcript of each session which counts (Counts), by session; where the viewer may see none it is
// missing.
func (s *Service) CurrentOf(ctx context.Context, sessions []id.UUID) (map[id.UUID]*Transcript, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	var counts page.Filter
	counts.And(Counts(v, "t.session_id", "t.id"))
	rows, err := page.AllChildren(ctx, s.db, v, transcripts, scope(v, "t.org_id"), counts, latestFirst, "t.session_id", sessions, page.MaxSize)
	if err != nil {
		return nil, err
	}
	found := make(map[id.UUID]*Transcript, len(rows))
	for _, row := range rows {
		for _, t := range row {
			found[t.SessionID.UUID] = t
		}
	}
	return found, nil
}

// OfSessions returns a page of each session's transcripts that are not archived, latest first, in the order of the sessions.
func (s *Service) OfSessions(ctx context.Context, sessions []id.UUID, w page.Window) ([]*page.Connection[Transcript], error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.Children(ctx, s.db, v, transcripts, scope(v, "t.org_id"), notArchived(), latestFirst, w, "t.session_id", sessions)
}

// CountOfSessions counts what OfSessions pages through.
func (s *Service) CountOfSessions(ctx context.Context, sessions []id.UUID) ([]int, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.CountChildren(ctx, s.db, v, transcripts, scope(v, "t.org_id"), notArchived(), "t.session_id", sessions)
}

func notArchived() (w page.Filter) {
	w.And("t.archived_at IS NULL")
	return w
}

// Speakers returns who speaks in each transcript, in their order, without those who were merged into others.
func (s *Service) Speakers(ctx context.Context, transcripts []id.UUID) ([][]*Speaker, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	var present page.Filter
	present.And("sp.merged_into IS NULL")
	return page.AllChildren(ctx, s.db, v, speakers, scope(v, "sp.org_id"), present, speakersInOrder, "sp.transcript_id", transcripts, maxSpeakers)
}

// SpeakersByIDs returns those of the speakers that the viewer may see.
func (s *Service) SpeakersByIDs(ctx context.Context, ids []id.UUID) (map[id.UUID]*Speaker, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.ByIDs(ctx, s.db, v, speakers, scope(v, "sp.org_id"), ids)
}

// Utterances returns a page of each transcript's utterances, in the order of the transcripts.
func (s *Service) Utterances(ctx context.Context, transcripts []id.UUID, w page.Window) ([]*page.Connection[Utterance], error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	found, err := page.Children(ctx, s.db, v, utterances, scope(v, "u.org_id"), page.Filter{}, utterancesInOrder, w, "u.transcript_id", transcripts)
	for _, p := range found {
		for _, u := range p.Nodes() {
			u.shown(ctx, v)
		}
	}
	return found, err
}

// CountUtterances counts what Utterances pages through.
func (s *Service) CountUtterances(ctx context.Context, transcripts []id.UUID) ([]int, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.CountChildren(ctx, s.db, v, utterances, scope(v, "u.org_id"), page.Filter{}, "u.transcript_id", transcripts)
}

// UtterancesByIDs returns those of the utterances that the viewer may see.
func (s *Service) UtterancesByIDs(ctx context.Context, ids []id.UUID) (map[id.UUID]*Utterance, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	found, err := page.ByIDs(ctx, s.db, v, utterances, scope(v, "u.org_id"), ids)
	for _, u := range found {
		u.shown(ctx, v)
	}
	return found, err
}

const (
	maxSpeakers = 100 // that a transcript shows as a list, by first words; each utterance knows its own
	MaxSpan     = 20  // utterances of a citation
)

// UtterancesIn returns the utterances of each span that the viewer may see, in the order of the spans.
func (s *Service) UtterancesIn(ctx context.Context, spans []Span) ([][]*Utterance, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	parents, within := inSpans(spans)
	found, err := page.AllChildren(ctx, s.db, v, utterances, scope(v, "u.org_id"), within, utterancesInOrder, "u.transcript_id", parents, MaxSpan)
	for _, span := range found {
		for _, u := range span {
			u.shown(ctx, v)
		}
	}
	return found, err
}

// Place is where an utterance stands. It has no words: nobody is shown any by it.
type Place struct {
	auth.Grants
	ID           UtteranceID
	TranscriptID ID
	Index        int // from 0
}

// Places returns where the utterances of the ids stand that the viewer may see; the others are missing from the map.
func (s *Service) Places(ctx context.Context, ids []id.UUID) (map[id.UUID]*Place, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.ByIDs(ctx, s.db, v, places, scope(v, "u.org_id"), ids)
}

// PlacesIn returns where the longest utterances of each span stand that the viewer may see, the longest first and at most most, in the order of the spans.
func (s *Service) PlacesIn(ctx context.Context, spans []Span, most int) ([][]*Place, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	parents, within := inSpans(spans)
	return page.AllChildren(ctx, s.db, v, places, scope(v, "u.org_id"), within, longestFirst, "u.transcript_id", parents, min(most, MaxSpan))
}

// inSpans are the transcripts of spans, and the condition that an utterance of the k-th is within its span.
func inSpans(spans []Span) (parents []id.UUID, within page.Filter) {
	n := len(spans)
	parents, first, last := make([]id.UUID, n), make([]int, n), make([]int, n)
	for i, span := range spans {
		parents[i], first[i], last[i] = span.TranscriptID.UUID, span.First, span.Last
	}
	within.And("u.index BETWEEN (?::int[])[k.ord] AND (?::int[])[k.ord]", first, last)
	return parents, within
}

func (u *Utterance) shown(ctx context.Context, v auth.Viewer) {
	Shown(ctx, v, u.TranscriptID, u.clientID, "utterances")
}

// Shown has it written down that a viewer is shown what was said in a transcript, in one of its forms. Every read that brings
// words of a conversation to somebody calls it, in whichever domain.
func Shown(ctx context.Context, v auth.Viewer, key ID, client id.UUID, what string) {
	audit.Read(ctx, v, audit.Entry{Action: "transcript.read", Kind: "transcript", ID: key.UUID, ClientID: client, Fields: []string{what}})
}

// Update changes a transcript. That it is shared with its client, or no longer, is an event.
func (s *Service) Update(ctx context.Context, in UpdateInput) (_ *Transcript, err error) {
	v, err := s.mine(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "transcript.Update(%s)", in.ID)
	var problems check.Input
	var title, language *string
	if in.Title != nil {
		title = problems.LineOrNil("title", *in.Title, 200)
	}
	if in.Language != nil {
		language = problems.LanguageOrNil("language", *in.Language)
	}
	shared := check.NotNull(&problems, "sharedWithClient", in.SharedWithClient)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		ref, _, err := s.Hold(ctx, tx, v.Org, in.ID)
		if err != nil {
			return err
		}
		var changed bool // who sees it
		err = tx.QueryRow(ctx, `
			WITH before AS (SELECT shared_with_client FROM transcripts WHERE org_id = $1 AND id = $2)
			UPDATE transcripts t SET
				title = CASE WHEN $3 THEN $4 ELSE title END,
				language = CASE WHEN $5 THEN $6 ELSE language END,
				shared_with_client = coalesce($7, t.shared_with_client),
				updated_at = now()
			FROM before WHERE org_id = $1 AND id = $2
			RETURNING t.shared_with_client <> before.shared_with_client`,
			v.Org, in.ID, in.Title != nil, title, in.Language != nil, language, shared).Scan(&changed)
		if err != nil {
			return err
		}
		if err := audit.Record(ctx, tx, v, entry("transcript.update", in.ID, ref, audit.Given(in)...)); err != nil || !changed {
			return err
		}
		return s.publishState(ctx, tx, ref, in.ID)
	})
	if err != nil {
		return nil, err
	}
	return s.Get(ctx, in.ID)
}

// Archive archives a transcript or brings one back, which is an event. Doing it twice is doing it once.
func (s *Service) Archive(ctx context.Context, in ArchiveInput) (_ *Transcript, err error) {
	v, err := s.mine(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "transcript.Archive(%s)", in.ID)
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		ref, _, err := s.Hold(ctx, tx, v.Org, in.ID)
		if err != nil {
			return err
		}
		return s.archive(ctx, tx, v, ref, in.ID, in.Archived)
	})
	if err != nil {
		return nil, err
	}
	return s.Get(ctx, in.ID)
}

func (s *Service) archive(ctx context.Context, tx pgx.Tx, v auth.Viewer, ref session.Ref, key ID, archived bool) error {
	tag, err := tx.Exec(ctx, `
		UPDATE transcripts SET archived_at = CASE WHEN $3 THEN now() END, updated_at = now()
		WHERE org_id = $1 AND id = $2 AND (archived_at IS NOT NULL) <> $3`, v.Org, key, archived)
	if err != nil || tag.RowsAffected() == 0 {
		return err
	}
	if err := audit.Record(ctx, tx, v, entry("transcript.archive", key, ref, "archivedAt")); err != nil {
		return err
	}
	return s.publishState(ctx, tx, ref, key)
}

// entry is a line of the audit trail about a transcript.
func entry(action string, key ID, of session.Ref, fields ...string) audit.Entry {
	return audit.Entry{Action: action, Kind: "transcript", ID: key.UUID, ClientID: of.ClientID.UUID, Fields: fields}
}

// mine checks that the viewer may change a transcript.
func (s *Service) mine(ctx context.Context, key ID) (auth.Viewer, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return v, err
	}
	t, err := s.Get(ctx, key)
	if err != nil {
		return v, err
	}
	if !t.Any(auth.AsCoach) {
		return v, fault.Forbidden("only the coach can change a transcript")
	}
	return v, nil
}

// Findable returns the transcripts in which the viewer may look for what was said, and the viewer's organization: of each session that passes the
// filter, nil for all, the one that counts, if what was said in it may be analysed.
func (s *Service) Findable(ctx context.Context, within *session.Filter) (_ []ID, organization id.UUID, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, organization, err
	}
	where := within.Where(v)
	where.And(string(session.ToAnalyse))
	where.And(Counts(v, "s.id", "t.id"))
	ids, err := page.IDs(ctx, s.db, v, transcripts, scope(v, "t.org_id"), where)
	keys := make([]ID, len(ids))
	for i, key := range ids {
		keys[i] = ID{key}
	}
	return keys, v.Org, err
}

// The rest is for the domains above, which act for the system and not for a viewer.

// Content is what was said, as the measures and the analyser read it: corrected, and with the roles that count.
type Content struct {
	ID            ID
	Session       session.Ref
	Status        Status
	Language      string
	On            time.Time // the day of the session where the coach is, as midnight UTC
	Speakers      []conversation.Speaker
	Ordinals      []int // of the speakers: a merged one leaves a gap
	SpeakerIDs    []SpeakerID
	Utterances    []conversation.Utterance
	UtteranceIDs  []UtteranceID
	Cues          [][]format.Cue // of each utterance
	RolesOpen     bool           // who is who is not known well enough for what rests on it
	NeedsSpeakers bool           // who is who is to be asked; roles that nobody is sure of are UNKNOWN here
}

// Done is the state that a transcript of this content is in when all that can be done is done.
func (c *Content) Done() Status {
	if c.NeedsSpeakers {
		return NeedsSpeakers
	}
	return Ready
}

// Read reads what was said in a transcript, or NotFound.
func (s *Service) Read(ctx context.Context, organization id.UUID, key ID) (_ *Content, err error) {
	return read(ctx, s.db, organization, key)
}

func read(ctx context.Context, db postgres.DB, organization id.UUID, key ID) (_ *Content, err error) {
	defer fault.Wrap(&err, "transcript.Read(%s)", key)
	c := &Content{ID: key}
	var language *string
	var ask bool
	err = db.QueryRow(ctx, `
		SELECT t.status, t.language, (s.starts_at AT TIME ZONE u.time_zone)::date, s.org_id, s.id, s.client_id, s.coach_id, o.speaker_roles = 'ASK'
		FROM transcripts t JOIN sessions s ON s.org_id = t.org_id AND s.id = t.session_id JOIN users u ON u.id = s.coach_id
		JOIN organizations o ON o.id = t.org_id
		WHERE t.org_id = $1 AND t.id = $2`, organization, key).
		Scan(&c.Status, &language, &c.On, &c.Session.Org, &c.Session.ID, &c.Session.ClientID, &c.Session.CoachID, &ask)
	if err == pgx.ErrNoRows {
		return nil, fault.NotFound("transcript")
	} else if err != nil {
		return nil, err
	}
	if language != nil {
		c.Language = *language
	}
	all, err := voices(ctx, db, c.Session, key)
	if err != nil {
		return nil, err
	}
	if c.Utterances, c.UtteranceIDs, c.Cues, err = spoken(ctx, db, organization, key, all); err != nil {
		return nil, err
	}
	sure := make([]bool, len(all))
	for i, v := range all {
		if sure[i] = v.sure(); ask && !sure[i] {
			v.Role = conversation.RoleUnknown
		}
		c.Speakers, c.Ordinals, c.SpeakerIDs = append(c.Speakers, v.Speaker), append(c.Ordinals, v.ordinal), append(c.SpeakerIDs, v.id)
	}
	c.RolesOpen = !conversation.RolesSettled(c.Speakers, sure, c.Utterances)
	c.NeedsSpeakers = ask && c.RolesOpen
	return c, nil
}

// Hold locks a transcript until the transaction ends, and says whose it is and where it stands; NotFound if it was erased.
// A transaction that changes a transcript, or the runs that analyse it, and tells of it begins with this: if all lock
// transcript, run and topics in this order, none waits for another in a circle.
func (s *Service) Hold(ctx context.Context, tx pgx.Tx, organization id.UUID, key ID) (ref session.Ref, status Status, err error) {
	err = tx.QueryRow(ctx, `
		SELECT t.status, s.org_id, s.id, s.client_id, s.coach_id
		FROM transcripts t JOIN sessions s ON s.org_id = t.org_id AND s.id = t.session_id
		WHERE t.org_id = $1 AND t.id = $2 FOR NO KEY UPDATE OF t`, organization, key).
		Scan(&status, &ref.Org, &ref.ID, &ref.ClientID, &ref.CoachID)
	if err == pgx.ErrNoRows {
		err = fault.NotFound("transcript")
	}
	return ref, status, err
}

// Advance moves a transcript from one of the given states to another, in the caller's transaction, and says so on the
// stream. It reports false, and does nothing, if the transcript is in none of them.
func (s *Service) Advance(ctx context.Context, tx pgx.Tx, ref session.Ref, key ID, to Status, from ...Status) (bool, error) {
	return s.advance(ctx, tx, ref, key, to, nil, from)
}

// Fail records why a transcript could not be finished.
func (s *Service) Fail(ctx context.Context, tx pgx.Tx, ref session.Ref, key ID, why Failure) (bool, error) {
	return s.fail(ctx, tx, ref, key, why, Uploading, Uploaded, Parsing, Parsed, Analyzing, NeedsSpeakers, Ready)
}

func (s *Service) fail(ctx context.Context, tx pgx.Tx, ref session.Ref, key ID, why Failure, from ...Status) (bool, error) {
	moved, err := s.advance(ctx, tx, ref, key, Failed, &why, from)
	if err != nil || !moved {
		return false, err
	}
	return true, audit.RecordSystem(ctx, tx, ref.Org, entry("transcript.fail", key, ref))
}

func (s *Service) advance(ctx context.Context, tx pgx.Tx, ref session.Ref, key ID, to Status, why *Failure, from []Status) (bool, error) {
	var code, message *string
	if why != nil {
		code, message = &why.Code, &why.Message
	}
	tag, err := tx.Exec(ctx, `
		UPDATE transcripts SET status = $3, failure_code = $4, failure_message = $5, updated_at = now()
		WHERE org_id = $1 AND id = $2 AND status = ANY($6)`, ref.Org, key, to, code, message, from)
	if err != nil || tag.RowsAffected() == 0 {
		return false, err
	}
	if what := becoming[to]; what != "" {
		e := news(what, ref, key)
		if why != nil {
			e.Data["code"] = why.Code
		}
		if err := s.outbox.Add(ctx, tx, ref.Org, e); err != nil {
			return false, err
		}
	}
	if to == Ready || to == NeedsSpeakers {
		if err := jobs.Enqueue(ctx, tx, jobs.Job{Org: ref.Org, Kind: JobEmbed, Entity: key.UUID}); err != nil {
			return false, err
		}
	}
	return true, s.publishState(ctx, tx, ref, key)
}

// becoming is what other systems are told of a transcript that comes into a state. On its way there they need not know where it is.
var becoming = map[Status]string{Ready: "transcript.ready", NeedsSpeakers: "transcript.needs_speakers", Failed: "transcript.failed"}

func news(what string, ref session.Ref, key ID) event.News {
	return event.News{Type: what, Subject: key, Data: event.Data{"transcriptId": key, "sessionId": ref.ID, "clientId": ref.ClientID, "coachId": ref.CoachID}}
}
