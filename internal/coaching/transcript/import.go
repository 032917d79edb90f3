package transcript

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/coaching/consent"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/transcript/format"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/check"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/internal/platform/stream"
)

// Import reads a file into a transcript of a session.
//
// The file is parsed before anything is written. Then original, speakers, utterances, warnings and the jobs that
// analyse them and put the original into the store of files are committed together: a crash at any moment leaves all of it or
// nothing, and in the first case the jobs go on after the restart. What cannot be read is an Invalid fault for the field content; without the consent of all but the coach to
// transcription nothing is written.
func (s *Service) Import(ctx context.Context, in ImportInput) (_ *Imported, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "transcript.Import(%s)", in.SessionID)
	meeting, err := s.importable(ctx, in.SessionID)
	if err != nil {
		return nil, err
	}
	var problems check.Input
	opts := format.Options{}
	if in.Filename != nil {
		opts.Filename = problems.OptionalLine("filename", *in.Filename, 255)
	}
	if in.Format != nil {
		opts.Format = *in.Format
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	content := []byte(in.Content)
	doc, err := format.Parse(content, opts)
	if err != nil {
		return nil, err
	}

	var key ID
	var known bool
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		key, known, err = s.store(ctx, tx, v, meeting.Ref(v.Org), content, opts.Filename, doc)
		return err
	})
	if err != nil {
		return nil, err
	}
	t, err := s.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	if known {
		if err := t.inSight(); err != nil {
			return nil, err
		}
	}
	return &Imported{Transcript: t, AlreadyImported: known}, nil
}

// inSight is a fault if the transcript is archived: whoever brings its file again would look for it in vain.
func (t *Transcript) inSight() error {
	if t.ArchivedAt == nil {
		return nil
	}
	return fault.Conflict("this file was imported for this session before, as %s, which is archived: bring it back by archiveTranscript with archived: false", t.ID).
		WithCode("TRANSCRIPT_ARCHIVED")
}

// importable returns the session if the viewer may import transcripts of it.
func (s *Service) importable(ctx context.Context, key session.ID) (*session.Session, error) {
	meeting, err := s.sessions.Get(ctx, key)
	if err == nil && !meeting.Any(auth.AsCoach) {
		err = fault.Forbidden("only the coach can import a transcript")
	}
	return meeting, err
}

// consented checks that everybody in the session but its coach has consented to a transcript; the session's row is locked from here on.
func consented(ctx context.Context, tx pgx.Tx, ref session.Ref) error {
	return session.RequireConsent(ctx, tx, ref.Org, ref.ID, consent.Transcription, "sessionId")
}

// store writes what a file says, unless the session has a transcript of the very same file: then that one is meant, and it is written into
// if it still waits for the file.
func (s *Service) store(ctx context.Context, tx pgx.Tx, v auth.Viewer, ref session.Ref, content []byte, filename string, doc *format.Document) (key ID, known bool, err error) {
	// The session's row is the lock for its versions and for "the same file twice", also at the same moment.
	if _, err := tx.Exec(ctx, `SELECT FROM sessions WHERE org_id = $1 AND id = $2 FOR UPDATE`, ref.Org, ref.ID); err != nil {
		return key, false, err
	}
	if err := consented(ctx, tx, ref); err != nil {
		return key, false, err
	}
	sum := sha256.Sum256(content)
	warnings, err := warningsOf(doc)
	if err != nil {
		return key, false, err
	}
	// One that waits for the very same file has it now. There is at most one.
	err = tx.QueryRow(ctx, `
		UPDATE transcripts t SET status = $5, failure_code = NULL, failure_message = NULL, archived_at = NULL, version = `+latest+`, wanted_format = NULL,
			format = $6, filename = nullif($7, ''), language = nullif($8, ''), duration_ms = $9, utterance_count = $10, size_bytes = $11,
			warnings = $12, imported_by = $13, created_at = now(), updated_at = now()
		WHERE `+waits+` RETURNING t.id`,
		ref.Org, ref.ID, sum[:], wordless, Parsed, doc.Format, filename, doc.Language, durationOf(doc), len(doc.Utterances), len(content), warnings, v.User).Scan(&key)
	if err == pgx.ErrNoRows {
		err = tx.QueryRow(ctx, `SELECT id FROM transcripts WHERE org_id = $1 AND session_id = $2 AND sha256 = $3`,
			ref.Org, ref.ID, sum[:]).Scan(&key)
		if err != pgx.ErrNoRows {
			return key, true, err
		}
		key = ID{id.New()}
		_, err = tx.Exec(ctx, `
			INSERT INTO transcripts (id, org_id, session_id, version, status, format, filename, language, duration_ms,
				utterance_count, sha256, size_bytes, warnings, imported_by)
			SELECT $3, $1, $2, 1 + coalesce(max(version), 0), $4, $5, nullif($6, ''), nullif($7, ''), $8, $9, $10, $11, $12, $13
			FROM transcripts WHERE org_id = $1 AND session_id = $2`,
			ref.Org, ref.ID, key, Parsed, doc.Format, filename, doc.Language, durationOf(doc),
			len(doc.Utterances), sum[:], len(content), warnings, v.User)
	}
	if err != nil {
		return key, false, err
	}
	if _, err := tx.Exec(ctx, `INSERT INTO transcript_originals (org_id, transcript_id, content) VALUES ($1, $2, $3)`,
		ref.Org, key, content); err != nil {
		return key, false, err
	}
	if err := storeWords(ctx, tx, ref, key, doc); err != nil {
		return key, false, err
	}
	if err := audit.Record(ctx, tx, v, entry("transcript.import", key, ref)); err != nil {
		return key, false, err
	}
	if err := jobs.Enqueue(ctx, tx, jobs.Job{Org: ref.Org, Kind: JobAnalyse, Entity: key.UUID},
		jobs.Job{Org: ref.Org, Kind: JobKeep, Entity: key.UUID}); err != nil {
		return key, false, err
	}
	return key, false, s.publishState(ctx, tx, ref, key)
}

// storeWords writes speakers, with the names that are remembered and the roles they seem to have, and utterances.
func storeWords(ctx context.Context, tx pgx.Tx, ref session.Ref, key ID, doc *format.Document) error {
	labels, by := castOf(doc)
	names, err := recall(ctx, tx, ref, labels)
	if err != nil {
		return fmt.Errorf("names: %w", err)
	}
	ids := make([]SpeakerID, len(labels))
	_, err = tx.CopyFrom(ctx, pgx.Identifier{"speakers"},
		[]string{"id", "org_id", "transcript_id", "ordinal", "label", "display_name", "role_confidence"},
		pgx.CopyFromSlice(len(labels), func(i int) ([]any, error) {
			ids[i] = SpeakerID{id.New()}
			return []any{ids[i], ref.Org, key, i, labels[i], names[i], 0.0}, nil
		}))
	if err != nil {
		return fmt.Errorf("speakers: %w", err)
	}
	_, err = tx.CopyFrom(ctx, pgx.Identifier{"utterances"},
		[]string{"id", "org_id", "transcript_id", "index", "speaker_id", "start_ms", "end_ms", "text", "cues"},
		pgx.CopyFromSlice(len(by), func(i int) ([]any, error) {
			u := doc.Utterances[i]
			cues := u.Cues
			if cues == nil {
				cues = []format.Cue{}
			}
			return []any{UtteranceID{id.New()}, ref.Org, key, i, ids[by[i]], u.StartMs, u.EndMs, u.Text, cues}, nil
		}))
	if err != nil {
		return fmt.Errorf("utterances: %w", err)
	}
	return suggestRoles(ctx, tx, ref, key)
}

// unnamed is what a speaker is called whom the file does not name.
const unnamed = "Unknown speaker"

// castOf gives every utterance a speaker, by index into the labels, which are in the order of first words: those without one
// share a speaker of their own.
func castOf(doc *format.Document) (labels []string, by []int) {
	place := map[int]int{}
	by = make([]int, len(doc.Utterances))
	for i, u := range doc.Utterances {
		at, known := place[u.Speaker]
		if !known {
			at = len(labels)
			place[u.Speaker] = at
			label := unnamed
			if u.Speaker >= 0 {
				label = doc.Speakers[u.Speaker]
			}
			labels = append(labels, label)
		}
		by[i] = at
	}
	return labels, by
}

// durationOf is the end of the last word to end, nil without end times.
func durationOf(doc *format.Document) *int64 {
	var last *int64
	for _, u := range doc.Utterances {
		if u.EndMs != nil && (last == nil || *u.EndMs > *last) {
			last = u.EndMs
		}
	}
	return last
}

func (s *Service) publishState(ctx context.Context, tx pgx.Tx, ref session.Ref, key ID) error {
	data, err := json.Marshal(Changed{TranscriptID: key})
	if err != nil {
		return err
	}
	return s.events.Publish(ctx, tx, ref.Org, stream.Event{Kind: EventStateChanged, Data: data}, ref.Topics()...)
}
