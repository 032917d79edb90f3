package transcript

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/platform/blob"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// JobKeep is the kind of job that puts the original of an imported transcript where those of uploads are: into the store of files. Its
// entity is the transcript.
const JobKeep = "transcript.keep"

// Keep handles JobKeep. A file cannot be stored in the transaction of the import, so the original waits in transcript_originals
// until it is in the store. Until then the transcript knows already where it will be, so that whoever removes the transcript
// removes the file, too, whichever of the two is faster.
func (s *Service) Keep(ctx context.Context, job jobs.Job) (err error) {
	key := ID{job.Entity}
	defer fault.Wrap(&err, "transcript.Keep(%s)", key)
	where := originalKey(job.Org, key)
	var content []byte
	err = s.db.QueryRow(ctx, `
		UPDATE transcripts t SET blob_key = $3 FROM transcript_originals o
		WHERE t.org_id = $1 AND t.id = $2 AND o.org_id = $1 AND o.transcript_id = $2 RETURNING o.content`, job.Org, key, where).Scan(&content)
	if errors.Is(err, pgx.ErrNoRows) { // it is in the store, or the transcript is gone
		return s.dropWithout(ctx, job.Org, key)
	}
	if err != nil {
		return err
	}
	// The same file may be there, of an attempt that came this far or of an upload. Another one can only stand where an upload was to go: it is
	// not what the transcript was made of.
	err = s.files.Put(ctx, where, uploadType, content)
	if errors.Is(err, blob.ErrExists) {
		if err = s.files.Delete(ctx, where); err == nil {
			err = s.files.Put(ctx, where, uploadType, content)
		}
	}
	if err != nil {
		return err
	}
	done, err := s.db.Exec(ctx, `DELETE FROM transcript_originals WHERE org_id = $1 AND transcript_id = $2`, job.Org, key)
	if err == nil && done.RowsAffected() == 0 {
		err = s.dropWithout(ctx, job.Org, key)
	}
	return err
}

// dropWithout removes the file of a transcript that was removed while the file was on its way into the store.
func (s *Service) dropWithout(ctx context.Context, organization id.UUID, key ID) error {
	var there bool
	if err := s.db.QueryRow(ctx, `SELECT EXISTS (SELECT FROM transcripts WHERE org_id = $1 AND id = $2)`, organization, key).Scan(&there); err != nil || there {
		return err
	}
	return s.files.Delete(ctx, originalKey(organization, key))
}

// SweepOriginals sees to originals that nobody puts into the store: those of releases that left them in the database. It returns
// how many there are. Where a job has died, somebody is to decide.
func (s *Service) SweepOriginals(ctx context.Context) (found int, err error) {
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT o.org_id, o.transcript_id FROM transcript_originals o
			WHERE NOT EXISTS (SELECT FROM jobs j WHERE j.org_id = o.org_id AND j.kind = $1 AND j.entity_id = o.transcript_id AND j.state <> 'DONE')
			ORDER BY o.org_id, o.transcript_id LIMIT 1000`, JobKeep)
		if err != nil {
			return err
		}
		left, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (j jobs.Job, err error) {
			j.Kind = JobKeep
			return j, row.Scan(&j.Org, &j.Entity)
		})
		if err != nil || len(left) == 0 {
			return err
		}
		found = len(left)
		return jobs.Enqueue(ctx, tx, left...)
	})
	if err != nil {
		return 0, fmt.Errorf("transcript.SweepOriginals: %w", err)
	}
	return found, nil
}
