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
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/audit"
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
//
// It is of one moment. An erasure removes the copies that it finds, whosever they are, for whoever goes may be named in any of them; a copy
// that it could not find, because it was being made, is none.
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
	var made *copied
	if err := postgres.Snapshot(ctx, s.db, func(tx pgx.Tx) error {
		made, err = s.gather(ctx, tx, job.Org, r, coach)
		return err
	}); err != nil {
		return err
	}
	if len(made.file) > blob.MaxBytes {
		return jobs.Permanent(fmt.Errorf("the copy has %d bytes", len(made.file)), "COPY_TOO_LARGE")
	}
	key := copyKey(job.Org, r.ID.UUID)
	if err := s.files.Put(ctx, key, "application/zip", made.file); errors.Is(err, blob.ErrExists) { // of an attempt that came this far; what is kept has changed since
		if err := s.files.Delete(ctx, key); err != nil {
			return err
		}
		if err := s.files.Put(ctx, key, "application/zip", made.file); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		if err := s.complete(ctx, tx, job.Org, r, "privacy.copy"); err != nil {
			return err
		}
		// The request's row is locked here, and by the erasure when it looks for copies: one of the two sees the other.
		var stale bool
		if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM data_requests WHERE org_id = $1 AND kind = 'ERASURE' AND (status = 'RUNNING' OR completed_at >= $2))`,
			job.Org, made.at).Scan(&stale); err != nil {
			return err
		}
		if stale {
			return errStale
		}
		if _, err := tx.Exec(ctx, `UPDATE data_requests SET counts = '{}', transcript_ids = $3 WHERE org_id = $1 AND id = $2`, job.Org, r.ID, made.transcripts); err != nil {
			return err
		}
		return add(ctx, tx, "data_requests", job.Org, r.ID.UUID, made.counts)
	})
	if !errors.Is(err, errStale) {
		return err
	}
	if err := s.files.Delete(ctx, key); err != nil {
		return err
	}
	var erased bool
	if err := s.db.QueryRow(ctx, `SELECT EXISTS (SELECT FROM data_requests WHERE org_id = $1 AND client_id = $2 AND kind = 'ERASURE' AND status IN ('RUNNING', 'COMPLETED'))`,
		job.Org, r.ClientID).Scan(&erased); err != nil {
		return err
	}
	if erased {
		return jobs.Permanent(errStale, audit.CodeErased)
	}
	return jobs.Snooze(afterErasure)
}

var errStale = errors.New("somebody was erased while the copy was made")

// afterErasure is how long a copy waits for an erasure.
const afterErasure = 5 * time.Second

// copied is what a copy is made of.
type copied struct {
	at          time.Time // the moment that it is of
	file        []byte
	counts      map[string]int
	transcripts []id.UUID
}

// gather makes the zip of what tx sees.
func (s *Service) gather(ctx context.Context, tx pgx.Tx, organization id.UUID, r *Request, coach *id.UUID) (*copied, error) {
	c := &copied{counts: map[string]int{}}
	var login *id.UUID // for conditions about what the client has written or was told
	if err := tx.QueryRow(ctx, `SELECT now(), user_id FROM clients WHERE org_id = $1 AND id = $2`, organization, r.ClientID).Scan(&c.at, &login); err != nil {
		return nil, err
	}
	var file bytes.Buffer
	z := zip.NewWriter(&file)
	var contents []string
	for _, store := range append([]personal.Store{found, quoted}, s.stores...) {
		if store.Copy == "" {
			continue
		}
		rows, err := ofStore(ctx, tx, organization, r, login, coach, store)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", store.Table, err)
		}
		c.counts[store.Table] = len(rows)
		if err := writeJSON(z, store.Table+".json", rows); err != nil {
			return nil, err
		}
		contents = append(contents, fmt.Sprintf("%-28s %d", store.Table+".json", len(rows)))
	}
	var err error
	if c.transcripts, err = s.transcribed(ctx, tx, organization, r, coach, z); err != nil {
		return nil, err
	}
	c.counts["transcripts"] = len(c.transcripts)
	contents = append(contents, fmt.Sprintf("%-28s %d", "transcripts/", len(c.transcripts)))
	if err := write(z, "README.txt", []byte(readme+strings.Join(contents, "\n")+"\n")); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	c.file = file.Bytes()
	return c, nil
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

func ofStore(ctx context.Context, tx pgx.Tx, organization id.UUID, r *Request, login, coach *id.UUID, store personal.Store) ([]json.RawMessage, error) {
	where := `x.org_id = $1 AND $2::uuid IS NOT NULL AND ($3::uuid IS NULL OR true) AND ($4::uuid IS NULL OR true) AND (` + store.Of + `)`
	if store.Shown != "" {
		where += ` AND (` + store.Shown + `)`
	}
	if theirs, restricted := with[store.Table]; restricted {
		where += ` AND ($4::uuid IS NULL OR ` + theirs + `)`
	}
	rows, err := tx.Query(ctx, `SELECT to_jsonb(n) FROM (SELECT `+columns(store.Copy)+` FROM `+store.Table+` x WHERE `+where+` ORDER BY x.ctid) n`,
		organization, r.ClientID, login, coach)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[json.RawMessage])
}

func columns(list string) string {
	names := strings.Split(list, ", ")
	for i, name := range names {
		names[i] = "x." + name
	}
	return strings.Join(names, ", ")
}

// transcribed writes the transcripts, shared or not: what somebody has said is theirs to have.
func (s *Service) transcribed(ctx context.Context, tx pgx.Tx, organization id.UUID, r *Request, coach *id.UUID, z *zip.Writer) (keys []id.UUID, err error) {
	rows, err := tx.Query(ctx, `
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
			if err := s.transcripts.WriteAs(ctx, tx, organization, t.key, &content, f); errors.As(err, &why) && why.Code == format.CodeNoTimes {
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
