package search

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/llm"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// readAlong is the condition that what an organization o says may be shown to a model outside of the program.
const readAlong = `o.ai_enabled AND o.model_sees <> 'PLACEHOLDERS'`

// errKeptIn says that it may not.
var errKeptIn = errors.New("the organization lets no model outside of the program read along")

// vectors has a model make vectors of texts. One outside of the program is asked on the organization's account, as analyses are: *insight.Waits if it may not be asked
// now, errKeptIn if not at all.
func (m *Meaning) vectors(ctx context.Context, organization id.UUID, model Model, texts []string) ([][]float32, error) {
	if !model.Remote {
		made, _, err := model.Embed(ctx, texts)
		return made, err
	}
	var call id.UUID
	if err := postgres.InTx(ctx, m.db, func(tx pgx.Tx) error {
		var may bool
		err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM organizations o WHERE o.id = $1 AND `+readAlong+`)`, organization).Scan(&may)
		if err == nil && !may {
			err = errKeptIn
		}
		if err != nil {
			return err
		}
		call, err = m.limits.Open(ctx, tx, organization, model.Name(), model.Estimate(texts))
		return err
	}); err != nil {
		return nil, err
	}
	made, used, failed := model.Embed(ctx, texts)
	return made, errors.Join(failed, m.limits.Book(ctx, m.db, organization, call, model.Name(), used))
}

// lacking says for people why nothing was looked for by meaning, if that is no reason not to look for words; "" of any other error.
func lacking(err error) string {
	const instead = ": these hits have the words."
	var waits *insight.Waits
	failed := llm.Failure(err)
	switch {
	case errors.As(err, &waits) && waits.For == insight.WaitsForSpending:
		return "What is about the same is not looked for, because the organization has spent what models may cost in this month" + instead
	case errors.Is(err, errKeptIn):
		return "What is about the same is not looked for, because the organization lets no model outside of Rapport see names" + instead
	case failed != nil && failed.Kind == llm.Denied:
		return "What is about the same cannot be looked for, because the model's service does not take our requests" + instead
	case failed != nil, waits != nil, fault.KindOf(err) == fault.KindUnavailable:
		return "What is about the same cannot be looked for now" + instead
	}
	return ""
}

// wait decides what becomes of a job that could not be done. While the model or the store of vectors is away, or the model may not be asked, it comes back, which is
// no attempt, for nothing else will ever make these vectors. The other jobs of the organization wait with it and ask nothing: one asks when the time has come.
func (m *Meaning) wait(ctx context.Context, organization id.UUID, why error) error {
	const apart = 10 * time.Second
	cause := why
	if fault.KindOf(why) == fault.KindUnavailable {
		cause = &llm.Error{Kind: llm.Unavailable, Reason: "the store of vectors is away"}
	}
	var waits *insight.Waits
	err := postgres.InTx(ctx, m.db, func(tx pgx.Tx) error {
		now, since, err := waiting(ctx, tx, organization)
		if err != nil {
			return err
		}
		if waits = insight.Waiting(cause, since); waits == nil || now != nil {
			return nil
		}
		_, err = tx.Exec(ctx, `INSERT INTO search_waits (org_id, waiting_for, since, resumes_at) VALUES ($1, $2, $3, $4)
			ON CONFLICT (org_id) DO UPDATE SET waiting_for = excluded.waiting_for, since = excluded.since, resumes_at = excluded.resumes_at`,
			organization, waits.For, since, time.Now().Add(waits.Again()))
		return err
	})
	if err != nil || waits == nil {
		return errors.Join(why, err)
	}
	return jobs.Snooze(waits.Again() + rand.N(apart))
}

// waits is what an organization's jobs wait for now; nil if they need not.
func (m *Meaning) waits(ctx context.Context, organization id.UUID) (now *insight.Waits, err error) {
	now, _, err = waiting(ctx, m.db, organization)
	return now, err
}

// waiting is what an organization's jobs wait for now, nil if they need not, and since when they have waited for anything, but for an hour that went well.
func waiting(ctx context.Context, db postgres.DB, organization id.UUID) (now *insight.Waits, since time.Time, err error) {
	var w insight.Waits
	err = db.QueryRow(ctx, `SELECT waiting_for, since, resumes_at FROM search_waits WHERE org_id = $1 AND resumes_at > now() - interval '1 hour'`, organization).Scan(&w.For, &since, &w.Until)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, time.Now(), nil
	case err == nil && time.Until(w.Until) > 0:
		now = &w
	}
	return now, since, err
}

// goesOn says of an organization's jobs that they need not wait any more.
func (m *Meaning) goesOn(ctx context.Context, organization id.UUID) error {
	_, err := m.db.Exec(ctx, `DELETE FROM search_waits WHERE org_id = $1`, organization)
	return err
}

// Backlog is what of an organization has no vectors yet that it is to have.
type Backlog struct {
	Waiting    int           // transcripts, sessions, notes, goals and actions
	Since      *time.Time    // the first of them
	WaitingFor *insight.Wait // nil if it is just their turn
	ResumesAt  *time.Time
}

// Backlog tells what of the viewer's organization waits for vectors. The schema says who may ask.
func (m *Meaning) Backlog(ctx context.Context) (_ *Backlog, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "search.Backlog")
	kinds := make([]string, len(subjects))
	for i, of := range subjects {
		kinds[i] = of.EmbedJob()
	}
	var b Backlog
	if err := m.db.QueryRow(ctx, `SELECT count(*), min(created_at) FROM jobs WHERE org_id = $1 AND kind = ANY($2) AND state IN ('PENDING', 'RUNNING')`, v.Org, kinds).
		Scan(&b.Waiting, &b.Since); err != nil {
		return nil, err
	}
	waits, err := m.waits(ctx, v.Org)
	if err == nil && waits != nil && b.Waiting > 0 {
		b.WaitingFor, b.ResumesAt = &waits.For, &waits.Until
	}
	return &b, err
}
