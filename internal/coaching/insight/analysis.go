package insight

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/coaching/coding"
	"github.com/rapporthq/rapport/internal/coaching/conversation"
	"github.com/rapporthq/rapport/internal/coaching/notice"
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/event"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// Analyse handles transcript.JobAnalyse: it measures a transcript and looks for insights in it.
//
// It may be repeated at any point: a run is identified by what it reads and what reads it, an insight by the words it
// rests on. A run that finds its input already analysed does nothing; one interrupted half-way goes on, and what it has
// found before is not found twice. When a new run ends, what only older runs have found is retracted, unless a person
// has reviewed it. If the job dies, AnalyseDied is to be told.
func (s *Service) Analyse(ctx context.Context, job jobs.Job) (err error) {
	key := transcript.ID{UUID: job.Entity}
	defer fault.Wrap(&err, "insight.Analyse(%s)", key)
	for err = errOtherRoles; errors.Is(err, errOtherRoles); {
		err = s.analyse(ctx, job, key)
	}
	return err
}

// analyse does it once: errOtherRoles says that it is to be done again, with roles that it has found.
func (s *Service) analyse(ctx context.Context, job jobs.Job, key transcript.ID) error {
	content, err := s.transcripts.Read(ctx, job.Org, key)
	if fault.KindOf(err) == fault.KindNotFound {
		return nil // erased since
	} else if err != nil {
		return err
	}
	run, err := s.begin(ctx, content)
	if errors.Is(err, errWithdrawn) {
		return s.Forget(ctx, job.Org, key)
	}
	if err != nil || run == nil {
		return err
	}
	if err := run.work(ctx); err != nil {
		switch {
		case errors.Is(err, errSuperseded):
			return nil
		case errors.Is(err, errOtherRoles):
			return err
		}
		return run.interrupted(ctx, job, err)
	}
	return run.finish(ctx)
}

// errSuperseded says that another run has taken over, or that there must not be one any more.
var errSuperseded = errors.New("superseded by another run")

// errOtherRoles says that who is who has turned out to be otherwise than this run reads it.
var errOtherRoles = errors.New("other roles")

// errWithdrawn says that somebody in the session has not consented to analysis.
var errWithdrawn = errors.New("without consent to analysis")

// permitted checks the consents of those in the session, and keeps them from changing until the transaction ends: who withdraws one waits for what
// this transaction writes, and then has it removed. So nothing that rests on a consent is written behind its withdrawal's back.
func permitted(ctx context.Context, tx pgx.Tx, ref session.Ref) error {
	var given bool
	err := tx.QueryRow(ctx, `SELECT `+string(session.ToAnalyse)+` FROM sessions s WHERE s.org_id = $1 AND s.id = $2 FOR SHARE`, ref.Org, ref.ID).Scan(&given)
	if err == nil && !given {
		err = errWithdrawn
	}
	return err
}

// run is an analysis at work.
type run struct {
	*Service
	id        RunID
	content   *transcript.Content
	aiEnabled bool
	hidden    []string // the names that the analyser is not to see; nil if it may see all
	rejected  int      // proposals whose quotes are not in the transcript
	ordinal   int
	points    []digestPoint
	skills    []digestSkill
}

// begin opens the run, or takes up an interrupted one, and stores the measures. It returns nil if there is nothing to do.
func (s *Service) begin(ctx context.Context, content *transcript.Content) (*run, error) {
	r := &run{Service: s, content: content}
	ref := content.Session
	var done bool
	err := postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		done = false
		if err := permitted(ctx, tx, ref); err != nil {
			return err
		}
		if _, _, err := s.transcripts.Hold(ctx, tx, ref.Org, content.ID); err != nil {
			return err
		}
		var sees org.ModelSees
		if err := tx.QueryRow(ctx, `SELECT ai_enabled, model_sees FROM organizations WHERE id = $1`, ref.Org).Scan(&r.aiEnabled, &sees); err != nil {
			return err
		}
		r.hidden = nil
		if sees == org.SeesPlaceholders && s.analyser.Engine().Model != "" {
			var err error
			if r.hidden, err = r.namesToHide(ctx, tx); err != nil {
				return fmt.Errorf("names: %w", err)
			}
		}
		hash, err := r.inputHash()
		if err != nil {
			return err
		}
		engine := s.analyser.Engine()
		var before *RunStatus
		if err := tx.QueryRow(ctx, `
			WITH before AS (SELECT status FROM analysis_runs WHERE org_id = $2 AND transcript_id = $3 AND input_hash = $9)
			INSERT INTO analysis_runs (id, org_id, transcript_id, session_id, status, engine, engine_version, model, prompt_version, input_hash)
			VALUES ($1, $2, $3, $4, 'RUNNING', $5, $6, nullif($7, ''), nullif($8, ''), $9)
			ON CONFLICT (org_id, transcript_id, input_hash) DO UPDATE SET
				status = CASE WHEN analysis_runs.status = 'SUCCEEDED' THEN 'SUCCEEDED' ELSE 'RUNNING' END,
				created_at = CASE WHEN analysis_runs.status IN ('SUCCEEDED', 'RUNNING') THEN analysis_runs.created_at ELSE now() END,
				finished_at = CASE WHEN analysis_runs.status = 'SUCCEEDED' THEN analysis_runs.finished_at END,
				error_code = NULL
			RETURNING id, (SELECT status FROM before)`,
			id.New(), ref.Org, content.ID, ref.ID, engine.Name, engine.Version, engine.Model, engine.PromptVersion, hash).
			Scan(&r.id, &before); err != nil {
			return fmt.Errorf("open run: %w", err)
		}
		if before != nil && *before == Succeeded {
			done = true
			_, err := s.transcripts.Advance(ctx, tx, ref, content.ID, content.Done(), transcript.Analyzing, transcript.Failed)
			return err
		}
		if _, err := tx.Exec(ctx, `
			UPDATE analysis_runs SET status = 'SUPERSEDED', finished_at = coalesce(finished_at, now()), waiting_for = NULL, resumes_at = NULL
			WHERE org_id = $1 AND transcript_id = $2 AND id <> $3 AND status IN ('RUNNING', 'SUCCEEDED')`, ref.Org, content.ID, r.id); err != nil {
			return err
		}
		if err := r.storeMetrics(ctx, tx); err != nil {
			return err
		}
		corrected, err := r.compareQuotes(ctx, tx)
		if err != nil {
			return err
		}
		if _, err := s.transcripts.Advance(ctx, tx, ref, content.ID, transcript.Analyzing,
			transcript.Parsed, transcript.NeedsSpeakers, transcript.Ready, transcript.Failed); err != nil {
			return err
		}
		for _, key := range corrected {
			if err := s.publish(ctx, tx, ref, eventRevised, subject{Insight: &key}); err != nil {
				return err
			}
		}
		if before != nil && *before == Running {
			return nil // taken up again: its beginning has been told
		}
		return s.publish(ctx, tx, ref, eventProgressed, subject{Run: &r.id})
	})
	if done {
		return nil, err
	}
	return r, err
}

// inputHash covers all that the result depends on.
func (r *run) inputHash() ([]byte, error) {
	input, err := json.Marshal(struct {
		Engine     Engine
		Metrics    int
		Coding     int
		AIEnabled  bool
		Hidden     []string `json:",omitempty"`
		Language   string
		On         time.Time
		Speakers   []conversation.Speaker
		Utterances []conversation.Utterance
	}{
		r.analyser.Engine(), conversation.DefinitionVersion, coding.Version, r.aiEnabled, r.hidden, r.content.Language, r.content.On,
		r.content.Speakers, r.content.Utterances,
	})
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(input)
	return sum[:], nil
}

func (r *run) storeMetrics(ctx context.Context, tx pgx.Tx) error {
	said := conversation.Talk{
		Speakers: r.content.Speakers, Utterances: r.content.Utterances, Language: r.content.Language,
	}
	codes := coding.Apply(said.Speakers, said.Utterances)
	said.Reflects = func(u int) (reflects, judged bool) {
		return codes[u].Code == coding.Reflection, said.Speakers[said.Utterances[u].Speaker].Role == conversation.RoleCoach
	}
	m := conversation.Measure(said)
	for i := range m.Speakers {
		m.Speakers[i].Speaker = r.content.Ordinals[m.Speakers[i].Speaker] // which stays theirs when another is merged away
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO session_metrics (id, org_id, transcript_id, session_id, run_id, definition_version, measures)
		VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (org_id, transcript_id) DO UPDATE SET
			run_id = excluded.run_id, definition_version = excluded.definition_version, measures = excluded.measures, created_at = now()`,
		id.New(), r.content.Session.Org, r.content.ID, r.content.Session.ID, r.id, m.DefinitionVersion, m)
	if err != nil {
		return fmt.Errorf("store metrics: %w", err)
	}
	return nil
}

// compareQuotes notes of every citation of the transcript whether its quote still stands there as it is, and returns the
// reviewed insights for which that has changed. The others will be found anew, or not.
func (r *run) compareQuotes(ctx context.Context, tx pgx.Tx) ([]ID, error) {
	org := r.content.Session.Org
	rows, err := tx.Query(ctx, `SELECT id, quote, first_index, last_index, words_changed FROM citations WHERE org_id = $1 AND transcript_id = $2`,
		org, r.content.ID)
	if err != nil {
		return nil, err
	}
	var turned []CitationID
	var key CitationID
	var q Quote
	var was bool
	if _, err := pgx.ForEachRow(rows, []any{&key, &q.Text, &q.First, &q.Last, &was}, func() error {
		if _, stands := find(r.content, q); stands == was {
			turned = append(turned, key)
		}
		return nil
	}); err != nil || turned == nil {
		return nil, err
	}
	rows, err = tx.Query(ctx, `
		WITH turned AS (UPDATE citations SET words_changed = NOT words_changed WHERE org_id = $1 AND id = ANY($2) RETURNING insight_id)
		SELECT id FROM insights WHERE org_id = $1 AND id IN (SELECT insight_id FROM turned) AND status <> 'PROPOSED' AND retracted_at IS NULL
		ORDER BY id`, org, turned)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[ID])
}

// work looks for insights and keeps each as it is found.
func (r *run) work(ctx context.Context) error {
	if !r.aiEnabled {
		return nil
	}
	c, to := Conversation{
		Language:   r.content.Language,
		On:         r.content.On,
		Speakers:   r.content.Speakers,
		Utterances: r.content.Utterances,
		RolesOpen:  r.content.RolesOpen,
	}, Report(report{ctx, r})
	if r.hidden != nil {
		c, to = disguise(c, to, r.hidden)
	}
	return r.analyser.Analyse(ctx, c, to)
}

// report takes in what the analyser proposes. What cites words that nobody said is refused.
type report struct {
	ctx context.Context
	*run
}

// Roles implements Report. What rests on roles that nobody is asked about is read anew with these.
func (r report) Roles(all []RoleProposal) error {
	proposed := make([]conversation.RoleSuggestion, len(all))
	for i, p := range all {
		proposed[i] = conversation.RoleSuggestion{Speaker: p.Speaker, Role: p.Role, Confidence: p.Confidence}
	}
	var changed bool
	err := postgres.InTx(r.ctx, r.db, func(tx pgx.Tx) error {
		if err := permitted(r.ctx, tx, r.content.Session); err != nil {
			return err
		}
		if _, _, err := r.transcripts.Hold(r.ctx, tx, r.content.Session.Org, r.content.ID); err != nil {
			return err
		}
		if err := r.holdRunning(r.ctx, tx); err != nil {
			return err
		}
		var err error
		changed, err = r.transcripts.ProposeRoles(r.ctx, tx, r.content, proposed)
		return err
	})
	switch {
	case errors.Is(err, errWithdrawn) || fault.KindOf(err) == fault.KindNotFound:
		return errSuperseded
	case err == nil && changed && !r.content.NeedsSpeakers:
		return errOtherRoles
	}
	return err
}

// Insight implements Report.
func (r report) Insight(f Finding) error { return r.keep(r.ctx, f) }

// Codes implements Report.
func (r report) Codes(codes []Code) error { return r.keepCodes(r.ctx, codes) }

// Point implements Report.
func (r report) Point(p Point) error {
	if quotes, ok := r.verify(p.Citations); ok && p.Text != "" {
		r.points = append(r.points, digestPoint{Heading: p.Heading, Text: p.Text, Quotes: stored(quotes)})
	}
	return nil
}

// Evidence implements Report.
func (r report) Evidence(e Evidence) error {
	skill := digestSkill{Skill: e.Skill, Level: e.Level, Paragraph: e.Paragraph, Quotes: []digestQuote{}}
	if e.Level == Observed {
		quotes, ok := r.verify(e.Citations)
		if !ok {
			return nil
		}
		skill.Quotes = stored(quotes)
	}
	r.skills = append(r.skills, skill)
	return nil
}

// verify finds the words that a proposal cites. It is false, and the proposal counted as rejected, if it cites nothing or
// any words that are not there.
func (r *run) verify(citations []Quote) ([]found, bool) {
	citations = citations[:min(len(citations), maxCitations)] // more would prove no more
	quotes := make([]found, len(citations))
	for i, q := range citations {
		var ok bool
		if quotes[i], ok = find(r.content, q); !ok {
			r.rejected++
			return nil, false
		}
	}
	if len(quotes) == 0 {
		r.rejected++
		return nil, false
	}
	return quotes, true
}

// finish closes the run: what it did not find again is retracted, and the transcript is READY, or asks who is who.
func (r *run) finish(ctx context.Context) error {
	org, ref := r.content.Session.Org, r.content.Session
	err := postgres.InTx(ctx, r.db, func(tx pgx.Tx) error {
		if err := permitted(ctx, tx, ref); err != nil { // the session before the transcript, as everybody
			return err
		}
		if _, _, err := r.transcripts.Hold(ctx, tx, org, r.content.ID); err != nil {
			return err
		}
		if err := r.holdRunning(ctx, tx); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `
			UPDATE insights SET retracted_at = now()
			WHERE org_id = $1 AND transcript_id = $2 AND run_id <> $3 AND status = 'PROPOSED' AND retracted_at IS NULL
			RETURNING id, kind`, org, r.content.ID, r.id)
		if err != nil {
			return err
		}
		retracted, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*Insight, error) {
			i := &Insight{TranscriptID: r.content.ID}
			return i, row.Scan(&i.ID, &i.Kind)
		})
		if err != nil {
			return err
		}
		var gone []event.News
		for _, i := range retracted {
			gone = append(gone, i.news("insight.retracted")...)
		}
		if err := r.announce(ctx, tx, ref, gone...); err != nil {
			return err
		}
		for _, i := range retracted {
			if err := r.publish(ctx, tx, ref, eventRetracted, subject{Insight: &i.ID}); err != nil {
				return err
			}
		}
		if err := r.storeDigest(ctx, tx); err != nil {
			return fmt.Errorf("store digest: %w", err)
		}
		if _, err := tx.Exec(ctx, `
			UPDATE analysis_runs SET status = 'SUCCEEDED', finished_at = now(), rejected_count = $3, waiting_for = NULL, resumes_at = NULL,
				insight_count = (SELECT count(*) FROM insights WHERE org_id = $1 AND run_id = $2)
			WHERE org_id = $1 AND id = $2`, org, r.id, r.rejected); err != nil {
			return err
		}
		if err := r.publish(ctx, tx, ref, eventProgressed, subject{Run: &r.id}); err != nil {
			return err
		}
		if err := audit.RecordSystem(ctx, tx, org, r.id.entry("analysis.succeed", ref)); err != nil {
			return err
		}
		moved, err := r.transcripts.Advance(ctx, tx, ref, r.content.ID, r.content.Done(), transcript.Analyzing)
		if err != nil || !moved || r.content.Done() != transcript.Ready {
			return err
		}
		// Once for each transcript: who corrects it and has it analysed anew is waiting for it.
		return notice.Notify(ctx, tx, notice.Event{
			Org: ref.Org, Type: notice.InsightsReady, Recipients: []id.UUID{ref.CoachID.UUID},
			Subject: "session", SubjectID: ref.ID.UUID, SessionID: ref.ID.UUID, ClientID: ref.ClientID.UUID, Key: r.content.ID.String(),
		})
	})
	if errors.Is(err, errSuperseded) || errors.Is(err, errWithdrawn) || fault.KindOf(err) == fault.KindNotFound {
		return nil
	}
	return err
}

// AnalyseDied tells that an analysis will not come, its job being dead; for jobs.OnDead. It reads nothing of what was said: that
// may be what no process survives. The cause is in the log and on the dead job.
func (s *Service) AnalyseDied(ctx context.Context, tx pgx.Tx, job jobs.Job) (err error) {
	key := transcript.ID{UUID: job.Entity}
	defer fault.Wrap(&err, "insight.AnalyseDied(%s)", key)
	ref, status, err := s.transcripts.Hold(ctx, tx, job.Org, key)
	if fault.KindOf(err) == fault.KindNotFound {
		return nil // erased since
	} else if err != nil {
		return err
	}
	if status != transcript.Parsed && status != transcript.Analyzing {
		return nil // all was done, only nobody lived to say so
	}
	code := codeFailed // also where no run has begun
	rows, err := tx.Query(ctx, `
		UPDATE analysis_runs SET status = 'FAILED', finished_at = now(), error_code = coalesce(error_code, $3), waiting_for = NULL, resumes_at = NULL
		WHERE org_id = $1 AND transcript_id = $2 AND status = 'RUNNING' RETURNING id, error_code`, job.Org, key, codeFailed)
	if err != nil {
		return err
	}
	var failed []RunID
	var run RunID
	if _, err := pgx.ForEachRow(rows, []any{&run, &code}, func() error { failed = append(failed, run); return nil }); err != nil {
		return err
	}
	for _, run := range failed {
		if err := s.publish(ctx, tx, ref, eventProgressed, subject{Run: &run}); err != nil {
			return err
		}
		if err := audit.RecordSystem(ctx, tx, job.Org, run.entry("analysis.fail", ref)); err != nil {
			return err
		}
	}
	_, err = s.transcripts.Fail(ctx, tx, ref, key, transcript.Failure{Code: code, Message: said[code]})
	return err
}

func (i RunID) entry(action string, of session.Ref) audit.Entry {
	return audit.Entry{Action: action, Kind: "analysis", ID: i.UUID, ClientID: of.ClientID.UUID}
}

// holdRunning locks the run's row, so that no other run can take over before the transaction ends, and no consent be withdrawn.
func (r *run) holdRunning(ctx context.Context, tx pgx.Tx) error {
	if err := permitted(ctx, tx, r.content.Session); errors.Is(err, errWithdrawn) {
		return errSuperseded
	} else if err != nil {
		return err
	}
	var status RunStatus
	if err := tx.QueryRow(ctx, `SELECT status FROM analysis_runs WHERE org_id = $1 AND id = $2 FOR UPDATE`,
		r.content.Session.Org, r.id).Scan(&status); err == pgx.ErrNoRows {
		return errSuperseded // removed meanwhile
	} else if err != nil {
		return err
	}
	if status != Running {
		return errSuperseded
	}
	return nil
}
