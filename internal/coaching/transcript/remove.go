package transcript

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// Kept are the tables of a transcript, each after those that refer to it. All have a column transcript_id or belong to a row that has.
var Kept = []string{"utterance_revisions", "transcript_edit_changes", "transcript_edits", "utterances", "speakers", "transcript_originals", "transcripts"}

// JobUnlink is the kind of job that removes a file that came after its transcript was removed: the link to send it by was good for a
// while longer. Its entity is the transcript that was.
const JobUnlink = "transcript.unlink"

// Remove removes a transcript with its original and all its words, for the domains above. What was derived from it has been removed before
// (insight.Forget). One that is gone is no error. The file goes first: whoever stops in between finds the row, and does it again.
func (s *Service) Remove(ctx context.Context, organization id.UUID, key ID) (err error) {
	defer fault.Wrap(&err, "transcript.Remove(%s)", key)
	_, u, err := sent(ctx, s.db, organization, key)
	if fault.KindOf(err) == fault.KindNotFound {
		return nil
	} else if err != nil {
		return err
	}
	if u.where != nil {
		if err := s.files.Delete(ctx, *u.where); err != nil {
			return err
		}
	}
	return postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM transcripts WHERE org_id = $1 AND id = $2`, organization, key); err != nil || u.where == nil {
			return err
		}
		return jobs.Enqueue(ctx, tx, jobs.Job{Org: organization, Kind: JobUnlink, Entity: key.UUID, RunAt: time.Now().Add(uploadOverdue)})
	})
}

// Unlink handles JobUnlink.
func (s *Service) Unlink(ctx context.Context, job jobs.Job) error {
	return s.files.Delete(ctx, originalKey(job.Org, ID{job.Entity}))
}
