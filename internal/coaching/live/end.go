package live

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/coaching/consent"
	"github.com/rapporthq/rapport/internal/coaching/conversation"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/coaching/transcript/format"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// End makes a transcript of what was said, which goes the way of every transcript. What was provisional is the best that is known, and is kept
// too. To end what has ended is to end it once.
func (s *Service) End(ctx context.Context, in EndInput) (_ *Session, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "live.End(%s)", in.SessionID)
	if _, err := s.mine(ctx, in.SessionID); err != nil {
		return nil, err
	}
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		if err := hold(ctx, tx, v.Org, in.SessionID); err != nil {
			return err
		}
		l, err := lockLatest(ctx, tx, v.Org, in.SessionID)
		if errors.Is(err, pgx.ErrNoRows) {
			return fault.Conflict("nobody listens to the session").WithCode(CodeNone)
		}
		if err != nil || l.Status == Ended {
			return err
		}
		if err := session.RequireConsent(ctx, tx, v.Org, in.SessionID, consent.Transcription, "sessionId"); err != nil {
			return err
		}
		return s.endFor(ctx, tx, v, l)
	})
	if err != nil {
		return nil, err
	}
	return s.latest(ctx, in.SessionID)
}

// sessionEnds is a session.Ending: what listens to a session ends with it, as by End. Where a consent is missing, what was said waits for it, and
// nothing is taken any more.
func (s *Service) sessionEnds(ctx context.Context, tx pgx.Tx, v auth.Viewer, of *session.Session) error {
	if err := hold(ctx, tx, v.Org, of.ID); err != nil {
		return err
	}
	l, err := lockLatest(ctx, tx, v.Org, of.ID)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && l.Status == Ended {
		return nil
	} else if err != nil {
		return err
	}
	switch err := session.RequireConsent(ctx, tx, v.Org, of.ID, consent.Transcription, "sessionId"); {
	case fault.KindOf(err) == fault.KindInvalid:
		if _, err := tx.Exec(ctx, `UPDATE live_sessions SET waits = true WHERE org_id = $1 AND id = $2`, v.Org, l.ID); err != nil {
			return err
		}
		return jobs.Enqueue(ctx, tx, jobs.Job{Org: v.Org, Kind: JobWatch, Entity: l.ID.UUID, RunAt: time.Now().Add(soon)})
	case err != nil:
		return err
	}
	return s.endFor(ctx, tx, v, l)
}

// endWaiting ends what has waited for a consent since its session was over, so that another live session begins without its words.
func (s *Service) endWaiting(ctx context.Context, tx pgx.Tx, v auth.Viewer, of session.ID) error {
	l, err := lockLatest(ctx, tx, v.Org, of)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && (l.Status == Ended || !l.waits) {
		return nil
	} else if err != nil {
		return err
	}
	return s.endFor(ctx, tx, v, l)
}

// endFor is end in the name of whoever ends it, or the session.
func (s *Service) endFor(ctx context.Context, tx pgx.Tx, v auth.Viewer, l *row) error {
	if err := audit.Record(ctx, tx, v, entry("live.end", l.ID, l.ref.ClientID, "status")); err != nil {
		return err
	}
	return s.end(ctx, tx, l, ByCoach)
}

// hold locks the session's row, before the live session's: a transcript needs it.
func hold(ctx context.Context, tx pgx.Tx, organization id.UUID, key session.ID) error {
	_, err := tx.Exec(ctx, `SELECT FROM sessions WHERE org_id = $1 AND id = $2 FOR UPDATE`, organization, key)
	return err
}

// end writes the end down, and the transcript, in the name of who started it.
func (s *Service) end(ctx context.Context, tx pgx.Tx, l *row, why EndReason) error {
	if err := s.settle(ctx, tx, l); err != nil {
		return err
	}
	all, err := said(ctx, tx, l.ref.Org, l.ID, "true")
	if err != nil {
		return err
	}
	doc, known := l.document(all)
	var made *transcript.ID
	if len(doc.Utterances) > 0 {
		key, err := s.transcripts.Take(ctx, tx, auth.Viewer{Org: l.ref.Org, User: l.by.UUID}, l.ref, doc, known, l.SharedWithClient)
		if err != nil {
			return err
		}
		made = &key
	}
	if _, err := tx.Exec(ctx, `
		UPDATE live_sessions SET status = 'ENDED', end_reason = $3, ended_at = clock_timestamp(), paused_at = NULL, transcript_id = $4, revision = $5, measures = $6
		WHERE org_id = $1 AND id = $2`, l.ref.Org, l.ID, why, made, l.Revision, l.measured(all)); err != nil {
		return err
	}
	return s.publish(ctx, tx, l.ref, eventState, "", what{Live: l.ID})
}

// settle makes final what is provisional.
func (s *Service) settle(ctx context.Context, tx pgx.Tx, l *row) error {
	settled, err := tx.Exec(ctx, `
		UPDATE live_utterances u SET final = true, revision = $3 + n.place
		FROM (SELECT id, row_number() OVER (ORDER BY start_ms, ordinal) AS place FROM live_utterances WHERE org_id = $1 AND live_session_id = $2 AND NOT final) n
		WHERE u.org_id = $1 AND u.id = n.id`, l.ref.Org, l.ID, l.Revision)
	if err != nil || settled.RowsAffected() == 0 {
		return err
	}
	from := l.Revision + 1
	l.Revision += settled.RowsAffected()
	return s.publish(ctx, tx, l.ref, eventSaid, "", what{Live: l.ID, From: from, To: l.Revision})
}

// document is what was said as a file would say it, and the roles that were given for its speakers.
func (l *row) document(all []*Utterance) (*format.Document, map[string]conversation.Role) {
	doc := &format.Document{}
	if l.Language != nil {
		doc.Language = *l.Language
	}
	known := map[string]conversation.Role{}
	for _, sp := range l.Speakers {
		doc.Speakers = append(doc.Speakers, sp.Label)
		if sp.Given {
			known[sp.Label] = sp.Role
		}
	}
	for _, u := range all {
		if u.Text == "" {
			continue
		}
		speaker := -1
		if u.Speaker != nil {
			speaker = l.place(*u.Speaker)
		}
		doc.Utterances = append(doc.Utterances, format.Utterance{Speaker: speaker, StartMs: &u.StartMs, EndMs: &u.EndMs, Text: u.Text})
	}
	return doc, known
}

// Watch handles JobWatch: it ends a live session of whose source nothing was heard for long. One whose words may not become a transcript, for
// somebody has come in who was not asked, waits for the consent for a day.
func (s *Service) Watch(ctx context.Context, job jobs.Job) (err error) {
	key := ID{job.Entity}
	defer fault.Wrap(&err, "live.Watch(%s)", key)
	var again time.Duration
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		again = 0
		var of session.ID
		err := tx.QueryRow(ctx, `SELECT session_id FROM live_sessions WHERE org_id = $1 AND id = $2`, job.Org, key).Scan(&of)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		} else if err != nil {
			return err
		}
		if err := hold(ctx, tx, job.Org, of); err != nil {
			return err
		}
		l, err := lock(ctx, tx, job.Org, key)
		if err != nil || l.Status == Ended {
			return err
		}
		limit, waiting, why := patience, patience, SourceLost
		switch {
		case l.waits:
			limit, waiting, why = 0, soon, ByCoach
		case l.Status == Paused:
			limit = pausable
		}
		silent := l.now.Sub(l.HeardAt)
		if again = limit - silent; again > 0 {
			return nil
		}
		switch err := session.RequireConsent(ctx, tx, job.Org, of, consent.Transcription, "sessionId"); {
		case fault.KindOf(err) == fault.KindInvalid && silent < kept:
			again = waiting
			return nil
		case fault.KindOf(err) == fault.KindInvalid:
			return s.drop(ctx, tx, l)
		case err != nil:
			return err
		}
		if err := audit.RecordSystem(ctx, tx, job.Org, entry("live.end", l.ID, l.ref.ClientID, "status")); err != nil {
			return err
		}
		return s.end(ctx, tx, l, why)
	})
	if err == nil && again > 0 {
		return jobs.Snooze(again)
	}
	return err
}

// consentWithdrawn is a consent.Withdrawal: it ends live sessions whose words may not become a transcript any more, and removes what there is of
// them, so that nothing of it is there again when the consent is.
func (s *Service) consentWithdrawn(ctx context.Context, tx pgx.Tx, organization, subject id.UUID, scopes []consent.Scope) error {
	for _, step := range []struct {
		scope consent.Scope
		do    func(context.Context, pgx.Tx, id.UUID, session.ID) error
	}{{consent.AIAnalysis, forget}, {consent.Transcription, s.stop}} {
		if !slices.Contains(scopes, step.scope) {
			continue
		}
		rows, err := tx.Query(ctx, `
			SELECT DISTINCT p.session_id FROM participants p JOIN live_sessions l ON l.org_id = $1 AND l.session_id = p.session_id
			WHERE p.org_id = $1 AND (p.id = $2 OR p.client_id = $2) AND p.role <> 'COACH' AND NOT $3 = ANY(p.consents)
				AND (l.status <> 'ENDED' OR l.ended_at > now() - $4::interval) ORDER BY p.session_id`, organization, subject, step.scope, 2*kept)
		if err != nil {
			return err
		}
		of, err := pgx.CollectRows(rows, pgx.RowTo[session.ID])
		if err != nil {
			return err
		}
		for _, key := range of {
			if err := step.do(ctx, tx, organization, key); err != nil {
				return err
			}
		}
	}
	return nil
}

// Stop ends what listens to a session in which somebody has taken the consent to a transcript back, and removes all words that are here; for the
// domains above. What there is none of is no error.
func (s *Service) Stop(ctx context.Context, organization id.UUID, of session.ID) (err error) {
	defer fault.Wrap(&err, "live.Stop(%s)", of)
	return postgres.InTx(ctx, s.db, func(tx pgx.Tx) error { return s.stop(ctx, tx, organization, of) })
}

func (s *Service) stop(ctx context.Context, tx pgx.Tx, organization id.UUID, of session.ID) error {
	if err := hold(ctx, tx, organization, of); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `DELETE FROM live_nudges n USING live_sessions l WHERE n.org_id = $1 AND l.org_id = $1 AND l.id = n.live_session_id AND l.session_id = $2`,
		organization, of); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `DELETE FROM live_utterances u USING live_sessions l WHERE u.org_id = $1 AND l.org_id = $1 AND l.id = u.live_session_id AND l.session_id = $2`,
		organization, of); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `UPDATE live_sessions SET speakers = '[]', measures = NULL WHERE org_id = $1 AND session_id = $2 AND status = 'ENDED'`, organization, of); err != nil {
		return err
	}
	l, err := lockLatest(ctx, tx, organization, of)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && l.Status == Ended {
		return nil
	} else if err != nil {
		return err
	}
	return s.drop(ctx, tx, l)
}

// Forget removes what was derived from the words of a session in which somebody has taken the consent to analysis back; for the domains above.
func (s *Service) Forget(ctx context.Context, organization id.UUID, of session.ID) error {
	return postgres.InTx(ctx, s.db, func(tx pgx.Tx) error { return forget(ctx, tx, organization, of) })
}

func forget(ctx context.Context, tx pgx.Tx, organization id.UUID, of session.ID) error {
	if _, err := tx.Exec(ctx, `UPDATE live_sessions SET measures = NULL WHERE org_id = $1 AND session_id = $2 AND measures IS NOT NULL`, organization, of); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `DELETE FROM live_nudges n USING live_sessions l WHERE n.org_id = $1 AND l.org_id = $1 AND l.id = n.live_session_id AND l.session_id = $2`, organization, of)
	return err
}

// drop ends a live session without a transcript.
func (s *Service) drop(ctx context.Context, tx pgx.Tx, l *row) error {
	if _, err := tx.Exec(ctx, `DELETE FROM live_nudges WHERE org_id = $1 AND live_session_id = $2`, l.ref.Org, l.ID); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `DELETE FROM live_utterances WHERE org_id = $1 AND live_session_id = $2`, l.ref.Org, l.ID); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `
		UPDATE live_sessions SET status = 'ENDED', end_reason = 'CONSENT_WITHDRAWN', ended_at = clock_timestamp(), paused_at = NULL, speakers = '[]', size = 0, measures = NULL
		WHERE org_id = $1 AND id = $2`, l.ref.Org, l.ID); err != nil {
		return err
	}
	if err := audit.RecordSystem(ctx, tx, l.ref.Org, entry("live.end", l.ID, l.ref.ClientID, "status", "utterances")); err != nil {
		return err
	}
	return s.publish(ctx, tx, l.ref, eventState, "", what{Live: l.ID})
}

// Prune removes the words of live sessions that ended a day ago, here where they are beside a transcript, and returns how many utterances
// those were.
func (s *Service) Prune(ctx context.Context) (removed int64, err error) {
	defer fault.Wrap(&err, "live.Prune")
	if _, err := s.db.Exec(ctx, `
		UPDATE live_sessions SET measures = NULL, speakers = '[]'
		WHERE status = 'ENDED' AND ended_at < now() - $1::interval AND (measures IS NOT NULL OR speakers <> '[]')`, kept); err != nil {
		return 0, err
	}
	if _, err := s.db.Exec(ctx, `
		DELETE FROM live_nudges n USING live_sessions l
		WHERE l.org_id = n.org_id AND l.id = n.live_session_id AND l.status = 'ENDED' AND l.ended_at < now() - $1::interval`, kept); err != nil {
		return 0, err
	}
	tag, err := s.db.Exec(ctx, `
		DELETE FROM live_utterances u USING live_sessions l
		WHERE l.org_id = u.org_id AND l.id = u.live_session_id AND l.status = 'ENDED' AND l.ended_at < now() - $1::interval`, kept)
	return tag.RowsAffected(), err
}
