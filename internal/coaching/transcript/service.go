package transcript

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/coaching/conversation"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/transcript/format"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/blob"
	"github.com/rapporthq/rapport/internal/platform/check"
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
	sessions *session.Service
	files    blob.Store
	events   stream.Stream
}

// NewService returns a Service over db that keeps larger files in files and tells events what it does.
func NewService(db *pgxpool.Pool, sessions *session.Service, files blob.Store, events stream.Stream) *Service {
	return &Service{db: db, sessions: sessions, files: files, events: events}
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

// OfSessions returns a page of each session's transcripts that are not archived, latest first, in the order of the sessions.
func (s *Service) OfSessions(ctx context.Context, sessions []id.UUID, w page.Window) ([]*page.Connection[Transcript], error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.Children(ctx, s.db, v, transcripts, scope(v, "t.org_id"), current(), latestFirst, w, "t.session_id", sessions)
}

// CountOfSessions counts what OfSessions pages through.
func (s *Service) CountOfSessions(ctx context.Context, sessions []id.UUID) ([]int, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.CountChildren(ctx, s.db, v, transcripts, scope(v, "t.org_id"), current(), "t.session_id", sessions)
}

func current() (w page.Filter) {
	w.And("t.archived_at IS NULL")
	return w
}

// Speakers returns who speaks in each transcript, in the order of first words.
func (s *Service) Speakers(ctx context.Context, transcripts []id.UUID) ([][]*Speaker, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.AllChildren(ctx, s.db, v, speakers, scope(v, "sp.org_id"), page.Filter{}, speakersInOrder, "sp.transcript_id", transcripts)
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
	return page.Children(ctx, s.db, v, utterances, scope(v, "u.org_id"), page.Filter{}, utterancesInOrder, w, "u.transcript_id", transcripts)
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
	return page.ByIDs(ctx, s.db, v, utterances, scope(v, "u.org_id"), ids)
}

// UtterancesIn returns the utterances of each span that the viewer may see, in the order of the spans.
func (s *Service) UtterancesIn(ctx context.Context, spans []Span) ([][]*Utterance, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	n := len(spans)
	parents, first, last := make([]id.UUID, n), make([]int, n), make([]int, n)
	for i, span := range spans {
		parents[i], first[i], last[i] = span.TranscriptID.UUID, span.First, span.Last
	}
	var within page.Filter
	within.And("u.index BETWEEN (?::int[])[k.ord] AND (?::int[])[k.ord]", first, last)
	return page.AllChildren(ctx, s.db, v, utterances, scope(v, "u.org_id"), within, utterancesInOrder, "u.transcript_id", parents)
}

// Update changes a transcript.
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
	if _, err := s.db.Exec(ctx, `
		UPDATE transcripts SET
			title = CASE WHEN $3 THEN $4 ELSE title END,
			language = CASE WHEN $5 THEN $6 ELSE language END,
			shared_with_client = coalesce($7, shared_with_client),
			updated_at = now()
		WHERE org_id = $1 AND id = $2`,
		v.Org, in.ID, in.Title != nil, title, in.Language != nil, language, shared); err != nil {
		return nil, err
	}
	return s.Get(ctx, in.ID)
}

// Archive archives a transcript or brings one back. Doing it twice is doing it once.
func (s *Service) Archive(ctx context.Context, in ArchiveInput) (_ *Transcript, err error) {
	v, err := s.mine(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "transcript.Archive(%s)", in.ID)
	if _, err := s.db.Exec(ctx, `
		UPDATE transcripts SET archived_at = CASE WHEN $3 THEN coalesce(archived_at, now()) END, updated_at = now()
		WHERE org_id = $1 AND id = $2 AND (archived_at IS NOT NULL) <> $3`, v.Org, in.ID, in.Archived); err != nil {
		return nil, err
	}
	return s.Get(ctx, in.ID)
}

// RenameSpeaker changes the name a speaker is shown by. Measures and insights do not depend on it.
func (s *Service) RenameSpeaker(ctx context.Context, in RenameSpeakerInput) (_ *Speaker, err error) {
	v, _, err := s.mySpeaker(ctx, in.SpeakerID)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "transcript.RenameSpeaker(%s)", in.SpeakerID)
	var problems check.Input
	name := problems.Line("displayName", in.DisplayName, 200)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	if _, err := s.db.Exec(ctx, `UPDATE speakers SET display_name = $3 WHERE org_id = $1 AND id = $2`, v.Org, in.SpeakerID, name); err != nil {
		return nil, err
	}
	return s.speaker(ctx, in.SpeakerID)
}

// SetSpeakerRole records a person's word on what a speaker is; measures and insights are taken anew.
func (s *Service) SetSpeakerRole(ctx context.Context, in SetSpeakerRoleInput) (_ *Speaker, err error) {
	v, speaker, err := s.mySpeaker(ctx, in.SpeakerID)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "transcript.SetSpeakerRole(%s)", in.SpeakerID)
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		ref, _, err := s.Hold(ctx, tx, v.Org, speaker.TranscriptID)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
			UPDATE speakers SET role = $3, role_confidence = NULL, role_reason = NULL, role_set_by = $4
			WHERE org_id = $1 AND id = $2`, v.Org, in.SpeakerID, in.Role, v.User); err != nil {
			return err
		}
		if err := jobs.Enqueue(ctx, tx, jobs.Job{Org: v.Org, Kind: JobAnalyse, Entity: speaker.TranscriptID.UUID}); err != nil {
			return err
		}
		_, err = s.Advance(ctx, tx, ref, speaker.TranscriptID, Analyzing, Ready, Failed) // what was READY is so no longer
		return err
	})
	if err != nil {
		return nil, err
	}
	return s.speaker(ctx, in.SpeakerID)
}

func (s *Service) speaker(ctx context.Context, key SpeakerID) (*Speaker, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.Get(ctx, s.db, v, speakers, scope(v, "sp.org_id"), key.UUID, "speaker")
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

func (s *Service) mySpeaker(ctx context.Context, key SpeakerID) (auth.Viewer, *Speaker, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return v, nil, err
	}
	sp, err := s.speaker(ctx, key)
	if err != nil {
		return v, nil, err
	}
	if !sp.Any(auth.AsCoach) {
		return v, nil, fault.Forbidden("only the coach can change a speaker")
	}
	return v, sp, nil
}

// The rest is for the domains above, which act for the system and not for a viewer.

// Content is what was said, as the measures and the analyser read it.
type Content struct {
	ID         ID
	Session    session.Ref
	Status     Status
	Language   string
	SessionMs  *int64 // nil: the recording's own span counts
	Speakers   []conversation.Speaker
	Utterances []conversation.Utterance
	Cues       [][]format.Cue // of each utterance
}

// Read reads what was said in a transcript, or NotFound.
func (s *Service) Read(ctx context.Context, organization id.UUID, key ID) (_ *Content, err error) {
	defer fault.Wrap(&err, "transcript.Read(%s)", key)
	c := &Content{ID: key}
	var language *string
	err = s.db.QueryRow(ctx, `
		SELECT t.status, t.language, s.org_id, s.id, s.client_id, s.coach_id
		FROM transcripts t JOIN sessions s ON s.org_id = t.org_id AND s.id = t.session_id
		WHERE t.org_id = $1 AND t.id = $2`, organization, key).
		Scan(&c.Status, &language, &c.Session.Org, &c.Session.ID, &c.Session.ClientID, &c.Session.CoachID)
	if err == pgx.ErrNoRows {
		return nil, fault.NotFound("transcript")
	} else if err != nil {
		return nil, err
	}
	if language != nil {
		c.Language = *language
	}
	rows, err := s.db.Query(ctx, `
		SELECT display_name, role FROM speakers WHERE org_id = $1 AND transcript_id = $2 ORDER BY ordinal`, organization, key)
	if err != nil {
		return nil, err
	}
	if c.Speakers, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (sp conversation.Speaker, err error) {
		return sp, row.Scan(&sp.Name, &sp.Role)
	}); err != nil {
		return nil, err
	}
	rows, err = s.db.Query(ctx, `
		SELECT sp.ordinal, u.start_ms, u.end_ms, u.text, u.cues
		FROM utterances u JOIN speakers sp ON sp.org_id = u.org_id AND sp.id = u.speaker_id
		WHERE u.org_id = $1 AND u.transcript_id = $2 ORDER BY u.index`, organization, key)
	if err != nil {
		return nil, err
	}
	var cues []format.Cue
	var u conversation.Utterance
	_, err = pgx.ForEachRow(rows, []any{&u.Speaker, &u.StartMs, &u.EndMs, &u.Text, &cues}, func() error {
		c.Utterances = append(c.Utterances, u)
		c.Cues = append(c.Cues, slices.Clone(cues))
		u, cues = conversation.Utterance{}, nil
		return nil
	})
	return c, err
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
	return s.advance(ctx, tx, ref, key, Failed, &why, []Status{Uploading, Uploaded, Parsing, Parsed, Analyzing, Ready})
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
	return true, s.publishState(ctx, tx, ref, key)
}
