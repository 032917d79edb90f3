package transcript

import (
	"context"
	"io"
	"slices"
	"time"

	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/coaching/transcript/format"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/check"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
)

// RevisionID identifies a revision of an utterance: revision_….
type RevisionID struct{ id.UUID }

func (i RevisionID) String() string { return id.Format("revision", i.UUID) }

// MarshalGQL implements graphql.Marshaler.
func (i RevisionID) MarshalGQL(w io.Writer) { id.Write(w, "revision", i.UUID) }

// UnmarshalGQL implements graphql.Unmarshaler.
func (i *RevisionID) UnmarshalGQL(v any) error { return id.Read(v, "revision", &i.UUID) }

// Revision is what an utterance should have said, as a person says it. The utterance itself stays as it was imported.
type Revision struct {
	auth.Grants
	ID       RevisionID
	Text     string
	AuthorID org.UserID
	At       time.Time

	transcriptID ID
	clientID     id.UUID
}

// IsNode marks a Relay node.
func (*Revision) IsNode() {}

// ReviseInput are the words of an utterance as they should be.
type ReviseInput struct {
	UtteranceID UtteranceID
	Text        string
}

// maxRevised is the longest text of a revision in characters: far more than anybody says in one breath.
const maxRevised = 100_000

// maxRevisions is how often an utterance is corrected at most: they are read without pages.
const maxRevisions = 50

// Revise corrects the words of an utterance. The edit is nil if they are the same.
func (s *Service) Revise(ctx context.Context, in ReviseInput) (_ *Utterance, _ *Edit, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, nil, err
	}
	get := func() (*Utterance, error) {
		return page.Get(ctx, s.db, v, utterances, scope(v, "u.org_id"), in.UtteranceID.UUID, "utterance")
	}
	u, err := get()
	if err != nil {
		return nil, nil, err
	}
	defer fault.Wrap(&err, "transcript.Revise(%s)", in.UtteranceID)
	if !u.Any(auth.AsCoach) {
		return nil, nil, fault.Forbidden("only the coach can correct what was said")
	}
	var problems check.Input
	text := problems.Line("text", in.Text, maxRevised)
	if err := problems.Err(); err != nil {
		return nil, nil, err
	}
	edit, err := s.edit(ctx, v, u.TranscriptID, EditRevise, func(e *editing) error {
		var was string
		var cues []format.Cue
		if err := e.tx.QueryRow(ctx, `SELECT `+currentWords+` FROM utterances u`+joinRevision+` WHERE u.org_id = $1 AND u.id = $2`, v.Org, in.UtteranceID).
			Scan(&was, &cues); err != nil {
			return err
		}
		if was == text {
			return nil
		}
		var often int
		if err := e.tx.QueryRow(ctx, `SELECT count(*) FROM utterance_revisions WHERE org_id = $1 AND utterance_id = $2`, v.Org, in.UtteranceID).Scan(&often); err != nil {
			return err
		}
		if often >= maxRevisions {
			return fault.Conflict("an utterance is corrected at most %d times", maxRevisions)
		}
		revision := RevisionID{id.New()}
		if _, err := e.tx.Exec(ctx, `
			INSERT INTO utterance_revisions (id, org_id, utterance_id, text, cues, latest, author_id) VALUES ($2, $1, $3, $4, $5, false, $6)`,
			v.Org, revision, in.UtteranceID, text, shift(cues, was, text), v.User); err != nil {
			return err
		}
		return e.record(ctx, `
			SELECT 'WORDS', $3::uuid, (SELECT to_jsonb(id) FROM utterance_revisions WHERE org_id = $1 AND utterance_id = $3 AND latest), to_jsonb($4::uuid)`,
			in.UtteranceID, revision)
	})
	if err != nil {
		return nil, nil, err
	}
	u, err = get()
	return u, edit, err
}

// shift places cues in corrected words. Their times stay. A cue that begins before the first word that differs keeps its
// place, one after the last is moved with its words, and one between them goes to the word at the same share of what is new
// there: where a cue falls within reworded speech is nobody's to know, and no cue is dropped or put out of order.
func shift(cues []format.Cue, from, to string) []format.Cue {
	was, is := []rune(from), []rune(to)
	word := func(text []rune, at int) bool { return at == 0 || text[at-1] == ' ' } // begins there
	short := min(len(was), len(is))
	head := 0
	for head < short && was[head] == is[head] {
		head++
	}
	for !word(was, head) {
		head--
	}
	tail := 0
	for tail < short-head && was[len(was)-1-tail] == is[len(is)-1-tail] {
		tail++
	}
	for tail > 0 && !(word(was, len(was)-tail) && word(is, len(is)-tail)) {
		tail--
	}
	shifted := slices.Clone(cues)
	for i, c := range cues {
		switch {
		case c.Offset <= head:
		case c.Offset >= len(was)-tail:
			shifted[i].Offset += len(is) - len(was)
		default:
			at := head + (c.Offset-head)*(len(is)-tail-head)/(len(was)-tail-head)
			for !word(is, at) {
				at--
			}
			shifted[i].Offset = at
		}
	}
	return shifted
}

// RevisionsByIDs returns those of the revisions that the viewer may see.
func (s *Service) RevisionsByIDs(ctx context.Context, ids []id.UUID) (map[id.UUID]*Revision, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	found, err := page.ByIDs(ctx, s.db, v, revisions, coachScope(v, "r.org_id"), ids)
	for _, r := range found {
		r.shown(ctx, v)
	}
	return found, err
}

// Revisions returns how each utterance was corrected, latest last, in the order of the utterances.
func (s *Service) Revisions(ctx context.Context, utterances []id.UUID) ([][]*Revision, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	found, err := page.AllChildren(ctx, s.db, v, revisions, coachScope(v, "r.org_id"), page.Filter{}, revisionsInOrder, "r.utterance_id", utterances, maxRevisions)
	for _, of := range found {
		for _, r := range of {
			r.shown(ctx, v)
		}
	}
	return found, err
}

func (r *Revision) shown(ctx context.Context, v auth.Viewer) {
	Shown(ctx, v, r.transcriptID, r.clientID, "revisions")
}

var revisions = page.Table[Revision]{
	From: "utterance_revisions r JOIN utterances u ON u.org_id = $1 AND u.id = r.utterance_id " +
		"JOIN transcripts t ON t.org_id = $1 AND t.id = u.transcript_id" + joinSession,
	ID:      "r.id",
	Columns: "r.id, r.text, r.author_id, r.created_at, u.transcript_id, s.client_id",
	Dest: func(r *Revision) []any {
		return []any{&r.Grants, &r.ID, &r.Text, &r.AuthorID, &r.At, &r.transcriptID, &r.clientID}
	},
	Key: func(r *Revision) id.UUID { return r.ID.UUID },
}

var revisionsInOrder = page.Order[Revision]{Name: "revision", Keys: []page.Key[Revision]{
	{SQL: "r.created_at", Type: "timestamptz", Of: func(r *Revision) string { return page.Time(r.At) }},
	{SQL: "r.id", Type: "uuid", Of: func(r *Revision) string { return r.ID.UUID.String() }},
}}
