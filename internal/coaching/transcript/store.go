package transcript

import (
	"strconv"

	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
)

// scope: the coach, the supervisor with the consent of all in the session, and the client it is shared with. It is for any statement
// that joins transcripts t and sessions s.
func scope(v auth.Viewer, orgColumn string) *page.Scope {
	return session.ConversationScope(v, orgColumn, session.ToRead, "true", "t.shared_with_client")
}

const joinSession = " JOIN sessions s ON s.org_id = $1 AND s.id = t.session_id"

var transcripts = page.Table[Transcript]{
	From: "transcripts t" + joinSession,
	ID:   "t.id",
	Columns: "t.id, t.session_id, t.version, t.status, t.failure_code, t.failure_message, t.format, t.filename, t.title, t.language, " +
		"t.duration_ms, encode(t.sha256, 'hex'), t.warnings, t.shared_with_client, t.archived_at, t.created_at, t.updated_at",
	Dest: func(t *Transcript) []any {
		return []any{&t.Grants, &t.ID, &t.SessionID, &t.Version, &t.Status, &t.FailureCode, &t.FailureMessage, &t.Format, &t.Filename, &t.Title, &t.Language,
			&t.DurationMs, &t.Sha256, &t.Warnings, &t.SharedWithClient, &t.ArchivedAt, &t.CreatedAt, &t.UpdatedAt}
	},
	Key: func(t *Transcript) id.UUID { return t.ID.UUID },
}

// Counts is the SQL condition that a transcript is the one of its session which counts for the viewer: of those whose words
// are there and that are not archived the latest that the viewer may see. So a version that is not shared hides none from the client
// that is, and one on its way none that is there. If the viewer may see none, the latest counts: accepted insights are a
// client's to see also without the transcript.
//
// It is for a statement that joins sessions s; the columns hold the session's and the transcript's id. Put as it is,
// PostgreSQL expects it to hold for most rows, and looks at the few that a page needs. It would expect the contrary of a
// comparison with the id.
func Counts(v auth.Viewer, sessionColumn, transcriptColumn string) string {
	rank := "best.version DESC"
	if v.Has(auth.RoleClient) { // who is anything else to a session sees all of its transcripts or none
		rank = "(" + session.ConversationScope(v, "best.org_id", session.ToRead, "true", "best.shared_with_client").Where() + ") DESC, " + rank
	}
	return "(SELECT nullif(best.id = " + transcriptColumn + ", false) FROM transcripts best WHERE best.org_id = $1 AND best.session_id = " + sessionColumn +
		" AND best.archived_at IS NULL AND best.utterance_count > 0 ORDER BY " + rank + " LIMIT 1) IS NOT NULL"
}

var latestFirst = page.Order[Transcript]{Name: "transcript-version", Keys: []page.Key[Transcript]{
	{SQL: "t.version", Type: "int", Desc: true, Of: func(t *Transcript) string { return strconv.Itoa(t.Version) }},
	{SQL: "t.id", Type: "uuid", Desc: true, Of: func(t *Transcript) string { return t.ID.UUID.String() }},
}}

var speakers = page.Table[Speaker]{
	From: "speakers sp JOIN transcripts t ON t.org_id = $1 AND t.id = sp.transcript_id" + joinSession,
	ID:   "sp.id",
	Columns: "sp.id, sp.transcript_id, sp.ordinal, sp.label, sp.display_name, sp.role, sp.role_confidence, sp.role_reason, sp.merged_into, " +
		"EXISTS (SELECT FROM remembered_speakers m WHERE " + remembers("m", "sp", "s.client_id", "s.coach_id") + ")",
	Dest: func(s *Speaker) []any {
		return []any{&s.Grants, &s.ID, &s.TranscriptID, &s.Ordinal, &s.Label, &s.DisplayName, &s.Role, &s.RoleConfidence, &s.RoleReason, &s.MergedIntoID,
			&s.Remembered}
	},
	Key: func(s *Speaker) id.UUID { return s.ID.UUID },
}

var speakersInOrder = page.Order[Speaker]{Name: "speaker", Keys: []page.Key[Speaker]{
	{SQL: "sp.ordinal", Type: "int", Of: func(s *Speaker) string { return strconv.Itoa(s.Ordinal) }},
}}

// The words of an utterance are those of its latest revision, if it has one.
const (
	joinRevision = " LEFT JOIN utterance_revisions r ON r.org_id = $1 AND r.utterance_id = u.id AND r.latest"
	currentWords = "coalesce(r.text, u.text), coalesce(r.cues, u.cues)"
)

var utterances = page.Table[Utterance]{
	From:    "utterances u JOIN transcripts t ON t.org_id = $1 AND t.id = u.transcript_id" + joinSession + joinRevision,
	ID:      "u.id",
	Columns: "u.id, u.transcript_id, u.index, u.speaker_id, u.start_ms, u.end_ms, " + currentWords + ", CASE WHEN r.id IS NOT NULL THEN u.text END, s.client_id",
	Dest: func(u *Utterance) []any {
		return []any{&u.Grants, &u.ID, &u.TranscriptID, &u.Index, &u.SpeakerID, &u.StartMs, &u.EndMs, &u.Text, &u.Cues, &u.OriginalText, &u.clientID}
	},
	Key: func(u *Utterance) id.UUID { return u.ID.UUID },
}

var places = page.Table[Place]{
	From:    "utterances u JOIN transcripts t ON t.org_id = $1 AND t.id = u.transcript_id" + joinSession,
	ID:      "u.id",
	Columns: "u.id, u.transcript_id, u.index",
	Dest:    func(p *Place) []any { return []any{&p.Grants, &p.ID, &p.TranscriptID, &p.Index} },
	Key:     func(p *Place) id.UUID { return p.ID.UUID },
}

var longestFirst = page.Order[Place]{Name: "longest", Keys: []page.Key[Place]{{SQL: "octet_length(u.text)", Type: "int", Desc: true}, {SQL: "u.index", Type: "int"}}}

var utterancesInOrder = page.Order[Utterance]{Name: "utterance", Keys: []page.Key[Utterance]{
	{SQL: "u.index", Type: "int", Of: func(u *Utterance) string { return strconv.Itoa(u.Index) }},
}}
