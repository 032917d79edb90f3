package search

import (
	"context"
	"encoding/base64"
	"slices"
	"strings"

	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/textsearch"
	"github.com/rapporthq/rapport/internal/platform/vector"
)

// The modes that look for meaning, too.
const (
	Semantic Mode = "SEMANTIC" // what is about it
	Hybrid   Mode = "HYBRID"   // both
)

// deepest is how many hits of each list are merged.
const deepest = 200

// ranks are where a hit stands in the lists that were merged, from 1; 0 where it does not.
type ranks struct {
	keyword, semantic int
	keywordScore      float64
}

// meant is what was found by meaning: a document, and of conversations the passage that it stands for.
type meant struct {
	span transcript.Span
	hit  textsearch.Hit
}

// merged finds what has the words of a request and what is about the text, in one list by reciprocal rank; with Semantic only the latter. Counts are those of
// words. A cursor names the hits that were shown, so that no hit that becomes better meanwhile is shown twice.
func (s *Service) merged(ctx context.Context, q *question, text string) (a answer, err error) {
	about, err := s.about(ctx, q, text)
	why := lacking(err)
	away := why != "" && ctx.Err() == nil
	if err != nil && !away {
		return a, err
	}
	r := q.asked
	r.Total, r.Size = false, deepest
	if q.Mode == Semantic && !away {
		r.Size = 0
	}
	if a, err = s.ask(ctx, q.sight, r); err != nil {
		return a, err
	}
	if away {
		a.degraded = &why
	}
	if err := s.fuse(ctx, &a, about); err != nil {
		return a, err
	}
	if q.GroupBy != nil {
		return s.bySession(ctx, q, a)
	}
	return a, a.turn(q)
}

// fuse merges the hits of an answer with what was found by meaning.
func (s *Service) fuse(ctx context.Context, a *answer, about []meant) error {
	having, err := s.spans(ctx, a.Hits)
	if err != nil {
		return err
	}
	byMeaning := make([]transcript.Span, len(about))
	for i, m := range about {
		byMeaning[i] = m.span
	}
	var hits []textsearch.Hit
	a.places = map[string]ranks{}
	for _, f := range Fuse(Ranked{KeywordWeight, having}, Ranked{SemanticWeight, byMeaning}) {
		var h textsearch.Hit
		place := ranks{keyword: f.Ranks[0], semantic: f.Ranks[1]}
		if place.keyword > 0 {
			h = a.Hits[place.keyword-1]
			place.keywordScore = h.Score
		} else {
			h = about[place.semantic-1].hit
		}
		if _, twice := a.places[h.ID]; twice { // two passages that one utterance stands for
			continue
		}
		h.Score = f.Score
		a.places[h.ID] = place
		hits = append(hits, h)
	}
	a.Hits = hits
	return nil
}

// turn leaves the page of the hits that was asked for.
func (a *answer) turn(q *question) error {
	var shown []id.UUID
	cursor := ""
	if q.After != nil {
		var err error
		if shown, err = shownBefore(*q.After); err != nil {
			return err
		}
		cursor = *q.After
	}
	var page []textsearch.Hit
	a.More = false
	for _, h := range a.Hits {
		_, key, err := id.Parse(h.ID)
		if err != nil || slices.Contains(shown, key) {
			continue
		}
		if len(page) == q.size {
			a.More = true
			break
		}
		cursor = pass(cursor, key.String())
		h.Cursor = cursor
		page = append(page, h)
	}
	a.Hits = page
	return nil
}

// about finds what is most about the text, the nearest first. The store of vectors is asked for what the viewer sees, and the index which of that meets the
// conditions of the request, if it has any.
func (s *Service) about(ctx context.Context, q *question, text string) ([]meant, error) {
	var conversations []string
	if q.Kinds == nil || slices.Contains(q.Kinds, Utterance) {
		findable, _, err := s.domains.Transcripts.Findable(ctx, q.Filter)
		if err != nil {
			return nil, err
		}
		conversations = keys(findable, func(t transcript.ID) id.UUID { return t.UUID })
	}
	near, err := s.domains.Meaning.nearest(ctx, q.viewer.Org, text, q.sight.nearby(conversations, q.asked.Narrow), deepest)
	if err != nil {
		return nil, err
	}
	// The store has seen to it. It is looked at once more, because a store of others is not ours to trust with this.
	near = slices.DeleteFunc(near, func(m vector.Match) bool {
		_, conversation := passage(m)
		return conversation && !slices.Contains(conversations, vector.GroupOf(m.ID))
	})
	return s.standing(ctx, q, near)
}

// standing finds the document that each vector stands for. Of a passage that is the longest of its utterances that meet the conditions of the request; vectors that stand for nothing are left out.
func (s *Service) standing(ctx context.Context, q *question, near []vector.Match) ([]meant, error) {
	spans := make([]transcript.Span, len(near)) // an empty one of what is no passage
	var candidates []string
	for i, match := range near {
		if p, ok := passage(match); ok {
			spans[i] = p.Span
		} else if document, ok := document(match); ok {
			candidates = append(candidates, document)
		}
	}
	said, err := s.domains.Transcripts.UtterancesIn(ctx, spans)
	if err != nil {
		return nil, err
	}
	for _, of := range said {
		for _, u := range of {
			candidates = append(candidates, u.ID.String())
		}
	}
	meets, err := s.meeting(ctx, q, candidates)
	if err != nil {
		return nil, err
	}
	var all []meant
	for i, match := range near {
		if name, ok := document(match); ok {
			prefix, key, err := id.Parse(name)
			if err == nil && (meets == nil || meets[name]) {
				all = append(all, meant{transcript.Span{TranscriptID: transcript.ID{UUID: key}}, textsearch.Hit{ID: name, Kind: strings.ToUpper(prefix)}})
			}
			continue
		}
		var best *transcript.Utterance
		for _, u := range said[i] {
			if (meets == nil || meets[u.ID.String()]) && (best == nil || len(u.Text) > len(best.Text)) {
				best = u
			}
		}
		if best != nil {
			all = append(all, meant{spans[i], textsearch.Hit{ID: best.ID.String(), Kind: string(Utterance)}})
		}
	}
	return all, nil
}

// meeting says which documents meet the conditions of the request; nil if it has none. The index knows.
func (s *Service) meeting(ctx context.Context, q *question, ids []string) (map[string]bool, error) {
	must := musts(q.asked.Query)
	if len(q.asked.Narrow) == 0 && must == nil {
		return nil, nil
	}
	slices.Sort(ids)
	meets := map[string]bool{}
	for some := range slices.Chunk(slices.Compact(ids), textsearch.MaxSize) {
		r := textsearch.Request{Query: must, Filter: textsearch.All{q.asked.Filter, is(textsearch.FieldID, some...)}, Narrow: q.asked.Narrow, Size: len(some), Order: textsearch.Newest}
		found, err := s.ask(ctx, q.sight, r)
		if err != nil {
			return nil, err
		}
		for _, h := range found.Hits {
			meets[h.ID] = true
		}
	}
	return meets, nil
}

// musts is what of a query holds whatever its words mean: what must not be there, and conditions. nil is nothing.
func musts(e textsearch.Expr) textsearch.Expr {
	switch e := e.(type) {
	case textsearch.All:
		var all textsearch.All
		for _, k := range e {
			if must := musts(k); must != nil {
				all = append(all, must)
			}
		}
		if len(all) > 0 {
			return all
		}
	case textsearch.Not, textsearch.Terms, textsearch.Between:
		return e
	case textsearch.Any:
		if len(words(e)) == 0 {
			return e
		}
	}
	return nil
}

// spans are the utterances that were found, as ranges; what is none is a range of its own.
func (s *Service) spans(ctx context.Context, hits []textsearch.Hit) ([]transcript.Span, error) {
	all := make([]transcript.Span, len(hits))
	var utterances []id.UUID
	for i, h := range hits {
		_, key, err := id.Parse(h.ID)
		if err != nil {
			return nil, err
		}
		all[i].TranscriptID.UUID = key // of no transcript: meets nothing else
		if Kind(h.Kind) == Utterance {
			utterances = append(utterances, key)
		}
	}
	found, err := s.domains.Transcripts.UtterancesByIDs(ctx, utterances)
	for i := range all {
		if u := found[all[i].TranscriptID.UUID]; u != nil {
			all[i] = transcript.Span{TranscriptID: u.TranscriptID, First: u.Index, Last: u.Index}
		}
	}
	return all, err
}

// shownBefore reads a cursor of a merged list.
func shownBefore(cursor string) (shown []id.UUID, err error) {
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(raw) == 0 || len(raw)%16 != 0 || len(raw) > 16*2*deepest {
		return nil, textsearch.ErrCursor
	}
	for u := range slices.Chunk(raw, 16) {
		shown = append(shown, id.UUID(u))
	}
	return shown, nil
}
