package transcript

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/jobs"
)

// Rows are those of a table that belong to a transcript d: On is the condition on a row x.
type Rows struct{ Table, On string }

// Kept are the rows of a transcript, each after those that refer to it.
var Kept = []Rows{
	{"utterance_revisions", "EXISTS (SELECT FROM utterances u WHERE u.org_id = $1 AND u.id = x.utterance_id AND u.transcript_id = d.id)"},
	{"transcript_edit_changes", "EXISTS (SELECT FROM transcript_edits e WHERE e.org_id = $1 AND e.id = x.edit_id AND e.transcript_id = d.id)"},
	{"transcript_edits", "x.transcript_id = d.id"},
	{"utterances", "x.transcript_id = d.id"},
	{"speakers", "x.transcript_id = d.id"},
	{"transcript_originals", "x.transcript_id = d.id"},
	{"transcript_exports", "x.transcript_id = d.id"},
	{"transcripts", "x.id = d.id"},
}

// Delete removes rows of a transcript, and adds how many to counts.
func Delete(ctx context.Context, tx pgx.Tx, organization id.UUID, key ID, rows []Rows, counts map[string]int) error {
	for _, r := range rows {
		tag, err := tx.Exec(ctx, `DELETE FROM `+r.Table+` x USING (SELECT $2::uuid AS id) d WHERE x.org_id = $1 AND `+r.On, organization, key)
		if err != nil {
			return fmt.Errorf("%s: %w", r.Table, err)
		}
		if n := int(tag.RowsAffected()); n > 0 {
			counts[r.Table] += n
		}
	}
	return nil
}

// JobUnlink is the kind of job that removes a file that came after its transcript was removed: the link to send it by was good for a
// while longer. Its entity is the transcript that was.
const JobUnlink = "transcript.unlink"

// Files is the store of a receipt that counts files beside the database.
const Files = "files"

// DeleteFiles removes the file of a transcript and those that were handed out of it, before Remove: whoever stops in between finds the
// rows, and does it again.
func (s *Service) DeleteFiles(ctx context.Context, organization id.UUID, key ID) (err error) {
	defer fault.Wrap(&err, "transcript.DeleteFiles(%s)", key)
	rows, err := s.db.Query(ctx, `
		SELECT blob_key FROM transcripts WHERE org_id = $1 AND id = $2 AND blob_key IS NOT NULL
		UNION ALL SELECT blob_key FROM transcript_exports WHERE org_id = $1 AND transcript_id = $2`, organization, key)
	if err != nil {
		return err
	}
	files, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := s.files.Delete(ctx, file); err != nil {
			return err
		}
	}
	return nil
}

// SweepExports forgets the files that were handed out and that the store has removed since.
func (s *Service) SweepExports(ctx context.Context) error {
	_, err := s.db.Exec(ctx, `DELETE FROM transcript_exports WHERE created_at < now() - interval '2 days'`)
	return err
}

// Remove removes a transcript with its original and all its words, for the domains above, in the caller's transaction, and says so in the
// audit trail. What was derived from it has been removed before (insight.Forget), and its files (DeleteFiles). One that is gone is no error.
func (s *Service) Remove(ctx context.Context, tx pgx.Tx, organization id.UUID, key ID, counts map[string]int) (err error) {
	defer fault.Wrap(&err, "transcript.Remove(%s)", key)
	ref, u, err := sent(ctx, tx, organization, key)
	if fault.KindOf(err) == fault.KindNotFound {
		return nil
	} else if err != nil {
		return err
	}
	if err := Delete(ctx, tx, organization, key, Kept, counts); err != nil {
		return err
	}
	if err := audit.RecordSystem(ctx, tx, organization, entry("transcript.remove", key, ref)); err != nil {
		return err
	}
	if err := s.outbox.Add(ctx, tx, organization, news("transcript.removed", ref, key)); err != nil {
		return err
	}
	after := []jobs.Job{{Org: organization, Kind: JobEmbed, Entity: key.UUID}}
	if u.where != nil {
		counts[Files]++
		after = append(after, jobs.Job{Org: organization, Kind: JobUnlink, Entity: key.UUID, RunAt: time.Now().Add(uploadOverdue)})
	}
	return jobs.Enqueue(ctx, tx, after...)
}

// Unlink handles JobUnlink.
func (s *Service) Unlink(ctx context.Context, job jobs.Job) error {
	return s.files.Delete(ctx, originalKey(job.Org, ID{job.Entity}))
}
