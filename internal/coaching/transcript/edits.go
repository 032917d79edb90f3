package transcript

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/page"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// EditID identifies an edit: edit_….
type EditID struct{ id.UUID }

func (i EditID) String() string { return id.Format("edit", i.UUID) }

// MarshalGQL implements graphql.Marshaler.
func (i EditID) MarshalGQL(w io.Writer) { id.Write(w, "edit", i.UUID) }

// UnmarshalGQL implements graphql.Unmarshaler.
func (i *EditID) UnmarshalGQL(v any) error { return id.Read(v, "edit", &i.UUID) }

// EditKind is what an edit does.
type EditKind string

// The kinds of edit.
const (
	EditRename   EditKind = "RENAME"
	EditRoles    EditKind = "ROLES"
	EditMerge    EditKind = "MERGE"
	EditSplit    EditKind = "SPLIT"
	EditReassign EditKind = "REASSIGN"
	EditRevise   EditKind = "REVISE"
)

// Edit is a correction of a transcript by a person, which can be undone.
type Edit struct {
	auth.Grants
	ID             EditID
	TranscriptID   ID
	Number         int // among the transcript's, from 1
	Kind           EditKind
	AuthorID       org.UserID
	At             time.Time
	UndoneAt       *time.Time
	SpeakerIDs     []SpeakerID // whom it concerns
	UtteranceCount int         // how many lines it changes
}

// IsNode marks a Relay node.
func (*Edit) IsNode() {}

// Undone tells whether the edit was undone.
func (e *Edit) Undone() bool { return e.UndoneAt != nil }

// UndoEditInput names an edit to undo.
type UndoEditInput struct {
	EditID EditID
}

// An edit is a set of changes, each of one facet of a speaker or an utterance, from a value to a value. To do the edit is
// to write all the values after, to undo it all the values before: one function (write) does both. Values are JSON; SQL's
// NULL is the value of what is not there.
const (
	facetName     = "NAME"     // of a speaker: display_name
	facetRole     = "ROLE"     // of a speaker: {role, by} as a person set it; NULL while a suggestion stands
	facetPresence = "PRESENCE" // of a speaker: true, or the id of the one it was merged into; NULL before it was split off
	facetSpeaker  = "SPEAKER"  // of an utterance: the id of who says it
	facetWords    = "WORDS"    // of an utterance: the id of the revision that counts; NULL while the imported words do
)

// A change from a value to itself says that the edit relies on it: lines can go only to a speaker who is there. So two
// edits are independent of each other if neither changes what the other changes or relies on, and an edit can be undone
// as long as all later ones that stand are independent of it.
const laterInTheWay = `
	SELECT l.id FROM transcript_edits l
	WHERE l.org_id = $1 AND l.transcript_id = $3 AND l.number > $4 AND l.undone_at IS NULL AND EXISTS (
		SELECT FROM transcript_edit_changes mine
		JOIN transcript_edit_changes theirs ON theirs.org_id = $1 AND theirs.subject_id = mine.subject_id AND theirs.facet = mine.facet
		WHERE mine.org_id = $1 AND mine.edit_id = $2 AND theirs.edit_id = l.id
		AND (mine.before IS DISTINCT FROM mine.after OR theirs.before IS DISTINCT FROM theirs.after))
	ORDER BY l.number DESC LIMIT 1`

// audited is what the trail says of each kind of edit, about the transcript as a whole.
var audited = map[EditKind]struct{ action, field string }{
	EditRename:   {"speaker.rename", "displayName"},
	EditRoles:    {"speaker.setRole", "role"},
	EditMerge:    {"speaker.merge", "mergedInto"},
	EditSplit:    {"speaker.split", "speaker"},
	EditReassign: {"utterance.reassign", "speaker"},
	EditRevise:   {"utterance.revise", "text"},
}

// editing is an edit at work on a transcript, whose row it holds locked.
type editing struct {
	tx  pgx.Tx
	v   auth.Viewer
	ref session.Ref
	key ID // the transcript's
	id  EditID
	// remembered says that what is remembered of a speaker was changed, which is no part of the edit.
	remembered bool
}

// edit makes an edit: propose checks under the lock what has to hold, and records what is to change. If that is nothing
// there is no edit, and nil is returned; but an analysis that had failed is tried again. What rests on the transcript follows: suggested roles at once, measures and
// insights by a job; several edits in a row share one.
func (s *Service) edit(ctx context.Context, v auth.Viewer, key ID, kind EditKind, propose func(*editing) error) (*Edit, error) {
	made := false
	e := &editing{v: v, key: key, id: EditID{id.New()}}
	err := postgres.InTx(ctx, s.db, func(tx pgx.Tx) (err error) {
		e.tx = tx
		var status Status
		if e.ref, status, err = s.Hold(ctx, tx, v.Org, key); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
			INSERT INTO transcript_edits (id, org_id, transcript_id, number, kind, author_id)
			SELECT $2, $1, $3, 1 + coalesce(max(number), 0), $4, $5 FROM transcript_edits WHERE org_id = $1 AND transcript_id = $3`,
			v.Org, e.id, key, kind, v.User); err != nil {
			return err
		}
		if err := propose(e); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, `
			SELECT EXISTS (SELECT FROM transcript_edit_changes WHERE org_id = $1 AND edit_id = $2 AND before IS DISTINCT FROM after)`,
			v.Org, e.id).Scan(&made); err != nil {
			return err
		}
		if made || e.remembered {
			what := audited[kind]
			if err := audit.Record(ctx, tx, v, entry(what.action, key, e.ref, what.field)); err != nil {
				return err
			}
		}
		if !made {
			if _, err := tx.Exec(ctx, `DELETE FROM transcript_edits WHERE org_id = $1 AND id = $2`, v.Org, e.id); err != nil || status != Failed {
				return err
			}
			return s.follow(ctx, e)
		}
		if err := e.write(ctx, "after"); err != nil {
			return err
		}
		return s.follow(ctx, e)
	})
	if err != nil || !made {
		return nil, err
	}
	return s.getEdit(ctx, v, e.id)
}

// record adds changes: rows of facet, subject, before and after. In rows $1 is the organization; args begin with $3.
func (e *editing) record(ctx context.Context, rows string, args ...any) error {
	_, err := e.tx.Exec(ctx, `
		INSERT INTO transcript_edit_changes (org_id, edit_id, facet, subject_id, before, after)
		SELECT $1::uuid, $2::uuid, c.* FROM (`+rows+`) AS c (facet, subject_id, before, after)`, append([]any{e.v.Org, e.id}, args...)...)
	return err
}

// present checks that speakers can be changed: they have not been merged meanwhile, and a split has not been undone.
func (e *editing) present(ctx context.Context, field string, keys ...SpeakerID) error {
	var there, merged int
	if err := e.tx.QueryRow(ctx, `SELECT count(*), count(merged_into) FROM speakers WHERE org_id = $1 AND id = ANY($2)`, e.v.Org, keys).
		Scan(&there, &merged); err != nil {
		return err
	}
	switch {
	case there < len(keys):
		return fault.NotFound("speaker")
	case merged > 0:
		return inTheWay(field, "was merged into another speaker; undo that first, or name the other one").WithCode("MERGED")
	}
	return nil
}

func inTheWay(field, format string, args ...any) *fault.Error {
	f := fault.Conflict(format, args...)
	f.Field = field
	return f
}

// write sets each facet that the edit changes to its value on one side: before or after.
func (e *editing) write(ctx context.Context, side string) error {
	changes := fmt.Sprintf(`(SELECT subject_id, before, after, %s AS value FROM transcript_edit_changes
		WHERE org_id = $1 AND edit_id = $2 AND facet = $3 AND before IS DISTINCT FROM after) c`, side)
	for _, w := range []struct{ facet, statement string }{
		{facetName, `UPDATE speakers sp SET display_name = c.value #>> '{}' FROM ` + changes + ` WHERE sp.org_id = $1 AND sp.id = c.subject_id`},
		{facetRole, `UPDATE speakers sp SET role = coalesce(c.value ->> 'role', 'UNKNOWN'), role_set_by = (c.value ->> 'by')::uuid,
				role_confidence = CASE WHEN c.value IS NULL THEN 0 END, role_reason = NULL
			FROM ` + changes + ` WHERE sp.org_id = $1 AND sp.id = c.subject_id`},
		{facetSpeaker, `UPDATE utterances u SET speaker_id = (c.value #>> '{}')::uuid FROM ` + changes + ` WHERE u.org_id = $1 AND u.id = c.subject_id`},
		{facetPresence, `UPDATE speakers sp SET merged_into = CASE jsonb_typeof(c.value) WHEN 'string' THEN (c.value #>> '{}')::uuid END
			FROM ` + changes + ` WHERE sp.org_id = $1 AND sp.id = c.subject_id`},
		{facetPresence, `DELETE FROM speakers sp USING ` + changes + ` WHERE sp.org_id = $1 AND sp.id = c.subject_id AND c.value IS NULL`},
		// What was undone is not kept: revisions are those that count, or did before a later one.
		{facetWords, `DELETE FROM utterance_revisions r USING ` + changes + ` WHERE r.org_id = $1 AND r.utterance_id = c.subject_id
			AND to_jsonb(r.id) = c.after AND c.value IS DISTINCT FROM c.after`},
		{facetWords, `UPDATE utterance_revisions r SET latest = false FROM ` + changes + ` WHERE r.org_id = $1 AND r.utterance_id = c.subject_id AND r.latest`},
		{facetWords, `UPDATE utterance_revisions r SET latest = true FROM ` + changes + ` WHERE r.org_id = $1 AND r.utterance_id = c.subject_id
			AND to_jsonb(r.id) = c.value`},
	} {
		if _, err := e.tx.Exec(ctx, w.statement, e.v.Org, e.id, w.facet); err != nil {
			return fmt.Errorf("write %s %s: %w", w.facet, side, err)
		}
	}
	return nil
}

// follow has what rests on the transcript follow a change of it.
func (s *Service) follow(ctx context.Context, e *editing) error {
	if err := suggestRoles(ctx, e.tx, e.ref, e.key); err != nil {
		return err
	}
	if err := jobs.Enqueue(ctx, e.tx, jobs.Job{Org: e.v.Org, Kind: JobAnalyse, Entity: e.key.UUID}); err != nil {
		return err
	}
	if moved, err := s.Advance(ctx, e.tx, e.ref, e.key, Analyzing, NeedsSpeakers, Ready, Failed); err != nil || moved {
		return err // what was done is so no longer
	}
	if _, err := e.tx.Exec(ctx, `UPDATE transcripts SET updated_at = now() WHERE org_id = $1 AND id = $2`, e.v.Org, e.key); err != nil {
		return err
	}
	return s.publishState(ctx, e.tx, e.ref, e.key)
}

// UndoEdit undoes an edit. If it was undone before, or a later edit that stands depends on it or changes the same, that is
// a Conflict, which names the edit that stands in the way; and nothing is undone.
func (s *Service) UndoEdit(ctx context.Context, in UndoEditInput) (_ *Edit, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	before, err := s.getEdit(ctx, v, in.EditID)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "transcript.UndoEdit(%s)", in.EditID)
	e := &editing{v: v, key: before.TranscriptID, id: in.EditID}
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) (err error) {
		e.tx = tx
		if e.ref, _, err = s.Hold(ctx, tx, v.Org, e.key); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `
			UPDATE transcript_edits SET undone_at = now(), undone_by = $3 WHERE org_id = $1 AND id = $2 AND undone_at IS NULL`, v.Org, e.id, v.User)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return inTheWay("editId", "was undone already").WithCode("ALREADY_UNDONE")
		}
		var later EditID
		err = tx.QueryRow(ctx, laterInTheWay, v.Org, e.id, e.key, before.Number).Scan(&later)
		if err == nil {
			return inTheWay("editId", "%s came later and concerns the same lines or speakers; undo that first", later)
		} else if err != pgx.ErrNoRows {
			return err
		}
		if err := e.write(ctx, "before"); err != nil {
			return err
		}
		if err := audit.Record(ctx, tx, v, entry("transcript.undoEdit", e.key, e.ref, "edits")); err != nil {
			return err
		}
		return s.follow(ctx, e)
	})
	if err != nil {
		return nil, err
	}
	return s.getEdit(ctx, v, in.EditID)
}

// EditsByIDs returns those of the edits that the viewer may see.
func (s *Service) EditsByIDs(ctx context.Context, ids []id.UUID) (map[id.UUID]*Edit, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.ByIDs(ctx, s.db, v, edits, coachScope(v, "e.org_id"), ids)
}

// EditsOfTranscripts returns a page of each transcript's edits, latest first, in the order of the transcripts.
func (s *Service) EditsOfTranscripts(ctx context.Context, transcripts []id.UUID, w page.Window) ([]*page.Connection[Edit], error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.Children(ctx, s.db, v, edits, coachScope(v, "e.org_id"), page.Filter{}, latestEditFirst, w, "e.transcript_id", transcripts)
}

// CountEditsOfTranscripts counts what EditsOfTranscripts pages through.
func (s *Service) CountEditsOfTranscripts(ctx context.Context, transcripts []id.UUID) ([]int, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.CountChildren(ctx, s.db, v, edits, coachScope(v, "e.org_id"), page.Filter{}, "e.transcript_id", transcripts)
}

func (s *Service) getEdit(ctx context.Context, v auth.Viewer, key EditID) (*Edit, error) {
	return page.Get(ctx, s.db, v, edits, coachScope(v, "e.org_id"), key.UUID, "edit")
}

// coachScope is the scope of what was done to a transcript, and of what stood there before: the coach alone.
func coachScope(v auth.Viewer, orgColumn string) *page.Scope {
	return session.ConversationScope(v, orgColumn, session.ToRead, "false", "false")
}

var edits = page.Table[Edit]{
	From: "transcript_edits e JOIN transcripts t ON t.org_id = $1 AND t.id = e.transcript_id" + joinSession,
	ID:   "e.id",
	Columns: "e.id, e.transcript_id, e.number, e.kind, e.author_id, e.created_at, e.undone_at, " +
		"ARRAY(SELECT DISTINCT subject_id FROM transcript_edit_changes WHERE org_id = $1 AND edit_id = e.id AND facet IN ('NAME', 'ROLE', 'PRESENCE') ORDER BY 1), " +
		"(SELECT count(*) FROM transcript_edit_changes WHERE org_id = $1 AND edit_id = e.id AND facet IN ('SPEAKER', 'WORDS'))",
	Dest: func(e *Edit) []any {
		return []any{&e.Grants, &e.ID, &e.TranscriptID, &e.Number, &e.Kind, &e.AuthorID, &e.At, &e.UndoneAt, &e.SpeakerIDs, &e.UtteranceCount}
	},
	Key: func(e *Edit) id.UUID { return e.ID.UUID },
}

var latestEditFirst = page.Order[Edit]{Name: "edit-number", Keys: []page.Key[Edit]{
	{SQL: "e.number", Type: "int", Desc: true, Of: func(e *Edit) string { return strconv.Itoa(e.Number) }},
}}
