package transcript

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/transcript/format"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/blob"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// ExportFormat is what a transcript can be taken away as.
type ExportFormat string

// Original is the imported file, byte for byte; the other formats are those of package format, in the words and with the
// speakers as they are now.
const Original ExportFormat = "ORIGINAL"

const exportValid = 15 * time.Minute

// exports are the file types that transcripts are written in.
var exports = map[ExportFormat]struct {
	format      format.Format
	extension   string
	contentType string
}{
	"WEBVTT": {format.WebVTT, ".vtt", "text/vtt; charset=utf-8"},
	"SUBRIP": {format.SubRip, ".srt", "application/x-subrip; charset=utf-8"},
	"TEXT":   {format.Text, ".txt", "text/plain; charset=utf-8"},
	"JSON":   {format.JSON, ".json", "application/json"},
}

// ExportInput says what is to be taken away, and as what.
type ExportInput struct {
	TranscriptID ID
	Format       ExportFormat
}

// Export is a link to a transcript's file.
type Export struct {
	URL       string
	Filename  string
	ExpiresAt time.Time
}

// Export writes a transcript to a file and returns a link to it, for its coach and, once it is shared, for its client. The
// original is the coach's alone: it says what the corrections have taken out.
func (s *Service) Export(ctx context.Context, in ExportInput) (_ *Export, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "transcript.Export(%s)", in.TranscriptID)
	t, err := s.Get(ctx, in.TranscriptID)
	if err != nil {
		return nil, err
	}
	if !t.Any(auth.AsCoach|auth.AsClient) || in.Format == Original && !t.Any(auth.AsCoach) {
		return nil, fault.Forbidden("only the coach can export this")
	}
	// Written down before the link exists: what has been handed out cannot be taken back.
	meeting, err := s.sessions.Get(ctx, t.SessionID)
	if err != nil {
		return nil, err
	}
	record := func() error {
		return postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
			return audit.Record(ctx, tx, v, entry("transcript.export", t.ID, meeting.Ref(v.Org)))
		})
	}
	if in.Format == Original {
		if err := record(); err != nil {
			return nil, err
		}
		return s.exportOriginal(ctx, v, t, meeting.ClientID)
	}
	kind, known := exports[in.Format]
	if !known {
		return nil, fault.Invalid("format", "%q is no export format", in.Format)
	}
	if t.Status == Uploading || t.Status == Uploaded || t.Status == Parsing {
		return nil, fault.Conflict("the transcript has not been read yet")
	}
	doc, err := document(ctx, s.db, v.Org, t.ID)
	if err != nil {
		return nil, err
	}
	var content bytes.Buffer
	if err := format.Export(&content, doc, kind.format); err != nil {
		return nil, err
	}
	if err := record(); err != nil {
		return nil, err
	}
	name := fmt.Sprintf("transcript-%s%s", t.CreatedAt.UTC().Format(time.DateOnly), kind.extension)
	return s.handOut(ctx, v, t.ID, meeting.ClientID, name, kind.contentType, content.Bytes())
}

// RecordExport writes down that transcripts are handed out to the viewer, in the caller's transaction; for the domains above. Of what is gone
// from here since, the file that is handed out still has the words.
func (s *Service) RecordExport(ctx context.Context, tx pgx.Tx, v auth.Viewer, keys []id.UUID) error {
	rows, err := tx.Query(ctx, `
		SELECT k.id, coalesce(s.client_id, '00000000-0000-0000-0000-000000000000') FROM unnest($2::uuid[]) WITH ORDINALITY AS k (id, place)
		LEFT JOIN transcripts t ON t.org_id = $1 AND t.id = k.id LEFT JOIN sessions s ON s.org_id = $1 AND s.id = t.session_id ORDER BY k.place`, v.Org, keys)
	if err != nil {
		return err
	}
	entries, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (e audit.Entry, err error) {
		err = row.Scan(&e.ID, &e.ClientID)
		e.Action, e.Kind = "transcript.export", "transcript"
		return e, err
	})
	if err != nil {
		return err
	}
	return audit.Record(ctx, tx, v, entries...)
}

// WriteAs writes a transcript that has been read in a format, in the words and with the speakers that db sees; for the domains above.
func (s *Service) WriteAs(ctx context.Context, db postgres.DB, organization id.UUID, key ID, w io.Writer, f format.Format) error {
	doc, err := document(ctx, db, organization, key)
	if err != nil {
		return err
	}
	return format.Export(w, doc, f)
}

func (s *Service) exportOriginal(ctx context.Context, v auth.Viewer, t *Transcript, about client.ID) (*Export, error) {
	var where *string
	var content []byte
	if err := s.db.QueryRow(ctx, `
		SELECT t.blob_key, o.content FROM transcripts t
		LEFT JOIN transcript_originals o ON o.org_id = t.org_id AND o.transcript_id = t.id
		WHERE t.org_id = $1 AND t.id = $2`, v.Org, t.ID).Scan(&where, &content); err != nil {
		return nil, err
	}
	name := "original"
	if t.Filename != nil {
		name = *t.Filename
	}
	if content != nil || where == nil { // on its way to the store
		return s.handOut(ctx, v, t.ID, about, name, uploadType, content)
	}
	file, _, err := s.files.Open(ctx, *where)
	if fault.KindOf(err) == fault.KindNotFound {
		if t.Status == Uploading {
			return nil, fault.Conflict("the file has not been sent yet")
		}
		// It was there once: it has been removed by hand, or files are kept in another store since.
		return nil, fault.Conflict("the original is not where files are kept now; whoever looks after this installation can say where it is").WithCode(fileMissing)
	} else if err != nil {
		return nil, err
	}
	if err := file.Close(); err != nil {
		return nil, err
	}
	return s.link(ctx, *where, name, uploadType)
}

// handOut keeps content for as long as its link may be followed, and a little longer. It is noted before, so that it can go with the
// transcript; one that has gone meanwhile takes it along.
func (s *Service) handOut(ctx context.Context, v auth.Viewer, of ID, about client.ID, name, contentType string, content []byte) (*Export, error) {
	key := blob.Temporary + v.Org.String() + "/" + id.New().String()
	if _, err := s.db.Exec(ctx, `INSERT INTO transcript_exports (org_id, transcript_id, blob_key) VALUES ($1, $2, $3)`, v.Org, of, key); err != nil {
		return nil, err
	}
	if err := s.files.Put(ctx, key, contentType, content); err != nil {
		return nil, err
	}
	if err := postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		if err := audit.RequireKept(ctx, tx, v.Org, about.UUID); err != nil {
			return err
		}
		var noted bool
		if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM transcript_exports WHERE org_id = $1 AND transcript_id = $2 AND blob_key = $3)`, v.Org, of, key).Scan(&noted); err != nil || noted {
			return err
		}
		return fault.NotFound("transcript")
	}); err != nil {
		return nil, errors.Join(err, s.files.Delete(ctx, key))
	}
	return s.link(ctx, key, name, contentType)
}

func (s *Service) link(ctx context.Context, key, name, contentType string) (*Export, error) {
	l, err := s.files.DownloadLink(ctx, key, name, contentType, exportValid)
	if err != nil {
		return nil, err
	}
	return &Export{URL: l.URL, Filename: name, ExpiresAt: l.ExpiresAt}, nil
}

// document is the transcript as a file would say it: speakers by the names they are shown by, words as they are now.
func document(ctx context.Context, db postgres.DB, organization id.UUID, key ID) (*format.Document, error) {
	c, err := read(ctx, db, organization, key)
	if err != nil {
		return nil, err
	}
	doc := &format.Document{Language: c.Language}
	place, taken := map[int]int{}, map[string]bool{}
	for i, u := range c.Utterances {
		at, known := place[u.Speaker]
		if !known {
			at = len(doc.Speakers)
			place[u.Speaker] = at
			doc.Speakers = append(doc.Speakers, unused(c.Speakers[u.Speaker].Name, taken))
		}
		doc.Utterances = append(doc.Utterances, format.Utterance{Speaker: at, StartMs: u.StartMs, EndMs: u.EndMs, Text: u.Text, Cues: c.Cues[i]})
	}
	return doc, nil
}

// unused tells two speakers of one name apart, whom a file would make one.
func unused(name string, taken map[string]bool) string {
	out := name
	for n := 2; taken[out]; n++ {
		out = fmt.Sprintf("%s (%d)", name, n)
	}
	taken[out] = true
	return out
}
