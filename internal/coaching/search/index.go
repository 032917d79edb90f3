package search

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

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

// kinds are those of the jobs that index the subjects, in their order.
func kinds() []string {
	all := make([]string, len(subjects))
	for i, of := range subjects {
		all[i] = of.Job()
	}
	return all
}

// Handle registers the jobs with r.
func (s *Service) Handle(r *jobs.Runner) {
	for _, of := range subjects {
		r.Handle(of.Job(), func(ctx context.Context, job jobs.Job) error { return s.index(ctx, job.Org, of, job.Entity) })
	}
}

// away is how long a job waits for an index that cannot be reached.
const away = 15 * time.Second

// index writes a subject into the indexes as it is now, and takes out what it no longer has. Jobs of one subject run one at a time, and
// the version is taken before the rows are read: so whoever comes late has an older one, and changes nothing. An index that is away is
// no failed attempt: however long it takes, it gets what it has missed.
func (s *Service) index(ctx context.Context, org id.UUID, of Subject, key id.UUID) (err error) {
	defer fault.Wrap(&err, "search.index(%s)", of.group(key))
	var failed []error
	for _, to := range s.indexes() {
		if err := s.write(ctx, to, org, of, key); err != nil {
			failed = append(failed, err) // the others get it all the same
		}
	}
	if len(failed) == 1 && s.fallback != nil && fault.KindOf(failed[0]) == fault.KindUnavailable && ctx.Err() == nil {
		s.log.DebugContext(ctx, "an index is away", "err", failed[0])
		return jobs.Snooze(away + rand.N(away))
	}
	return errors.Join(failed...)
}

func (s *Service) write(ctx context.Context, to textsearch.Writer, org id.UUID, of Subject, key id.UUID) error {
	version, err := s.put(ctx, to, org, of, key)
	if err != nil {
		return err
	}
	return to.Prune(ctx, org, version, of.group(key))
}

// put writes what a subject has, and returns the version that it is of.
func (s *Service) put(ctx context.Context, to textsearch.Writer, org id.UUID, of Subject, key id.UUID) (version int64, err error) {
	if err := s.db.QueryRow(ctx, `SELECT nextval('search_versions')`).Scan(&version); err != nil {
		return 0, err
	}
	docs, err := read(ctx, s.db, org, of, key, version)
	if err != nil {
		return 0, err
	}
	for part := range slices.Chunk(docs, textsearch.MaxBatch) {
		err := to.Put(ctx, org, part)
		var rejected *textsearch.Rejected
		if errors.As(err, &rejected) && !slices.ContainsFunc(rejected.Documents, func(r textsearch.Rejection) bool { return fault.KindOf(r.Err) == fault.KindUnavailable }) {
			s.log.WarnContext(ctx, "documents are not indexed", "group", of.group(key), "count", len(rejected.Documents), "err", rejected)
		} else if err != nil {
			return 0, err
		}
	}
	return version, nil
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
				of := Subject(*subject)
				due = append(due, jobs.Job{Org: *org, Kind: of.Job(), Entity: *key})
				if of != SubjectTranscript { // which is embedded when it is finished
					due = append(due, jobs.Job{Org: *org, Kind: of.EmbedJob(), Entity: *key})
				}
			}
			return nil
		}); err != nil {
			return err
		}
		return jobs.Enqueue(ctx, tx, due...)
	})
	return carried, err
}

// Follow returns when the indexes and the vectors have followed what had changed in an organization before the call, so that nothing is in
// them any more that was removed. It is a snooze while that cannot be: an index is away, or a job that copies what was there before runs on.
func (s *Service) Follow(ctx context.Context, org id.UUID) (err error) {
	defer fault.Wrap(&err, "search.Follow")
	var last int64
	if err := s.db.QueryRow(ctx, `SELECT coalesce(max(id), 0) FROM search_changes WHERE org_id = $1`, org).Scan(&last); err != nil {
		return err
	}
	// Another process may be carrying a change: then it is still there until its job is.
	const waits = `SELECT EXISTS (SELECT FROM search_changes WHERE org_id = $1 AND id <= $2)`
	if err := s.await(ctx, waits, func() error { _, err := s.Carry(ctx); return err }, org, last); err != nil {
		return err
	}
	due, err := s.following(ctx, org)
	if err != nil {
		return err
	}
	for _, job := range due {
		// One that runs may have read what is gone now.
		if err := s.await(ctx, `SELECT EXISTS (SELECT FROM jobs WHERE org_id = $1 AND id = $2 AND state = 'RUNNING')`, nil, org, job.ID); err != nil {
			return err
		}
		if i := slices.Index(kinds(), job.Kind); i >= 0 {
			err = s.index(ctx, org, subjects[i], job.Entity)
		} else {
			i := slices.IndexFunc(subjects, func(of Subject) bool { return of.EmbedJob() == job.Kind })
			err = s.domains.Meaning.Embed(ctx, subjects[i], job)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// following are the jobs of an organization that indexes and vectors wait for: all that write words, and those of vectors whose subjects are gone, or have parts that may be.
func (s *Service) following(ctx context.Context, org id.UUID) ([]jobs.Job, error) {
	vectors := "j.kind = '" + SubjectSession.EmbedJob() + "'"
	for _, of := range subjects {
		vectors += fmt.Sprintf(" OR j.kind = '%s' AND NOT EXISTS (SELECT FROM %s x WHERE x.org_id = j.org_id AND x.id = j.entity_id)", of.EmbedJob(), tables[of])
	}
	rows, err := s.db.Query(ctx, `
		SELECT j.id, j.kind, j.entity_id FROM jobs j WHERE j.org_id = $1 AND j.state IN ('PENDING', 'RUNNING') AND (j.kind = ANY($2) OR `+vectors+`) ORDER BY j.id`, org, kinds())
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (job jobs.Job, err error) {
		job.Org = org
		return job, row.Scan(&job.ID, &job.Kind, &job.Entity)
	})
}

// await waits until the question is answered with no, doing something before it asks each time; for a few seconds, then it is a snooze.
func (s *Service) await(ctx context.Context, question string, do func() error, args ...any) error {
	const often, most = 20 * time.Millisecond, 5 * time.Second
	tick := time.NewTicker(often)
	defer tick.Stop()
	for began := time.Now(); time.Since(began) < most; {
		if do != nil {
			if err := do(); err != nil {
				return err
			}
		}
		var still bool
		if err := s.db.QueryRow(ctx, question, args...).Scan(&still); err != nil || !still {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return jobs.Snooze(most)
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
func (s *Service) Rebuild(ctx context.Context) error {
	for _, x := range s.indexes() {
		if err := s.Fill(ctx, x); err != nil {
			return err
		}
	}
	return nil
}

// fillers is how many things are read and written at once when an index is made anew: while one waits for the index, others are read.
const fillers = 4

// Fill makes one of the indexes anew. It prunes nothing, which would have a new index refreshed for each thing: what is older there than what is put is of a
// job that ran meanwhile, and what that has left out of date has a job of its own that comes.
func (s *Service) Fill(ctx context.Context, x textsearch.Index) (err error) {
	defer fault.Wrap(&err, "search.Fill(%s)", x.Capabilities().Name)
	return x.Rebuild(ctx, func(ctx context.Context, w textsearch.Writer) error {
		work, ctx := errgroup.WithContext(ctx)
		work.SetLimit(fillers)
		err := s.everything(ctx, func(org id.UUID, of Subject, key id.UUID) error {
			work.Go(func() error {
				_, err := s.put(ctx, w, org, of, key)
				return err
			})
			return ctx.Err()
		})
		return cmp.Or(work.Wait(), err) // which says why everything was stopped
	})
}

// Holdings is what the indexes hold.
type Holdings struct {
	Organizations, Groups, Documents int
	// Repaired are groups that the indexes held different numbers of documents of, and that were written anew.
	Repaired int
}

// Verify compares the indexes with each other, group by group, and has written anew what they do not agree in: something that changes
// just now, or that was lost. With one index there is nothing to compare, and it is only counted.
func (s *Service) Verify(ctx context.Context) (h Holdings, err error) {
	defer fault.Wrap(&err, "search.Verify")
	if err := s.Refresh(ctx); err != nil {
		return h, err
	}
	rows, err := s.db.Query(ctx, `SELECT id FROM organizations ORDER BY id`)
	if err != nil {
		return h, err
	}
	orgs, err := pgx.CollectRows(rows, pgx.RowTo[id.UUID])
	if err != nil {
		return h, err
	}
	for _, org := range orgs {
		held := make([]map[string]int, len(s.indexes()))
		for i, x := range s.indexes() {
			if held[i], err = groups(ctx, x, org); err != nil {
				return h, err
			}
		}
		h.Organizations++
		for _, n := range held[len(held)-1] {
			h.Groups++
			h.Documents += n
		}
		for _, group := range differ(held[0], held[len(held)-1]) {
			prefix, key, err := id.Parse(group)
			if err != nil {
				return h, err
			}
			if err := s.index(ctx, org, Subject(prefix), key); err != nil {
				return h, err
			}
			h.Repaired++
		}
	}
	return h, nil
}

// Refresh returns when all that was indexed before can be found.
func (s *Service) Refresh(ctx context.Context) error {
	for _, x := range s.indexes() {
		if err := x.Refresh(ctx); err != nil {
			return err
		}
	}
	return nil
}

// groups are how many documents an index has of each.
func groups(ctx context.Context, x textsearch.Index, org id.UUID) (map[string]int, error) {
	held := map[string]int{}
	for after := ""; ; {
		part, err := x.Groups(ctx, org, after, textsearch.MaxBatch)
		if err != nil {
			return nil, err
		}
		for _, t := range part {
			held[t.Group] = t.Documents
			after = t.Group
		}
		if len(part) < textsearch.MaxBatch {
			return held, nil
		}
	}
}

// differ are the groups that are not the same in both, in their order.
func differ(a, b map[string]int) []string {
	different := map[string]bool{}
	for g, n := range a {
		different[g] = b[g] != n
	}
	for g, n := range b {
		different[g] = a[g] != n
	}
	maps.DeleteFunc(different, func(_ string, is bool) bool { return !is })
	return slices.Sorted(maps.Keys(different))
}
