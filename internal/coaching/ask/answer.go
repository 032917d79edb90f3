package ask

import (
	"context"
	"errors"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/llm"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// JobAnswer is the kind of job that answers a question. Its entity is the message.
const JobAnswer = "ask.answer"

// tries is how often an answer is begun that fails for no reason that passes: somebody waits for it.
const tries = 3

func job(organization id.UUID, key MessageID) jobs.Job {
	return jobs.Job{Org: organization, Kind: JobAnswer, Entity: key.UUID, MaxAttempts: tries}
}

// errSuperseded says that another answer to the same question was begun, or that nobody asks any more.
var errSuperseded = errors.New("superseded by another answer")

// errChanged says that something may no longer be read from which the answer was to be made.
var errChanged = errors.New("what is answered from has changed")

// Answer handles JobAnswer: it answers a question with its asker's eyes.
//
// It may be repeated at any point. Each time it begins anew: what is known of an answer that was interrupted goes, as does one that quotes what
// may no longer be read when it is about to be shown. If the job dies, Died is to be told.
func (s *Service) Answer(ctx context.Context, job jobs.Job) (err error) {
	key := MessageID{job.Entity}
	defer fault.Wrap(&err, "ask.Answer(%s)", key)
	for range tries {
		if err = s.answer(ctx, job, key); !errors.Is(err, errChanged) {
			return err
		}
	}
	return err
}

// answer does it once: errChanged says that it is to be done again.
func (s *Service) answer(ctx context.Context, job jobs.Job, key MessageID) error {
	r, err := s.begin(ctx, job.Org, key)
	if errors.Is(err, errSuperseded) {
		return nil
	} else if err != nil {
		return err
	}
	ctx = auth.WithViewer(ctx, r.asker)
	err = r.work(ctx)
	if errors.Is(err, errChanged) {
		return err
	}
	if err != nil {
		err = r.interrupted(ctx, job, err)
	} else {
		err = r.finish(ctx)
	}
	if errors.Is(err, errSuperseded) {
		return nil
	}
	return err
}

// run is an answer in the making.
type run struct {
	*Service
	key      MessageID
	thread   ThreadID
	asker    auth.Viewer
	scope    *Scope
	attempt  int
	question string
	earlier  []string
	disguise bool

	contents []*transcript.Content // of the passages, as quotes are looked up in them
	offsets  []int                 // where these begin in their transcripts
	sources  []id.UUID             // their transcripts
	dropped  int
	written  int
	degraded *string
}

// begin takes up a question: whatever was answered before goes.
func (s *Service) begin(ctx context.Context, organization id.UUID, key MessageID) (*run, error) {
	r := &run{Service: s, key: key, asker: auth.Viewer{Org: organization}}
	err := postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		var active, enabled bool
		var sees org.ModelSees
		scope := Scope{}
		err := tx.QueryRow(ctx, `
			SELECT t.id, t.owner_id, m.roles, m.status = 'ACTIVE', t.client_id, t.engagement_id, t.session_id, t.filter, q.question, o.ai_enabled, o.model_sees,
				(SELECT coalesce(array_agg(e.question ORDER BY e.ordinal), '{}') FROM ask_messages e WHERE e.org_id = $1 AND e.thread_id = t.id AND e.ordinal < q.ordinal)
			FROM ask_messages q JOIN ask_threads t ON t.org_id = $1 AND t.id = q.thread_id JOIN memberships m ON m.org_id = $1 AND m.user_id = t.owner_id
				JOIN organizations o ON o.id = $1
			WHERE q.org_id = $1 AND q.id = $2 AND q.status IN ('WAITING', 'ANSWERING') FOR UPDATE OF q`, organization, key).
			Scan(&r.thread, &r.asker.User, &r.asker.Roles, &active, &scope.ClientID, &scope.EngagementID, &scope.SessionID, &scope.stored, &r.question, &enabled, &sees, &r.earlier)
		if errors.Is(err, pgx.ErrNoRows) {
			return errSuperseded // deleted, or answered already
		} else if err != nil {
			return err
		}
		if r.scope = &scope; !active || !enabled {
			r.asker.Roles = nil // there is nothing for them to read
		}
		e := s.answerer.Engine()
		r.disguise = sees == org.SeesPlaceholders && e.Model != ""
		if err := tx.QueryRow(ctx, `
			UPDATE ask_messages SET status = 'ANSWERING', attempt = attempt + 1, insufficient = false, dropped = 0, degraded = NULL,
				engine = $3, engine_version = $4, model = nullif($5, ''), prompt_version = nullif($6, '')
			WHERE org_id = $1 AND id = $2 RETURNING attempt`, organization, key, e.Name, e.Version, e.Model, e.PromptVersion).Scan(&r.attempt); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM ask_answers WHERE org_id = $1 AND message_id = $2`, organization, key); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO ask_answers (org_id, message_id) VALUES ($1, $2)`, organization, key); err != nil {
			return err
		}
		return s.publish(ctx, tx, organization, r.thread, eventProgressed, subject{Message: key})
	})
	return r, err
}

// work finds what has to do with the question, and has it answered.
func (r *run) work(ctx context.Context) error {
	passages, err := r.gather(ctx)
	if err != nil || len(passages) == 0 {
		return err
	}
	q, to := Question{Text: r.question, Earlier: r.earlier, Passages: passages}, Report(report{ctx, r})
	if r.disguise {
		if q, to, err = r.disguised(ctx, q, to); err != nil {
			return err
		}
	}
	return r.answerer.Answer(ctx, q, to)
}

// report takes in what the answerer proposes.
type report struct {
	ctx context.Context
	*run
}

// Sentence implements Report. One that quotes what nobody said is dropped, and counted.
func (r report) Sentence(p Proposal) error {
	k, ok := r.verify(p)
	if !ok {
		r.dropped++
		return nil
	}
	if r.written == maxSentences {
		return nil
	}
	return r.keep(r.ctx, k)
}

const (
	maxSentences = 20
	maxCitations = 5 // of a sentence: more would prove no more
)

// quotation is what stands between quotation marks.
var quotation = regexp.MustCompile(`["“„«]([^"“”„«»]+)["”“»]`)

// verify looks up the words that a sentence cites, as those of an insight are, and what it gives as verbatim itself.
func (r *run) verify(p Proposal) (kept, bool) {
	k := kept{Text: strings.TrimSpace(p.Text)}
	p.Citations = p.Citations[:min(len(p.Citations), maxCitations)]
	for _, q := range p.Citations {
		if q.Passage < 0 || q.Passage >= len(r.contents) {
			return k, false
		}
		c := r.contents[q.Passage]
		found, ok := insight.Find(c, q.Quote)
		if !ok {
			return k, false
		}
		k.Quotes = append(k.Quotes, keptQuote{Transcript: c.ID, First: r.offsets[q.Passage] + found.First, Last: r.offsets[q.Passage] + found.Last,
			Text: found.Quote, StartMs: found.StartMs, EndMs: found.EndMs})
	}
	for _, said := range quotation.FindAllStringSubmatch(k.Text, -1) {
		if !slices.ContainsFunc(p.Citations, func(q Quote) bool {
			c := r.contents[q.Passage]
			return insight.Stands(c.Utterances, insight.Quote{Text: said[1], First: 0, Last: len(c.Utterances) - 1})
		}) {
			return k, false
		}
	}
	return k, k.Text != "" && len(k.Quotes) > 0
}

// keep stores a sentence and tells of it, if all that it quotes may be read at that moment: who withdraws a consent waits for this, and has it
// removed then.
func (r *run) keep(ctx context.Context, k kept) error {
	var quoted []id.UUID
	for _, q := range k.Quotes {
		quoted = append(quoted, q.Transcript.UUID)
	}
	return postgres.InTx(ctx, r.db, func(tx pgx.Tx) error {
		if err := r.permitted(ctx, tx, quoted); err != nil {
			return err
		}
		if err := r.hold(ctx, tx); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `UPDATE ask_answers SET sentences = sentences || $3::jsonb WHERE org_id = $1 AND message_id = $2`, r.asker.Org, r.key, []kept{k})
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return errChanged // removed, for something that it quoted was
		}
		if _, err := tx.Exec(ctx, `INSERT INTO ask_sources (org_id, message_id, transcript_id) SELECT DISTINCT $1::uuid, $2::uuid, t FROM unnest($3::uuid[]) AS t ON CONFLICT DO NOTHING`,
			r.asker.Org, r.key, quoted); err != nil {
			return err
		}
		if err := r.publish(ctx, tx, r.asker.Org, r.thread, eventSentence, subject{Message: r.key, Attempt: r.attempt, Index: r.written}); err != nil {
			return err
		}
		r.written++
		return nil
	})
}

// permitted checks that the asker may have words of the transcripts read out, and keeps that so until the transaction ends.
func (r *run) permitted(ctx context.Context, tx pgx.Tx, transcripts []id.UUID) error {
	transcripts = slices.Compact(slices.SortedFunc(slices.Values(transcripts), func(a, b id.UUID) int { return slices.Compare(a[:], b[:]) }))
	rows, err := tx.Query(ctx, `SELECT t.id FROM sessions s JOIN transcripts t ON t.org_id = $1 AND t.session_id = s.id
		WHERE s.org_id = $1 AND t.id = ANY($3) AND `+conversations(r.asker).Where()+` ORDER BY s.id, t.id FOR SHARE OF s FOR KEY SHARE OF t`, r.asker.Org, r.asker.User, transcripts)
	if err != nil {
		return err
	}
	readable, err := pgx.CollectRows(rows, pgx.RowTo[id.UUID])
	if err == nil && len(readable) < len(transcripts) {
		err = errChanged
	}
	return err
}

// hold locks the message, so that no other answer can be begun, nor the thread be deleted, before the transaction ends.
func (r *run) hold(ctx context.Context, tx pgx.Tx) error {
	var mine bool
	err := tx.QueryRow(ctx, `SELECT attempt = $3 AND status = 'ANSWERING' FROM ask_messages WHERE org_id = $1 AND id = $2 FOR UPDATE`, r.asker.Org, r.key, r.attempt).Scan(&mine)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && !mine {
		return errSuperseded
	}
	return err
}

// Ask implements Report: everything that is shown to the model may be read by the asker when it is sent.
func (r report) Ask(ctx context.Context, m llm.Model, q llm.Request, call func(llm.Call) error) error {
	var under id.UUID
	err := postgres.InTx(ctx, r.db, func(tx pgx.Tx) (err error) {
		if err := r.permitted(ctx, tx, r.run.sources); err != nil {
			return err
		}
		if err := r.hold(ctx, tx); err != nil {
			return err
		}
		under, err = r.limits.Open(ctx, tx, r.asker.Org, m.Name(), m.Estimate(q))
		return err
	})
	if err != nil {
		return err
	}
	used, failed := m.Answer(ctx, q, call)
	if err := r.limits.Book(ctx, r.db, r.asker.Org, under, m.Name(), used); err != nil {
		return errors.Join(failed, err)
	}
	r.dropped += used.Unreadable
	return failed
}

// finish closes the answer. One without a sentence says that there is no evidence.
func (r *run) finish(ctx context.Context) error {
	return r.close(ctx, "thread.answer", `status = 'ANSWERED', insufficient = $4`, r.written == 0)
}

// fail gives the answer up.
func (r *run) fail(ctx context.Context, code string) error {
	return r.close(ctx, "thread.fail", `status = 'FAILED', failure_code = $4`, code)
}

func (r *run) close(ctx context.Context, action, set string, value any) error {
	return postgres.InTx(ctx, r.db, func(tx pgx.Tx) error {
		if err := r.hold(ctx, tx); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE ask_messages SET `+set+`, dropped = $3, degraded = $5, finished_at = now() WHERE org_id = $1 AND id = $2`,
			r.asker.Org, r.key, r.dropped, value, r.degraded); err != nil {
			return err
		}
		if err := audit.RecordSystem(ctx, tx, r.asker.Org, audit.Entry{Action: action, Kind: "thread", ID: r.thread.UUID}); err != nil {
			return err
		}
		return r.publish(ctx, tx, r.asker.Org, r.thread, eventProgressed, subject{Message: r.key})
	})
}

// How long an answer waits for a service: somebody looks at the screen.
const (
	patience  = 2 * time.Minute
	leastWait = 3 * time.Second
)

// interrupted decides what becomes of an answer that could not go on. An error is the job's: it is tried again, or dies.
func (r *run) interrupted(ctx context.Context, job jobs.Job, err error) error {
	var waits *insight.Waits
	failed := llm.Failure(err)
	switch {
	case errors.As(err, &waits):
		if waits.For == insight.WaitsForSpending {
			return r.fail(ctx, codeSpent)
		}
		return r.wait(ctx, job, 0, codeUnavailable)
	case failed == nil:
		return err
	}
	switch failed.Kind {
	case llm.Unavailable:
		return r.wait(ctx, job, failed.After, codeUnavailable)
	case llm.Denied: // the key may be about to be replaced
		return r.wait(ctx, job, 0, codeDenied)
	case llm.Refused:
		return r.fail(ctx, codeRefused)
	}
	if job.Attempt < tries { // every attempt costs
		return err
	}
	return r.fail(ctx, codeUnreadable)
}

// wait has the job come back, unless that takes longer than anybody waits: then the code says why there is no answer.
func (r *run) wait(ctx context.Context, job jobs.Job, least time.Duration, code string) error {
	d := max(leastWait+rand.N(leastWait), least)
	if time.Since(job.CreatedAt)+d > patience {
		return r.fail(ctx, code)
	}
	if err := postgres.InTx(ctx, r.db, func(tx pgx.Tx) error {
		if err := r.hold(ctx, tx); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE ask_messages SET status = 'WAITING' WHERE org_id = $1 AND id = $2`, r.asker.Org, r.key); err != nil {
			return err
		}
		return r.publish(ctx, tx, r.asker.Org, r.thread, eventProgressed, subject{Message: r.key})
	}); err != nil {
		return err
	}
	return jobs.Snooze(d)
}

// Died tells that an answer will not come, its job being dead; for jobs.OnDead.
func (s *Service) Died(ctx context.Context, tx pgx.Tx, job jobs.Job) (err error) {
	key := MessageID{job.Entity}
	defer fault.Wrap(&err, "ask.Died(%s)", key)
	var thread ThreadID
	err = tx.QueryRow(ctx, `
		UPDATE ask_messages SET status = 'FAILED', failure_code = $3, finished_at = now()
		WHERE org_id = $1 AND id = $2 AND status IN ('WAITING', 'ANSWERING') RETURNING thread_id`, job.Org, key, codeFailed).Scan(&thread)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // deleted, or all was done and nobody lived to say so
	} else if err != nil {
		return err
	}
	if err := audit.RecordSystem(ctx, tx, job.Org, audit.Entry{Action: "thread.fail", Kind: "thread", ID: thread.UUID}); err != nil {
		return err
	}
	return s.publish(ctx, tx, job.Org, thread, eventProgressed, subject{Message: key})
}

// Why a question is not answered.
const (
	codeFailed      = "ASK_FAILED"
	codeUnavailable = "ASK_UNAVAILABLE"
	codeDenied      = "ASK_DENIED"
	codeRefused     = "ASK_REFUSED"
	codeUnreadable  = "ASK_UNREADABLE"
	codeSpent       = "ASK_SPENDING_LIMIT"
)

// said is what people are told of it.
var said = map[string]string{
	codeFailed:      "The question could not be answered. It can be tried again.",
	codeUnavailable: "The service that answers questions is busy or cannot be reached. The question can be tried again.",
	codeDenied:      "The service that answers questions does not take our requests: the key, the account or the model is not right, which whoever runs Rapport has to mend. The question can be tried again then.",
	codeRefused:     "The service that answers questions declined to answer this one.",
	codeUnreadable:  "The service that answers questions gave answers that could not be read. The question can be tried again.",
	codeSpent:       "The organization has spent what language models may cost in this month. The question can be tried again when there is more.",
}
