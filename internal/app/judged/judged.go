// Package judged measures how well search finds what somebody looks for: queries with judgements about the demo practice, among the
// conversations of invented clients that have nothing to do with them; docs/search.md has the figures.
//
// The queries were written from the conversations before anything was measured, and a third of them is kept aside: whoever tunes looks at the others
// only. A judgement names the first and the last utterance by words that stand in no other one of its session.
package judged

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/app/demo"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/id"
)

//go:embed data
var data embed.FS

// Kind is how a query relates to the words of what it looks for.
type Kind string

// The kinds.
const (
	Exact      Kind = "exact"      // as it was said
	Paraphrase Kind = "paraphrase" // in other words
	Mixed      Kind = "mixed"      // some words, and the rest in others
)

// Query is what somebody looks for, and where it is.
type Query struct {
	ID       string     `json:"id"`
	Kind     Kind       `json:"kind"`
	Text     string     `json:"query"`
	Relevant []Relevant `json:"relevant"`
}

// Relevant is a moment of a conversation.
type Relevant struct {
	Session string `json:"session"` // its key in the demo
	From    string `json:"from"`    // words of the first utterance
	To      string `json:"to"`      // words of the last one; "" if that is the first
	Grade   int    `json:"grade"`   // 3 is the moment that was meant, 2 says much about it, 1 touches it
}

// Part is a part of the queries.
type Part string

// The parts.
const (
	Dev     Part = "dev"      // to be tuned by
	HeldOut Part = "held-out" // for the final figure
)

// Queries reads those of a part.
func Queries(p Part) ([]Query, error) {
	var all []Query
	raw, err := data.ReadFile("data/" + string(p) + ".json")
	if err == nil {
		err = json.Unmarshal(raw, &all)
	}
	return all, err
}

// Moment is a range of utterances, and how relevant it is.
type Moment struct {
	transcript.Span
	Grade int
}

const organization = "harbor"

// Locate finds the moments of the queries in a database with the demo, by the queries' ids.
func Locate(ctx context.Context, db *pgxpool.Pool, queries []Query) (map[string][]Moment, error) {
	rows, err := db.Query(ctx, `SELECT t.id, t.session_id, u.index, u.text FROM transcripts t JOIN utterances u ON u.org_id = t.org_id AND u.transcript_id = t.id
		WHERE t.org_id = $1 ORDER BY t.id, u.index`, demo.ID(organization, "organization", organization))
	if err != nil {
		return nil, err
	}
	type line struct {
		Transcript transcript.ID
		Session    id.UUID
		Index      int
		Text       string
	}
	said, err := pgx.CollectRows(rows, pgx.RowToStructByPos[line])
	if err != nil {
		return nil, err
	}
	find := func(session, words string, from int) (line, error) {
		i := slices.IndexFunc(said, func(l line) bool {
			return l.Index >= from && l.Session == demo.ID(organization, "session", session) && strings.Contains(strings.ToLower(l.Text), strings.ToLower(words))
		})
		if i < 0 {
			return line{}, fmt.Errorf("%q is not said in %s", words, session)
		}
		return said[i], nil
	}
	located := map[string][]Moment{}
	for _, q := range queries {
		for _, r := range q.Relevant {
			first, err := find(r.Session, r.From, 0)
			last := first
			if err == nil && r.To != "" {
				last, err = find(r.Session, r.To, first.Index)
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", q.ID, err)
			}
			located[q.ID] = append(located[q.ID], Moment{transcript.Span{TranscriptID: first.Transcript, First: first.Index, Last: last.Index}, r.Grade})
		}
	}
	return located, nil
}
