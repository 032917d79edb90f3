package search

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/internal/platform/textsearch"
)

// Channel is where a transaction says that something is to be indexed: NOTIFY search_changed.
const Channel = "search_changed"

// Job is the kind of the jobs that index a subject.
func (s Subject) Job() string { return "search." + string(s) }

// Handle registers the jobs with r.
func (s *Service) Handle(r *jobs.Runner) {
	for _, of := range subjects {
		r.Handle(of.Job(), func(ctx context.Context, job jobs.Job) error { return s.index(ctx, job.Org, of, job.Entity) })
	}
}

// index writes a subject into the indexes as it is now, and takes out what it no longer has. Jobs of one subject run one at a time, and
// the version is taken before the rows are read: so whoever comes late has an older one, and changes nothing.
func (s *Service) index(ctx context.Context, org id.UUID, of Subject, key id.UUID) (err error) {
	defer fault.Wrap(&err, "search.index(%s)", of.group(key))
	var failed []error
	for _, to := range s.indexes() {
		if err := s.write(ctx, to, org, of, key); err != nil {
			failed = append(failed, err) // the others get it all the same
		}
	}
	return errors.Join(failed...)
}

func (s *Service) write(ctx context.Context, to textsearch.Writer, org id.UUID, of Subject, key id.UUID) error {
	var version int64
	if err := s.db.QueryRow(ctx, `SELECT nextval('search_versions')`).Scan(&version); err != nil {
		return err
	}
	docs, err := read(ctx, s.db, org, of, key, version)
	if err != nil {
		return err
	}
	for part := range slices.Chunk(docs, textsearch.MaxBatch) {
		err := to.Put(ctx, org, part)
		var rejected *textsearch.Rejected
		if errors.As(err, &rejected) && !slices.ContainsFunc(rejected.Documents, func(r textsearch.Rejection) bool { return fault.KindOf(r.Err) == fault.KindUnavailable }) {
			s.log.WarnContext(ctx, "documents are not indexed", "group", of.group(key), "count", len(rejected.Documents), "err", rejected)
		} else if err != nil {
			return err
		}
	}
	return to.Prune(ctx, org, version, of.group(key))
}

// Carry makes jobs of what was noted as changed, and returns how many notes there were.
func (s *Service) Carry(ctx context.Context) (carried int, err error) {
	defer fault.Wrap(&err, "search.Carry")
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		// What belongs to a client follows the client's tags and coach; notes, the coach of their engagement; what was said, its session.
		rows, err := tx.Query(ctx, `
			WITH c AS (
				DELETE FROM search_changes WHERE id IN (SELECT id FROM search_changes ORDER BY id LIMIT 1000 FOR UPDATE SKIP LOCKED) RETURNING org_id, subject, subject_id
			), d AS (SELECT DISTINCT c.* FROM c JOIN organizations o ON o.id = c.org_id)
			SELECT NULL, NULL, NULL, count(*) FROM c HAVING count(*) > 0
			UNION ALL SELECT org_id, subject, subject_id, 0 FROM d WHERE subject NOT IN ('client', 'engagement')
			UNION SELECT d.org_id, 'transcript', t.id, 0 FROM d JOIN transcripts t ON t.org_id = d.org_id AND t.session_id = d.subject_id WHERE d.subject = 'session'
			UNION SELECT d.org_id, 'transcript', t.id, 0 FROM d JOIN sessions x ON x.org_id = d.org_id AND x.client_id = d.subject_id JOIN transcripts t ON t.org_id = d.org_id AND t.session_id = x.id WHERE d.subject = 'client'
			UNION SELECT d.org_id, 'session', x.id, 0 FROM d JOIN sessions x ON x.org_id = d.org_id AND x.client_id = d.subject_id WHERE d.subject = 'client'
			UNION SELECT d.org_id, 'note', x.id, 0 FROM d JOIN notes x ON x.org_id = d.org_id AND (d.subject = 'client' AND x.client_id = d.subject_id OR d.subject = 'engagement' AND x.engagement_id = d.subject_id)
			UNION SELECT d.org_id, 'goal', x.id, 0 FROM d JOIN goals x ON x.org_id = d.org_id AND x.client_id = d.subject_id WHERE d.subject = 'client'
			UNION SELECT d.org_id, 'action', x.id, 0 FROM d JOIN action_items x ON x.org_id = d.org_id AND x.client_id = d.subject_id WHERE d.subject = 'client'`)
		if err != nil {
			return err
		}
		carried = 0
		var due []jobs.Job
		var org, key *id.UUID
		var subject *string
		var n int
		if _, err := pgx.ForEachRow(rows, []any{&org, &subject, &key, &n}, func() error {
			if org == nil {
				carried = n
			} else {
				due = append(due, jobs.Job{Org: *org, Kind: Subject(*subject).Job(), Entity: *key})
			}
			return nil
		}); err != nil {
			return err
		}
		return jobs.Enqueue(ctx, tx, due...)
	})
	return carried, err
}

// Relay carries until ctx ends, woken by the listener, and looks by itself now and then in case it was not.
func (s *Service) Relay(ctx context.Context, l *postgres.Listener) error {
	wake, stop := l.Subscribe(Channel)
	defer stop()
	const poll = 5 * time.Second
	for ctx.Err() == nil {
		n, err := s.Carry(ctx)
		if err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "what has changed is not indexed", "err", err, "retry_in", poll)
		}
		if n > 0 {
			continue
		}
		pause := time.NewTimer(poll)
		select {
		case <-ctx.Done():
		case _, ok := <-wake:
			if !ok {
				wake = nil // the listener has ended: go on at the pace of the poll
			}
		case <-pause.C:
		}
		pause.Stop()
	}
	return nil
}

// Rebuild makes the indexes anew from PostgreSQL, while they are used.
func (s *Service) Rebuild(ctx context.Context) (err error) {
	defer fault.Wrap(&err, "search.Rebuild")
	for _, x := range s.indexes() {
		if err := x.Rebuild(ctx, func(ctx context.Context, w textsearch.Writer) error {
			return s.everything(ctx, func(org id.UUID, of Subject, key id.UUID) error { return s.write(ctx, w, org, of, key) })
		}); err != nil {
			return fmt.Errorf("%s: %w", x.Capabilities().Name, err)
		}
	}
	return nil
}
