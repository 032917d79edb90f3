package insight

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// Digest is what an analysis says about the whole of a conversation.
type Digest struct {
	auth.Grants
	TranscriptID transcript.ID
	clientID     id.UUID
	points       []digestPoint
	skills       []digestSkill
}

// Summary is a conversation in a few statements, each with the words it rests on.
type Summary struct{ Sections []SummarySection }

// SummarySection is a part of a summary; never empty.
type SummarySection struct {
	Heading Heading
	Points  []SummaryPoint
}

// SummaryPoint is one statement.
type SummaryPoint struct {
	Text      string
	Citations []Passage
}

// SkillEvidence is what the conversation shows of a skill of the coach.
type SkillEvidence struct {
	Skill     Skill
	Level     EvidenceLevel
	Paragraph string
	Citations []Passage
}

// Passage is a verbatim quote and where it was said.
type Passage struct {
	transcript.Span
	Quote   string
	StartMs *int64
	EndMs   *int64
}

// Summary is nil if there is nothing to say; of a nil Digest, too.
func (d *Digest) Summary() *Summary {
	if d == nil {
		return nil
	}
	var s Summary
	for _, heading := range []Heading{HeadingTopics, HeadingTurningPoints, HeadingObstacles, HeadingAgreements, HeadingConcerns} {
		var points []SummaryPoint
		for _, p := range d.points {
			if p.Heading == heading {
				points = append(points, SummaryPoint{Text: p.Text, Citations: d.passages(p.Quotes)})
			}
		}
		if points != nil {
			s.Sections = append(s.Sections, SummarySection{Heading: heading, Points: points})
		}
	}
	if s.Sections == nil {
		return nil
	}
	return &s
}

// SkillEvidence is in the order of the skills, empty for a nil Digest.
func (d *Digest) SkillEvidence() []*SkillEvidence {
	if d == nil {
		return []*SkillEvidence{}
	}
	all := make([]*SkillEvidence, len(d.skills))
	for i, s := range d.skills {
		all[i] = &SkillEvidence{Skill: s.Skill, Level: s.Level, Paragraph: s.Paragraph, Citations: d.passages(s.Quotes)}
	}
	return all
}

func (d *Digest) passages(quotes []digestQuote) []Passage {
	all := make([]Passage, len(quotes))
	for i, q := range quotes {
		all[i] = Passage{
			Span:  transcript.Span{TranscriptID: d.TranscriptID, First: q.First, Last: q.Last},
			Quote: q.Text, StartMs: q.StartMs, EndMs: q.EndMs,
		}
	}
	return all
}

// As they are stored.
type (
	digestPoint struct {
		Heading Heading       `json:"heading"`
		Text    string        `json:"text"`
		Quotes  []digestQuote `json:"quotes"`
	}
	digestSkill struct {
		Skill     Skill         `json:"skill"`
		Level     EvidenceLevel `json:"level"`
		Paragraph string        `json:"paragraph"`
		Quotes    []digestQuote `json:"quotes"`
	}
	digestQuote struct {
		Text    string `json:"text"`
		First   int    `json:"first"`
		Last    int    `json:"last"`
		StartMs *int64 `json:"startMs"`
		EndMs   *int64 `json:"endMs"`
	}
)

func stored(quotes []found) []digestQuote {
	all := make([]digestQuote, len(quotes))
	for i, q := range quotes {
		all[i] = digestQuote{Text: q.text, First: q.first, Last: q.last, StartMs: q.startMs, EndMs: q.endMs}
	}
	return all
}

var digests = page.Table[Digest]{
	From:    "digests d JOIN sessions s ON s.org_id = $1 AND s.id = d.session_id",
	ID:      "d.transcript_id",
	Columns: "d.transcript_id, s.client_id, d.points, d.skills",
	Dest: func(d *Digest) []any {
		return []any{&d.Grants, &d.TranscriptID, &d.clientID, &d.points, &d.skills}
	},
	Key: func(d *Digest) id.UUID { return d.TranscriptID.UUID },
}

// Digests returns those of the transcripts' digests that there are and that the viewer may see, by transcript.
func (s *Service) Digests(ctx context.Context, transcripts []id.UUID) (map[id.UUID]*Digest, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	found, err := page.ByIDs(ctx, s.db, v, digests, CoachScope(v, "d.org_id"), transcripts)
	for _, d := range found {
		transcript.Shown(ctx, v, d.TranscriptID, d.clientID, "summary")
	}
	return found, err
}

// UtteranceCode says what an utterance does.
type UtteranceCode struct {
	auth.Grants
	Scheme     string
	Code       string
	Main       bool
	Confidence float64
	Source     CodeSource
	Rule       *string
}

var codes = page.Table[UtteranceCode]{
	From: "utterance_codes c JOIN utterances u ON u.org_id = $1 AND u.id = c.utterance_id " +
		"JOIN transcripts t ON t.org_id = $1 AND t.id = c.transcript_id JOIN sessions s ON s.org_id = $1 AND s.id = t.session_id",
	ID:      "c.utterance_id",
	Columns: "c.scheme, c.code, c.main, c.confidence, c.source, c.rule",
	Dest: func(c *UtteranceCode) []any {
		return []any{&c.Grants, &c.Scheme, &c.Code, &c.Main, &c.Confidence, &c.Source, &c.Rule}
	},
}

var codesInOrder = page.Order[UtteranceCode]{Name: "code", Keys: []page.Key[UtteranceCode]{
	{SQL: "c.main", Type: "boolean", Desc: true},
	{SQL: "c.code", Type: "text"},
	{SQL: "c.source", Type: "text"},
}}

// Codes returns the codes of each utterance that the viewer may see, the main one first, in the order of the utterances.
func (s *Service) Codes(ctx context.Context, utterances []id.UUID) ([][]*UtteranceCode, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.AllChildren(ctx, s.db, v, codes, CoachScope(v, "c.org_id"), page.Filter{}, codesInOrder, "c.utterance_id", utterances, page.MaxSize)
}

// keepCodes stores codes of some utterances, in place of what an earlier run or attempt said of them.
func (r *run) keepCodes(ctx context.Context, found []Code) error {
	type row struct{ utterance, code string }
	known := map[row]bool{}
	found = slices.DeleteFunc(slices.Clone(found), func(c Code) bool {
		if c.Utterance < 0 || c.Utterance >= len(r.content.UtteranceIDs) || c.Confidence < 0 || c.Confidence > 1 || c.Code == "" {
			r.rejected++
			return true
		}
		at := row{r.content.UtteranceIDs[c.Utterance].String(), string(c.Source) + " " + c.Scheme + " " + c.Code}
		twice := known[at]
		known[at] = true
		return twice
	})
	return postgres.InTx(ctx, r.db, func(tx pgx.Tx) error {
		if err := r.holdRunning(ctx, tx); err != nil {
			return err
		}
		about := map[id.UUID]bool{}
		var utterances []id.UUID
		for _, c := range found {
			if key := r.content.UtteranceIDs[c.Utterance]; !about[key.UUID] {
				about[key.UUID] = true
				utterances = append(utterances, key.UUID)
			}
		}
		org := r.content.Session.Org
		if _, err := tx.Exec(ctx, `
			DELETE FROM utterance_codes WHERE org_id = $1 AND utterance_id = ANY($2) AND source <> 'HUMAN'`, org, utterances); err != nil {
			return err
		}
		_, err := tx.CopyFrom(ctx, pgx.Identifier{"utterance_codes"},
			[]string{"org_id", "transcript_id", "utterance_id", "run_id", "scheme", "code", "main", "confidence", "source", "rule"},
			pgx.CopyFromSlice(len(found), func(i int) ([]any, error) {
				c := found[i]
				var rule *string
				if c.Rule != "" {
					rule = &c.Rule
				}
				return []any{org, r.content.ID, r.content.UtteranceIDs[c.Utterance], r.id, c.Scheme, c.Code, c.Main, c.Confidence, c.Source, rule}, nil
			}))
		return err
	})
}

// storeDigest replaces what earlier runs have said about the whole, also by nothing.
func (r *run) storeDigest(ctx context.Context, tx pgx.Tx) error {
	org := r.content.Session.Org
	if _, err := tx.Exec(ctx, `DELETE FROM utterance_codes WHERE org_id = $1 AND transcript_id = $2 AND run_id <> $3 AND source <> 'HUMAN'`,
		org, r.content.ID, r.id); err != nil {
		return err
	}
	if r.points == nil && r.skills == nil {
		_, err := tx.Exec(ctx, `DELETE FROM digests WHERE org_id = $1 AND transcript_id = $2`, org, r.content.ID)
		return err
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO digests (org_id, transcript_id, session_id, run_id, points, skills) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (org_id, transcript_id) DO UPDATE SET
			run_id = excluded.run_id, points = excluded.points, skills = excluded.skills, created_at = now()`,
		org, r.content.ID, r.content.Session.ID, r.id, emptyIfNil(r.points), emptyIfNil(r.skills))
	return err
}

func emptyIfNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
