package transcript

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/transcript/format"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/blob"
	"github.com/rapporthq/rapport/internal/platform/check"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// JobParse is the kind of job that reads an uploaded file. Its entity is the transcript.
const JobParse = "transcript.parse"

const (
	uploadType  = "application/octet-stream" // whatever the file is: nobody believes a type that the sender has chosen
	uploadValid = time.Hour
	// An upload that nobody has completed: looked for after the first, as the store may have told of it in vain, and given up after the
	// second.
	uploadOverdue   = 5 * time.Minute
	uploadAbandoned = 24 * time.Hour
)

// What can be wrong with an uploaded file.
const (
	fileMissing = "FILE_MISSING"
	fileChanged = "FILE_CHANGED"
	unreadable  = "UNREADABLE"  // as the format that it was said to be, or seems to be
	readFailed  = "READ_FAILED" // our mistake: replaying the job helps
)

// wordless are the failures of transcripts that hold no words yet. Their file can be brought again, by either way.
var wordless = []string{fileMissing, fileChanged, unreadable, readFailed, session.CodeConsentMissing}

// What is said of transcripts t in a statement whose first parameters are the organization, the session, the sum of a file, and wordless.
const (
	// waits is the condition that one waits for this file: it was announced, or what came before could not be read.
	waits = "t.org_id = $1 AND t.session_id = $2 AND t.sha256 = $3 AND (t.status = 'UPLOADING' OR t.failure_code = ANY($4))"
	// latest is the version of one whose file comes now, as if it had not been announced before.
	latest = "(SELECT max(v.version) + CASE WHEN max(v.version) = t.version THEN 0 ELSE 1 END FROM transcripts v WHERE v.org_id = $1 AND v.session_id = $2)"
)

// UploadInput announces a file that will come by a link.
type UploadInput struct {
	SessionID session.ID
	Filename  string
	SizeBytes int
	Sha256    string // hexadecimal
	Format    *format.Format
}

// Upload is what became of the announcement.
type Upload struct {
	Transcript      *Transcript
	Link            *blob.Link // nil if the file is known already
	AlreadyImported bool
}

// RequestUpload makes a transcript that waits for its file, and a link to send the file by. A file that is known already
// needs no sending, unless nobody could see it; one that was announced before and never came, or could not be read, gets a new link.
func (s *Service) RequestUpload(ctx context.Context, in UploadInput) (_ *Upload, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "transcript.RequestUpload(%s)", in.SessionID)
	meeting, err := s.importable(ctx, in.SessionID)
	if err != nil {
		return nil, err
	}
	var problems check.Input
	filename := problems.Line("filename", in.Filename, 255)
	sum, ok := blob.ParseSum(in.Sha256)
	if !ok {
		problems.Fail("sha256", "give the SHA-256 of the file as 64 hexadecimal digits")
	}
	if in.SizeBytes < 1 || in.SizeBytes > blob.MaxBytes {
		problems.Fail("sizeBytes", "a file holds 1 to %d bytes", blob.MaxBytes)
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}

	key, status, err := s.announce(ctx, v, meeting.Ref(v.Org), in, filename, sum)
	if err != nil {
		return nil, err
	}
	out := &Upload{AlreadyImported: status != Uploading}
	if status == Uploading {
		link, err := s.files.UploadLink(ctx, originalKey(v.Org, key),
			blob.File{ContentType: uploadType, Size: int64(in.SizeBytes), Sum: sum}, uploadValid)
		if err != nil {
			return nil, err
		}
		out.Link = &link
	}
	if out.Transcript, err = s.Get(ctx, key); err != nil {
		return nil, err
	}
	if out.AlreadyImported {
		if err := out.Transcript.inSight(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// announce finds the transcript of the very same file, or makes one that waits for it. One whose file was lost, damaged on its way or could
// not be read waits again, and what is said of the file now is what counts. Its original stays where it is, if it is there.
func (s *Service) announce(ctx context.Context, v auth.Viewer, ref session.Ref, in UploadInput, filename string, sum blob.Sum) (key ID, status Status, err error) {
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		// The session's row is the lock for its versions and for "the same file twice", also at the same moment.
		if _, err := tx.Exec(ctx, `SELECT FROM sessions WHERE org_id = $1 AND id = $2 FOR UPDATE`, v.Org, in.SessionID); err != nil {
			return err
		}
		if err := consented(ctx, tx, ref); err != nil {
			return err
		}
		err := tx.QueryRow(ctx, `
			UPDATE transcripts t SET status = $5, failure_code = NULL, failure_message = NULL, archived_at = NULL, version = `+latest+`,
				wanted_format = $6, filename = $7, size_bytes = $8, imported_by = $9, created_at = now(), updated_at = now()
			WHERE `+waits+` RETURNING t.id, t.status`,
			v.Org, in.SessionID, sum[:], wordless, Uploading, in.Format, filename, in.SizeBytes, v.User).Scan(&key, &status)
		if err == nil {
			return s.announced(ctx, tx, v, ref, key)
		} else if err != pgx.ErrNoRows {
			return err
		}
		err = tx.QueryRow(ctx, `SELECT id, status FROM transcripts WHERE org_id = $1 AND session_id = $2 AND sha256 = $3`,
			v.Org, in.SessionID, sum[:]).Scan(&key, &status)
		if err != pgx.ErrNoRows {
			return err
		}
		key, status = ID{id.New()}, Uploading
		if _, err := tx.Exec(ctx, `
			INSERT INTO transcripts (id, org_id, session_id, version, status, wanted_format, filename, sha256, size_bytes, blob_key, imported_by)
			SELECT $3, $1, $2, 1 + coalesce(max(version), 0), $4, $5, $6, $7, $8, $9, $10
			FROM transcripts WHERE org_id = $1 AND session_id = $2`,
			v.Org, in.SessionID, key, status, in.Format, filename, sum[:], in.SizeBytes, originalKey(v.Org, key), v.User); err != nil {
			return err
		}
		return s.announced(ctx, tx, v, ref, key)
	})
	return key, status, err
}

// announced tells of a transcript that waits for its file.
func (s *Service) announced(ctx context.Context, tx pgx.Tx, v auth.Viewer, ref session.Ref, key ID) error {
	if err := audit.Record(ctx, tx, v, entry("transcript.announce", key, ref)); err != nil {
		return err
	}
	return s.publishState(ctx, tx, ref, key)
}

func originalKey(organization id.UUID, key ID) string {
	return organization.String() + "/transcripts/" + key.UUID.String() + "/original"
}

// CompleteUploadInput names a transcript whose file has been sent.
type CompleteUploadInput struct {
	TranscriptID ID
}

// CompleteUpload has the file read, by a job. Doing it twice is doing it once.
func (s *Service) CompleteUpload(ctx context.Context, in CompleteUploadInput) (_ *Transcript, err error) {
	v, err := s.mine(ctx, in.TranscriptID)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "transcript.CompleteUpload(%s)", in.TranscriptID)
	there, err := s.complete(ctx, v.Org, in.TranscriptID, func(tx pgx.Tx, done audit.Entry) error {
		return audit.Record(ctx, tx, v, done)
	})
	if err != nil {
		return nil, err
	}
	if !there {
		return nil, fault.Invalid("transcriptId", "its file has not been sent yet: send it by the link of requestTranscriptUpload, or ask for a new link")
	}
	return s.Get(ctx, in.TranscriptID)
}

// originals are the keys that uploads are stored under.
var originals = regexp.MustCompile(`^([0-9a-f-]{36})/transcripts/([0-9a-f-]{36})/original$`)

// Arrived completes the upload whose file is stored under key, as its sender may have forgotten to. The store tells of it, perhaps
// twice, late, or of what nobody waits for: then nothing happens. Neither does where consent is missing: the sender is told when
// they ask.
func (s *Service) Arrived(ctx context.Context, key string) (err error) {
	found := originals.FindStringSubmatch(key)
	if found == nil {
		return nil
	}
	var organization, transcript id.UUID
	if organization.UnmarshalText([]byte(found[1])) != nil || transcript.UnmarshalText([]byte(found[2])) != nil {
		return nil
	}
	defer fault.Wrap(&err, "transcript.Arrived(%s)", transcript)
	_, err = s.complete(ctx, organization, ID{transcript}, func(tx pgx.Tx, done audit.Entry) error {
		return audit.RecordSystem(ctx, tx, organization, done)
	})
	if kind := fault.KindOf(err); kind == fault.KindNotFound || kind == fault.KindInvalid {
		return nil
	}
	return err
}

// complete takes a transcript from UPLOADING on if its file is there, and says whether it is; record writes down by whom.
func (s *Service) complete(ctx context.Context, organization id.UUID, key ID, record func(pgx.Tx, audit.Entry) error) (there bool, err error) {
	ref, u, err := sent(ctx, s.db, organization, key)
	if err != nil || u.status != Uploading {
		return true, err
	}
	file, _, err := s.files.Open(ctx, *u.where)
	if fault.KindOf(err) == fault.KindNotFound {
		return false, nil
	} else if err != nil {
		return false, err
	}
	if err := file.Close(); err != nil {
		return false, err
	}
	return true, postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		if err := consented(ctx, tx, ref); err != nil {
			return err
		}
		moved, err := s.Advance(ctx, tx, ref, key, Uploaded, Uploading)
		if err != nil || !moved {
			return err
		}
		if err := record(tx, entry("transcript.complete", key, ref)); err != nil {
			return err
		}
		return jobs.Enqueue(ctx, tx, jobs.Job{Org: organization, Kind: JobParse, Entity: key.UUID})
	})
}

// uploaded is what a job needs to know of an upload.
type uploaded struct {
	status  Status
	failure *string
	where   *string // nil as long as there is none in the store, nor one to be expected there
}

func sent(ctx context.Context, db postgres.DB, organization id.UUID, key ID) (ref session.Ref, u uploaded, err error) {
	err = db.QueryRow(ctx, `
		SELECT t.status, t.failure_code, t.blob_key, s.org_id, s.id, s.client_id, s.coach_id
		FROM transcripts t JOIN sessions s ON s.org_id = t.org_id AND s.id = t.session_id
		WHERE t.org_id = $1 AND t.id = $2`, organization, key).
		Scan(&u.status, &u.failure, &u.where, &ref.Org, &ref.ID, &ref.ClientID, &ref.CoachID)
	if err == pgx.ErrNoRows {
		err = fault.NotFound("transcript")
	}
	return ref, u, err
}

// unread says whether the file is still to be read.
func (u uploaded) unread() bool {
	return u.status == Uploaded || u.status == Parsing || u.failure != nil && *u.failure == readFailed
}

// Parse handles JobParse. It may be repeated at any point: the words are written together with the step to PARSED, once.
// What is wrong with the file is told on the transcript.
func (s *Service) Parse(ctx context.Context, job jobs.Job) (err error) {
	key := ID{job.Entity}
	defer fault.Wrap(&err, "transcript.Parse(%s)", key)
	ref, u, err := sent(ctx, s.db, job.Org, key)
	if fault.KindOf(err) == fault.KindNotFound {
		return nil // erased since
	} else if err != nil {
		return err
	}
	if !u.unread() {
		return nil
	}
	var begun bool
	if err := postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		moved, err := s.Advance(ctx, tx, ref, key, Parsing, Uploaded, Failed)
		begun = moved || u.status == Parsing
		return err
	}); err != nil || !begun { // its file came again meanwhile
		return err
	}

	doc, why, err := s.readUpload(ctx, job.Org, key, *u.where)
	if err != nil {
		return err
	}
	var failed bool
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) (err error) {
		if why != nil {
			failed, err = s.fail(ctx, tx, ref, key, *why, Parsing)
			return err
		}
		if err := consented(ctx, tx, ref); fault.KindOf(err) == fault.KindInvalid { // no longer
			why = &Failure{Code: session.CodeConsentMissing, Message: "Somebody in the session has not consented to a transcript. Announce the file again when all have."}
			failed, err = s.fail(ctx, tx, ref, key, *why, Parsing)
			return err
		} else if err != nil {
			return err
		}
		moved, err := s.Advance(ctx, tx, ref, key, Parsed, Parsing)
		if err != nil || !moved {
			return err
		}
		warnings, err := warningsOf(doc)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
			UPDATE transcripts SET format = $3, language = nullif($4, ''), duration_ms = $5, utterance_count = $6, warnings = $7
			WHERE org_id = $1 AND id = $2`, job.Org, key, doc.Format, doc.Language, durationOf(doc), len(doc.Utterances), warnings); err != nil {
			return err
		}
		if err := storeWords(ctx, tx, ref, key, doc); err != nil {
			return err
		}
		if err := audit.RecordSystem(ctx, tx, job.Org, entry("transcript.parse", key, ref)); err != nil {
			return err
		}
		return jobs.Enqueue(ctx, tx, jobs.Job{Org: job.Org, Kind: JobAnalyse, Entity: key.UUID})
	})
	if err == nil && failed {
		s.log.InfoContext(ctx, "a file was not read", "org", job.Org.String(), "transcript", key.String(), "code", why.Code)
	}
	return err
}

// ParseDied tells on the transcript that its file will not be read unless somebody has the job done again.
func (s *Service) ParseDied(ctx context.Context, tx pgx.Tx, job jobs.Job) (err error) {
	key := ID{job.Entity}
	defer fault.Wrap(&err, "transcript.ParseDied(%s)", key)
	ref, u, err := sent(ctx, tx, job.Org, key)
	if fault.KindOf(err) == fault.KindNotFound {
		return nil
	} else if err != nil || !u.unread() {
		return err
	}
	_, err = s.fail(ctx, tx, ref, key, Failure{
		Code: readFailed, Message: "The file is there but reading it failed, which is our mistake. It can be tried again.",
	}, Uploaded, Parsing)
	return err
}

// readUpload returns what the file says, or why it says nothing.
func (s *Service) readUpload(ctx context.Context, organization id.UUID, key ID, where string) (*format.Document, *Failure, error) {
	var sum []byte
	var opts format.Options
	var filename *string
	var wanted *format.Format
	if err := s.db.QueryRow(ctx, `SELECT sha256, filename, wanted_format FROM transcripts WHERE org_id = $1 AND id = $2`, organization, key).
		Scan(&sum, &filename, &wanted); err != nil {
		return nil, nil, err
	}
	if filename != nil {
		opts.Filename = *filename
	}
	if wanted != nil {
		opts.Format = *wanted
	}
	file, _, err := s.files.Open(ctx, where)
	if fault.KindOf(err) == fault.KindNotFound {
		return nil, &Failure{Code: fileMissing, Message: "The uploaded file is gone. Upload it again."}, nil
	} else if err != nil {
		return nil, nil, err
	}
	content, err := io.ReadAll(io.LimitReader(file, blob.MaxBytes+1))
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, nil, err
	}
	if got := sha256.Sum256(content); blob.Sum(got) != blob.Sum(sum) {
		// It stands where the right file would have to go, and what is stored is never overwritten.
		if err := s.files.Delete(ctx, where); err != nil {
			return nil, nil, err
		}
		return nil, &Failure{Code: fileChanged, Message: "The uploaded file is not the one that was announced. Upload it again."}, nil
	}
	doc, err := format.Parse(content, opts)
	if faults := fault.All(err); len(faults) > 0 {
		return nil, &Failure{Code: unreadable, Message: faults[0].Message}, nil
	}
	return doc, nil, err
}

// SweepUploads completes uploads whose sender forgot to say so, and removes those that never came. It returns how many of
// each.
func (s *Service) SweepUploads(ctx context.Context) (completed, removed int, err error) {
	rows, err := s.db.Query(ctx, `
		SELECT org_id, id, created_at < now() - $2::interval FROM transcripts
		WHERE status = 'UPLOADING' AND created_at < now() - $1::interval ORDER BY created_at LIMIT 1000`, uploadOverdue, uploadAbandoned)
	if err != nil {
		return 0, 0, err
	}
	type upload struct {
		org       id.UUID
		key       ID
		abandoned bool
	}
	overdue, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (u upload, err error) {
		return u, row.Scan(&u.org, &u.key, &u.abandoned)
	})
	if err != nil {
		return 0, 0, err
	}
	for _, u := range overdue {
		there, err := s.complete(ctx, u.org, u.key, func(tx pgx.Tx, done audit.Entry) error {
			return audit.RecordSystem(ctx, tx, u.org, done)
		})
		if fault.KindOf(err) == fault.KindInvalid { // consent is missing: as if it had not come
			there, err = false, nil
		}
		switch {
		case err != nil:
			return completed, removed, fmt.Errorf("complete %s: %w", u.key, err)
		case there:
			completed++
		case u.abandoned:
			err := postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
				tag, err := tx.Exec(ctx, `DELETE FROM transcripts WHERE org_id = $1 AND id = $2 AND status = 'UPLOADING' AND created_at < now() - $3::interval`,
					u.org, u.key, uploadAbandoned)
				if err != nil || tag.RowsAffected() == 0 { // its file has come since, or was announced again
					return err
				}
				removed++
				if err := audit.RecordSystem(ctx, tx, u.org, audit.Entry{Action: "transcript.remove", Kind: "transcript", ID: u.key.UUID}); err != nil {
					return err
				}
				// There may be a file that nobody consented to have read.
				return jobs.Enqueue(ctx, tx, jobs.Job{Org: u.org, Kind: JobUnlink, Entity: u.key.UUID})
			})
			if err != nil {
				return completed, removed, err
			}
		}
	}
	return completed, removed, nil
}

func warningsOf(doc *format.Document) ([]byte, error) {
	if doc.Warnings == nil {
		return []byte("[]"), nil
	}
	return json.Marshal(doc.Warnings)
}
