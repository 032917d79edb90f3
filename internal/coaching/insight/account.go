package insight

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/llm"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// Wait is what whoever asks a model waits for.
type Wait string

// What one may have to wait for. It goes on by itself.
const (
	WaitsForService  Wait = "SERVICE"        // the model's service is busy or down
	WaitsForAccess   Wait = "ACCESS"         // it does not take our requests: the key, the account or the model is not right
	WaitsForTurn     Wait = "TURN"           // as many of the organization's calls as may be are under way
	WaitsForSpending Wait = "SPENDING_LIMIT" // the organization's month is spent
)

// Waits says that a call may not be made now.
type Waits struct {
	For   Wait
	Until time.Time // when it can be made, as far as one can know
}

func (e *Waits) Error() string { return "waits for " + string(e.For) }

// Again is after what time to look again: limits may be raised before the month ends.
func (e *Waits) Again() time.Duration {
	d := max(time.Until(e.Until), 0)
	if e.For == WaitsForSpending {
		return min(d, mostWait)
	}
	return d
}

// Waiting says what is waited for after an error of a call, if that helps; nil if it does not. Whoever has waited for long, since that time, waits longer.
func Waiting(err error, since time.Time) *Waits {
	var waits *Waits
	if errors.As(err, &waits) {
		return waits
	}
	d := min(max(time.Since(since)/4, leastWait), mostWait)
	d = d/2 + rand.N(d) // so that what failed together is not tried together
	switch failed := llm.Failure(err); {
	case failed == nil:
		return nil
	case failed.Kind == llm.Unavailable:
		return &Waits{WaitsForService, time.Now().Add(max(d, failed.After))}
	case failed.Kind == llm.Denied:
		return &Waits{WaitsForAccess, time.Now().Add(d)}
	}
	return nil
}

// callLasts is more than a job may work: a call that is older was made by a process that is no more.
const callLasts = 20 * time.Minute

// Ask implements Report. A call is made on the organization's account, and for this transcript once: its answer is kept.
func (r report) Ask(ctx context.Context, m llm.Model, q llm.Request, call func(llm.Call) error) error {
	key, err := requestHash(m, q)
	if err != nil {
		return err
	}
	known, unreadable, err := r.recall(ctx, key)
	if err != nil {
		return err
	}
	if known != nil {
		r.rejected += unreadable
		for _, c := range known {
			if err := call(c); err != nil {
				return err
			}
		}
		return nil
	}
	under, err := r.admit(ctx, m, q)
	if err != nil {
		return err
	}
	answer := []llm.Call{}
	used, failed := m.Answer(ctx, q, func(c llm.Call) error {
		answer = append(answer, c)
		return call(c)
	})
	if err := r.book(ctx, under, m, used); err != nil {
		return errors.Join(failed, err)
	}
	r.rejected += used.Unreadable
	if failed != nil {
		return failed
	}
	return r.remember(ctx, key, answer, used.Unreadable)
}

func requestHash(m llm.Model, q llm.Request) ([]byte, error) {
	whole, err := json.Marshal(struct {
		Model string
		llm.Request
	}{m.Name(), q})
	sum := sha256.Sum256(whole)
	return sum[:], err
}

// recall is the answer that was given before, nil if there is none.
func (r *run) recall(ctx context.Context, key []byte) (calls []llm.Call, unreadable int, err error) {
	err = r.db.QueryRow(ctx, `SELECT calls, unreadable FROM model_answers WHERE org_id = $1 AND transcript_id = $2 AND request_hash = $3`,
		r.content.Session.Org, r.content.ID, key).Scan(&calls, &unreadable)
	if err == pgx.ErrNoRows {
		err = nil
	}
	return calls, unreadable, err
}

// remember keeps an answer.
func (r *run) remember(ctx context.Context, key []byte, calls []llm.Call, unreadable int) error {
	return postgres.InTx(ctx, r.db, func(tx pgx.Tx) error {
		if err := r.holdRunning(ctx, tx); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			INSERT INTO model_answers (org_id, transcript_id, request_hash, calls, unreadable) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT DO NOTHING`, r.content.Session.Org, r.content.ID, key, calls, unreadable)
		return err
	})
}

// admit opens a call on the organization's account, if everybody still consents and it is this run's to make.
func (r *run) admit(ctx context.Context, m llm.Model, q llm.Request) (call id.UUID, err error) {
	err = postgres.InTx(ctx, r.db, func(tx pgx.Tx) error {
		if err := r.holdRunning(ctx, tx); err != nil {
			return err
		}
		if call, err = r.limits.Open(ctx, tx, r.content.Session.Org, m.Name(), m.Estimate(q)); err != nil {
			return err
		}
		return r.goesOn(ctx, tx)
	})
	return call, err
}

// Open opens a call of a model on an organization's account, in the caller's transaction, if the limits allow the most that it can use; if not, it is a
// *Waits. What is under way counts with that most, so that calls at the same time cannot overrun the limit together. Whatever becomes of the call, it is
// closed with Close or Book.
func (l Limits) Open(ctx context.Context, tx pgx.Tx, org id.UUID, model string, most llm.Usage) (call id.UUID, err error) {
	var owners *int64
	if err := tx.QueryRow(ctx, `SELECT model_monthly_limit_micros FROM organizations WHERE id = $1 FOR NO KEY UPDATE`, org).Scan(&owners); err != nil {
		return call, err
	}
	if _, err := tx.Exec(ctx, `
		WITH lost AS (DELETE FROM model_calls WHERE org_id = $1 AND expires_at < now() RETURNING *)
		INSERT INTO model_spending AS s (org_id, month, model, calls, input_tokens, output_tokens, cost_micros)
		SELECT org_id, `+thisMonth+`, model, count(*), sum(input_tokens), sum(output_tokens), sum(cost_micros) FROM lost GROUP BY org_id, model
		ON CONFLICT (org_id, month, model) DO UPDATE SET `+addUp, org); err != nil {
		return call, err
	}
	var under int
	var spent int64
	if err := tx.QueryRow(ctx, `
		SELECT count(*) FILTER (WHERE model = $2), coalesce(sum(cost_micros), 0)::bigint
			+ coalesce((SELECT sum(cost_micros) FROM model_spending WHERE org_id = $1 AND month = `+thisMonth+`), 0)::bigint
		FROM model_calls WHERE org_id = $1`, org, model).Scan(&under, &spent); err != nil {
		return call, err
	}
	now := time.Now().UTC()
	if monthly := l.monthly(owners); monthly != nil && spent+most.CostMicros > *monthly {
		return call, &Waits{WaitsForSpending, time.Date(now.Year(), now.Month()+1, 1, 0, 0, 0, 0, time.UTC)}
	}
	if l.Calls > 0 && under >= l.Calls {
		return call, &Waits{WaitsForTurn, now.Add(5*time.Second + rand.N(25*time.Second))}
	}
	call = id.New()
	_, err = tx.Exec(ctx, `
		INSERT INTO model_calls (id, org_id, model, input_tokens, output_tokens, cost_micros, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, now() + $7::interval)`,
		call, org, model, most.InputTokens, most.OutputTokens, most.CostMicros, callLasts)
	return call, err
}

// Close closes a call with what it has cost, in the caller's transaction.
func (Limits) Close(ctx context.Context, tx pgx.Tx, org, call id.UUID, model string, used llm.Usage) error {
	if _, err := tx.Exec(ctx, `DELETE FROM model_calls WHERE org_id = $1 AND id = $2`, org, call); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO model_spending AS s (org_id, month, model, calls, input_tokens, output_tokens, cost_micros)
		VALUES ($1, `+thisMonth+`, $2, 1, $3, $4, $5) ON CONFLICT (org_id, month, model) DO UPDATE SET `+addUp,
		org, model, used.InputTokens, used.OutputTokens, used.CostMicros)
	return err
}

// Book closes a call with what it has cost, in a transaction of its own, also if whoever made it is to end.
func (l Limits) Book(ctx context.Context, db *pgxpool.Pool, org, call id.UUID, model string, used llm.Usage) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return postgres.InTx(ctx, db, func(tx pgx.Tx) error { return l.Close(ctx, tx, org, call, model, used) })
}

const (
	thisMonth = `date_trunc('month', now() AT TIME ZONE 'UTC')::date`
	addUp     = `calls = s.calls + excluded.calls, input_tokens = s.input_tokens + excluded.input_tokens,
		output_tokens = s.output_tokens + excluded.output_tokens, cost_micros = s.cost_micros + excluded.cost_micros`
)

// book closes a call with what it has cost, whatever became of it: also if the job is to end, and if the run is gone meanwhile.
func (r *run) book(ctx context.Context, call id.UUID, m llm.Model, used llm.Usage) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	org := r.content.Session.Org
	err := postgres.InTx(ctx, r.db, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `
			UPDATE analysis_runs SET input_tokens = input_tokens + $3, output_tokens = output_tokens + $4, cost_micros = cost_micros + $5
			WHERE org_id = $1 AND id = $2`, org, r.id, used.InputTokens, used.OutputTokens, used.CostMicros); err != nil {
			return err
		}
		return r.limits.Close(ctx, tx, org, call, m.Name(), used)
	})
	if err != nil {
		return fmt.Errorf("book a call: %w", err)
	}
	return nil
}

// goesOn says of a run that waited that it goes on. The run's row is locked.
func (r *run) goesOn(ctx context.Context, tx pgx.Tx) error {
	tag, err := tx.Exec(ctx, `
		UPDATE analysis_runs SET waiting_for = NULL, resumes_at = NULL WHERE org_id = $1 AND id = $2 AND waiting_for IS NOT NULL`,
		r.content.Session.Org, r.id)
	if err != nil || tag.RowsAffected() == 0 {
		return err
	}
	return r.publish(ctx, tx, r.content.Session, eventProgressed, subject{Run: &r.id})
}

// How long a job waits before it tries again, and for how long in all.
const (
	leastWait = 15 * time.Second
	mostWait  = 15 * time.Minute // for a service, and between two looks at what is left of a month
	givesUp   = 24 * time.Hour   // after which a service is not waited for any more
)

// interrupted decides what becomes of a run that could not go on because of the model. What it has found so far stays, what it has
// paid for is kept, and it can be taken up: by its job, or when somebody asks for it.
func (r *run) interrupted(ctx context.Context, job jobs.Job, err error) error {
	failed, old := llm.Failure(err), time.Since(job.CreatedAt) > givesUp
	switch waits := Waiting(err, job.CreatedAt); {
	case waits != nil && waits.For == WaitsForService && old:
		return r.blame(ctx, err, codeUnavailable)
	case waits != nil && waits.For == WaitsForAccess && old:
		return r.blame(ctx, err, codeDenied)
	case waits != nil:
		return r.wait(ctx, waits)
	case failed == nil:
		return err
	case failed.Kind == llm.Refused:
		return r.blame(ctx, err, codeRefused)
	}
	if job.Attempt < 3 { // every attempt costs
		return err
	}
	return r.blame(ctx, err, codeUnreadable)
}

// wait says what the run waits for, and has its job come back. To wait is no attempt.
func (r *run) wait(ctx context.Context, what *Waits) error {
	err := postgres.InTx(ctx, r.db, func(tx pgx.Tx) error {
		if err := r.holdRunning(ctx, tx); err != nil {
			return err
		}
		var changed bool
		if err := tx.QueryRow(ctx, `
			UPDATE analysis_runs r SET waiting_for = $3, resumes_at = $4 FROM analysis_runs before
			WHERE r.org_id = $1 AND r.id = $2 AND before.id = r.id RETURNING before.waiting_for IS DISTINCT FROM $3`,
			r.content.Session.Org, r.id, what.For, what.Until).Scan(&changed); err != nil || !changed {
			return err
		}
		return r.publish(ctx, tx, r.content.Session, eventProgressed, subject{Run: &r.id})
	})
	if errors.Is(err, errSuperseded) {
		return nil
	} else if err != nil {
		return err
	}
	return jobs.Snooze(what.Again())
}

// Why an analysis is given up, beside codeFailed, which is anything else.
const (
	codeFailed      = "ANALYSIS_FAILED"
	codeUnavailable = "ANALYSIS_UNAVAILABLE"
	codeDenied      = "ANALYSIS_DENIED"
	codeRefused     = "ANALYSIS_REFUSED"
	codeUnreadable  = "ANALYSIS_UNREADABLE"
)

// said is what people are told of it.
var said = map[string]string{
	codeFailed:      "The transcript could be read but not analysed. What was said is all there; the analysis can be tried again.",
	codeUnavailable: "The service that analyses conversations could not be reached for a day. What was said is all there; the analysis can be tried again.",
	codeDenied:      "The service that analyses conversations has not taken our requests for a day: the key, the account or the model is not right, which whoever runs Rapport has to mend. What was said is all there; the analysis can be tried again then.",
	codeRefused:     "The service that analyses conversations declined to analyse this one, or a part of it. What was said is all there, and so is what was found.",
	codeUnreadable:  "The service that analyses conversations gave answers that could not be read. What was said is all there; the analysis can be tried again.",
}

// blame notes why the run is given up, for AnalyseDied to find, and ends its job.
func (r *run) blame(ctx context.Context, why error, code string) error {
	if _, err := r.db.Exec(ctx, `UPDATE analysis_runs SET error_code = $3 WHERE org_id = $1 AND id = $2 AND status = 'RUNNING'`,
		r.content.Session.Org, r.id, code); err != nil {
		return err
	}
	return jobs.Permanent(why, code)
}
