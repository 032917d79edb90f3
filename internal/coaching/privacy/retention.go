package privacy

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// Report is what a sweep would remove now.
type Report struct {
	Days      int
	Before    time.Time // sessions that ended before this moment
	Stores    []StoreCount
	LastSweep *Sweep
}

// Sweep is one run of the policy.
type Sweep struct {
	Days       int
	FinishedAt time.Time
	counts     map[string]int
}

// Stores are how much was removed.
func (s *Sweep) Stores() []StoreCount { return sorted(s.counts, nil) }

// overdue are the transcripts of sessions that ended more than $2 days before $3, of clients on whose data there is no hold. A session that
// counts for the policy is one that has a transcript: dates, goals, actions and notes stay.
const overdue = `
	SELECT t.id, s.starts_at + s.duration_minutes * interval '1 minute' AS ended
	FROM transcripts t JOIN sessions s ON s.org_id = $1 AND s.id = t.session_id
	WHERE t.org_id = $1 AND s.starts_at + s.duration_minutes * interval '1 minute' < $3::timestamptz - $2::int * interval '1 day'
	AND NOT EXISTS (SELECT FROM participants p JOIN clients c ON c.org_id = $1 AND c.id = p.client_id
		WHERE p.org_id = $1 AND p.session_id = s.id AND c.legal_hold)
	AND NOT EXISTS (SELECT FROM clients c WHERE c.org_id = $1 AND c.id = s.client_id AND c.legal_hold)`

// due are the overdue transcripts as d.
const due = `WITH d AS MATERIALIZED (` + overdue + `) `

// Report says what a sweep would remove now, by the organization's policy or by another that is considered: counts and dates, no content.
// It is nil if there is no policy. The schema says who may ask.
func (s *Service) Report(ctx context.Context, days *int) (_ *Report, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "privacy.Report")
	if days == nil {
		if err := s.db.QueryRow(ctx, `SELECT retention_days FROM organizations WHERE id = $1`, v.Org).Scan(&days); err != nil || days == nil {
			return nil, err
		}
	}
	if *days < 1 || *days > maxDays {
		return nil, fault.Invalid("days", "must be 1 to %d", maxDays)
	}
	now := s.today()
	r := &Report{Days: *days, Before: now.AddDate(0, 0, -*days)}
	counts, oldest := map[string]int{}, map[string]time.Time{}
	count := func(store, since, from string) error {
		var n int
		var first *time.Time
		if err := s.db.QueryRow(ctx, due+`SELECT count(DISTINCT x.ctid), min(`+since+`) FROM `+from, v.Org, *days, now).Scan(&n, &first); err != nil {
			return err
		}
		if n > 0 {
			counts[store], oldest[store] = n, *first
		}
		return nil
	}
	for _, rows := range conversation {
		if err := count(rows.Table, "d.ended", "d JOIN "+rows.Table+" x ON x.org_id = $1 AND "+rows.On); err != nil {
			return nil, err
		}
	}
	if err := count(transcript.Files, "d.ended", "d JOIN transcripts x ON x.org_id = $1 AND x.id = d.id AND x.blob_key IS NOT NULL"); err != nil {
		return nil, err
	}
	for _, a := range s.aged {
		if err := count(a.Table, a.Since, a.Table+" x WHERE x.org_id = $1 AND "+a.Of); err != nil {
			return nil, err
		}
	}
	r.Stores = sorted(counts, oldest)
	last := &Sweep{}
	err = s.db.QueryRow(ctx, `
		SELECT days, finished_at, counts FROM retention_sweeps WHERE org_id = $1 AND finished_at IS NOT NULL ORDER BY created_at DESC, id DESC LIMIT 1`, v.Org).
		Scan(&last.Days, &last.FinishedAt, &last.counts)
	if err == nil {
		r.LastSweep = last
	} else if !errors.Is(err, pgx.ErrNoRows) {
		return nil, err
	}
	return r, nil
}

const maxDays = 36500

// today is when this day began, in UTC: retention counts whole days.
func (s *Service) today() time.Time { return s.now().UTC().Truncate(24 * time.Hour) }

// Schedule enqueues a sweep for each organization that has something to remove by its policy.
func (s *Service) Schedule(ctx context.Context) (err error) {
	defer fault.Wrap(&err, "privacy.Schedule")
	rows, err := s.db.Query(ctx, `SELECT id, retention_days FROM organizations WHERE retention_days IS NOT NULL ORDER BY id`)
	if err != nil {
		return err
	}
	var organization id.UUID
	var days int
	policies := map[id.UUID]int{}
	if _, err := pgx.ForEachRow(rows, []any{&organization, &days}, func() error { policies[organization] = days; return nil }); err != nil {
		return err
	}
	something := due + `SELECT EXISTS (SELECT FROM d)`
	for _, a := range s.aged {
		something += ` OR EXISTS (SELECT FROM ` + a.Table + ` x WHERE x.org_id = $1 AND ` + a.Of + `)`
	}
	for organization, days := range policies {
		var found bool
		if err := s.db.QueryRow(ctx, something, organization, days, s.today()).Scan(&found); err != nil {
			return err
		}
		if !found {
			continue
		}
		if err := postgres.InTx(ctx, s.db, func(tx pgx.Tx) error { return enqueue(ctx, tx, organization, JobSweep, organization) }); err != nil {
			return err
		}
	}
	return nil
}

// Sweep handles JobSweep: it removes what Report counts. Each transcript, and each batch of what was written about them, goes in a transaction
// of its own, which counts it; a sweep that was interrupted goes on in the same row, and the policy is read anew before each, so that one that
// is lifted ends it.
func (s *Service) Sweep(ctx context.Context, job jobs.Job) (err error) {
	defer fault.Wrap(&err, "privacy.Sweep(%s)", job.Org)
	for {
		var days *int
		if err := s.db.QueryRow(ctx, `SELECT retention_days FROM organizations WHERE id = $1`, job.Org).Scan(&days); errors.Is(err, pgx.ErrNoRows) {
			return nil
		} else if err != nil {
			return err
		}
		if days == nil {
			return s.finish(ctx, job.Org)
		}
		receipt := func(tx pgx.Tx, counts map[string]int) error {
			var sweep id.UUID
			if err := tx.QueryRow(ctx, `
				INSERT INTO retention_sweeps (id, org_id, days) VALUES ($1, $2, $3)
				ON CONFLICT (org_id) WHERE finished_at IS NULL DO UPDATE SET days = excluded.days RETURNING id`, id.New(), job.Org, *days).Scan(&sweep); err != nil {
				return err
			}
			return add(ctx, tx, "retention_sweeps", job.Org, sweep, counts)
		}
		var key transcript.ID
		var ended time.Time
		more := true
		err := s.db.QueryRow(ctx, overdue+` ORDER BY ended, t.id LIMIT 1`, job.Org, *days, s.today()).Scan(&key, &ended)
		switch {
		case err == nil:
			err = s.remove(ctx, job.Org, key, receipt)
		case errors.Is(err, pgx.ErrNoRows):
			more, err = s.age(ctx, job.Org, *days, receipt)
		}
		if err != nil {
			return err
		}
		if !more {
			return s.finish(ctx, job.Org)
		}
	}
}

// age removes a batch of what was written about conversations that have gone, and says whether there was any.
func (s *Service) age(ctx context.Context, organization id.UUID, days int, receipt func(pgx.Tx, map[string]int) error) (found bool, err error) {
	for _, a := range s.aged {
		err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
			gone, err := tx.Exec(ctx, due+`DELETE FROM `+a.Table+` x WHERE x.ctid = ANY(ARRAY(
				SELECT x.ctid FROM `+a.Table+` x WHERE x.org_id = $1 AND `+a.Of+` LIMIT $4 FOR UPDATE))`, organization, days, s.today(), batch)
			if found = err == nil && gone.RowsAffected() > 0; !found {
				return err
			}
			return receipt(tx, map[string]int{a.Table: int(gone.RowsAffected())})
		})
		if found || err != nil {
			return found, err
		}
	}
	return false, nil
}

// finish closes the sweep that is under way, if one is.
func (s *Service) finish(ctx context.Context, organization id.UUID) error {
	return postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		var sweep id.UUID
		err := tx.QueryRow(ctx, `UPDATE retention_sweeps SET finished_at = now() WHERE org_id = $1 AND finished_at IS NULL RETURNING id`, organization).Scan(&sweep)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		} else if err != nil {
			return err
		}
		return audit.RecordSystem(ctx, tx, organization, audit.Entry{Action: "retention.sweep", Kind: "sweep", ID: sweep})
	})
}
