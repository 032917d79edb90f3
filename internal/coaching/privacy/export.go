package privacy

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/personal"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/coaching/transcript/format"
	"github.com/rapporthq/rapport/internal/platform/blob"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// copyKey is where the copy of a request lies; the store removes it by itself after a day.
func copyKey(organization, request id.UUID) string {
	return blob.Temporary + organization.String() + "/copies/" + request.String() + ".zip"
}

// found is what was found in conversations about the client. What measures the coach is about the coach.
var found = personal.Store{
	Table: "insights", Of: personal.OfSession("x.session_id"), Shown: "x.kind <> 'COACH_SKILL' AND x.retracted_at IS NULL",
	Copy: "id, session_id, transcript_id, kind, audience, status, title, body, confidence, due, due_on, created_at",
}

var quoted = personal.Store{
	Table: "citations", Of: "x.insight_id IN (SELECT i.id FROM insights i WHERE i.org_id = $1 AND " + personal.OfSession("i.session_id") +
		" AND i.kind <> 'COACH_SKILL' AND i.retracted_at IS NULL)",
	Copy: "insight_id, quote, start_ms, end_ms",
}

// Copy handles JobExport: it makes a zip of what is kept of a client and may be given to the client, and keeps it for a day.
//
// A client who signs in gets all of it, whoever has asked. To a client who does not the coach hands it on, and so it has the conversations
// with that coach alone.
func (s *Service) Copy(ctx context.Context, job jobs.Job) (err error) {
	defer fault.Wrap(&err, "privacy.Copy(%s)", job.Entity)
	r, ok, err := s.running(ctx, job)
	if err != nil || !ok {
		return err
	}
	var coach *id.UUID
	if err := s.db.QueryRow(ctx, `
		UPDATE data_requests r SET coach_id = CASE WHEN c.user_id IS NULL THEN c.coach_id END
		FROM clients c WHERE r.org_id = $1 AND r.id = $2 AND c.org_id = $1 AND c.id = r.client_id RETURNING r.coach_id`, job.Org, r.ID).Scan(&coach); err != nil {
		return err
	}
	counts := map[string]int{}
	var file bytes.Buffer
	z := zip.NewWriter(&file)
	var contents []string
	for _, store := range append([]personal.Store{found, quoted}, s.stores...) {
		if store.Copy == "" {
			continue
		}
		rows, err := s.copied(ctx, job.Org, r, coach, store)
		if err != nil {
			return fmt.Errorf("%s: %w", store.Table, err)
		}
		counts[store.Table] = len(rows)
		if err := writeJSON(z, store.Table+".json", rows); err != nil {
			return err
		}
		contents = append(contents, fmt.Sprintf("%-28s %d", store.Table+".json", len(rows)))
	}
	spoken, err := s.transcribed(ctx, job.Org, r, coach, z)
	if err != nil {
		return err
	}
	counts["transcripts"] = len(spoken)
	contents = append(contents, fmt.Sprintf("%-28s %d", "transcripts/", len(spoken)))
	if err := write(z, "README.txt", []byte(readme+strings.Join(contents, "\n")+"\n")); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	if file.Len() > blob.MaxBytes {
		return jobs.Permanent(fmt.Errorf("the copy has %d bytes", file.Len()), "COPY_TOO_LARGE")
	}
	key := copyKey(job.Org, r.ID.UUID)
	if err := s.files.Put(ctx, key, "application/zip", file.Bytes()); errors.Is(err, blob.ErrExists) { // of an attempt that came this far; what is kept has changed since
		if err := s.files.Delete(ctx, key); err != nil {
			return err
		}
		if err := s.files.Put(ctx, key, "application/zip", file.Bytes()); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	if err := postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE data_requests SET counts = '{}', transcript_ids = $3 WHERE org_id = $1 AND id = $2 AND status = 'RUNNING'`, job.Org, r.ID, spoken); err != nil {
			return err
		}
		return add(ctx, tx, "data_requests", job.Org, r.ID.UUID, counts)
	}); err != nil {
		return err
	}
	return s.complete(ctx, job.Org, r, "privacy.copy")
}

const readme = `This is a copy of what is kept about you here.

*.json        one file for each kind of thing, a list of objects; times are in UTC
transcripts/  your conversations: .txt to read, and .vtt for players and editors where it is known when each thing was said

Not in it, because it is about other people or belongs to them: other people's private notes, evidence of your coach's skills and
measures of how your coach speaks, and the tags by which your coach keeps order. Who has this file from your coach has the
conversations with that coach.

What there is:

`

// with are the conditions that a row belongs to the work with one coach, $4. What is not here belongs to the client alone.
var with = map[string]string{
	"insights":            held("x.session_id"),
	"citations":           held("(SELECT i.session_id FROM insights i WHERE i.org_id = $1 AND i.id = x.insight_id)"),
	"sessions":            held("x.id"),
	"participants":        held("x.session_id"),
	"agenda_topics":       held("x.session_id"),
	"engagements":         "x.coach_id = $4",
	"remembered_speakers": "x.coach_id = $4",
	"goals":               "x.coach_id = $4",
	"goal_check_ins":      "x.goal_id IN (SELECT g.id FROM goals g WHERE g.org_id = $1 AND g.coach_id = $4)",
	"action_items":        "x.coach_id = $4",
	"themes":              "x.coach_id = $4",
	"notes":               "x.author_id = $4",
	"note_versions":       "x.note_id IN (SELECT n.id FROM notes n WHERE n.org_id = $1 AND n.author_id = $4)",
}

func held(session string) string {
	return session + ` IN (SELECT s.id FROM sessions s WHERE s.org_id = $1 AND s.coach_id = $4)`
}

func (s *Service) copied(ctx context.Context, organization id.UUID, r *Request, coach *id.UUID, store personal.Store) ([]json.RawMessage, error) {
	where := `x.org_id = $1 AND $2::uuid IS NOT NULL AND ($3::uuid IS NULL OR true) AND ($4::uuid IS NULL OR true) AND (` + store.Of + `)`
	if store.Shown != "" {
		where += ` AND (` + store.Shown + `)`
	}
	if theirs, restricted := with[store.Table]; restricted {
		where += ` AND ($4::uuid IS NULL OR ` + theirs + `)`
	}
	rows, err := s.db.Query(ctx, `SELECT to_jsonb(n) FROM (SELECT `+columns(store.Copy)+` FROM `+store.Table+` x WHERE `+where+` ORDER BY x.ctid) n`,
		organization, r.ClientID, s.loginOf(ctx, organization, r), coach)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[json.RawMessage])
}

// loginOf is the client's login, for conditions about what the client has written or was told.
func (s *Service) loginOf(ctx context.Context, organization id.UUID, r *Request) (user *id.UUID) {
	if err := s.db.QueryRow(ctx, `SELECT user_id FROM clients WHERE org_id = $1 AND id = $2`, organization, r.ClientID).Scan(&user); err != nil {
		return nil
	}
	return user
}

func columns(list string) string {
	names := strings.Split(list, ", ")
	for i, name := range names {
		names[i] = "x." + name
	}
	return strings.Join(names, ", ")
}

// transcribed writes the transcripts, shared or not: what somebody has said is theirs to have.
func (s *Service) transcribed(ctx context.Context, organization id.UUID, r *Request, coach *id.UUID, z *zip.Writer) (keys []id.UUID, err error) {
	rows, err := s.db.Query(ctx, `
		SELECT t.id, to_char(s.starts_at, 'YYYY-MM-DD') || '-version-' || t.version FROM transcripts t JOIN sessions s ON s.org_id = $1 AND s.id = t.session_id
		WHERE t.org_id = $1 AND t.utterance_count > 0 AND `+personal.OfSession("t.session_id")+` AND ($3::uuid IS NULL OR s.coach_id = $3) ORDER BY s.starts_at, s.id, t.version`,
		organization, r.ClientID, coach)
	if err != nil {
		return nil, err
	}
	type spoken struct {
		key  transcript.ID
		name string
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (t spoken, err error) { return t, row.Scan(&t.key, &t.name) })
	if err != nil {
		return nil, err
	}
	keys = []id.UUID{} // a copy without a transcript is a copy
	for i, t := range all {
		keys = append(keys, t.key.UUID)
		name := fmt.Sprintf("transcripts/%03d-%s", i+1, t.name)
		for extension, f := range map[string]format.Format{".vtt": format.WebVTT, ".txt": format.Text} {
			var content bytes.Buffer
			var why *fault.Error
			if err := s.transcripts.WriteAs(ctx, organization, t.key, &content, f); errors.As(err, &why) && why.Code == format.CodeNoTimes {
				continue // nobody knows when each thing was said, and WebVTT cannot do without
			} else if err != nil {
				return nil, err
			}
			if err := write(z, name+extension, content.Bytes()); err != nil {
				return nil, err
			}
		}
	}
	return keys, nil
}

func writeJSON(z *zip.Writer, name string, rows []json.RawMessage) error {
	if rows == nil {
		rows = []json.RawMessage{}
	}
	content, err := json.MarshalIndent(rows, "", "  ")
	if err != nil {
		return err
	}
	return write(z, name, append(content, '\n'))
}

func write(z *zip.Writer, name string, content []byte) error {
	w, err := z.Create(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, bytes.NewReader(content))
	return err
}
