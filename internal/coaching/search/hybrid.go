package search

import (
	"context"
	"encoding/base64"
	"slices"
	"strings"

	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/textsearch"
)

// The modes that look for meaning, too.
const (
	Semantic Mode = "SEMANTIC" // what is about it
	Hybrid   Mode = "HYBRID"   // both
)

// deepest is how many hits of each list are merged.
const deepest = 200

const meaningless = "What is about the same cannot be looked for now: these hits have the words."

// ranks are where a hit stands in the lists that were merged, from 1; 0 where it does not.
type ranks struct {
	keyword, semantic int
	keywordScore      float64
}

// merged finds what has the words of a request and what is about the text, in one list by reciprocal rank; with Semantic only the latter. Counts are those of
// words. A cursor names the hits that were shown, so that no hit that becomes better meanwhile is shown twice.
func (s *Service) merged(ctx context.Context, sight *sight, in Request, text string, r textsearch.Request, size int) (found textsearch.Result, engine string, reason *string, places map[string]ranks, err error) {
	switch {
	case in.Order != Relevance:
		err = fault.Invalid("orderBy", "hits by meaning are ordered by relevance")
	case in.GroupBy != nil:
		err = fault.Invalid("groupBy", "goes with the mode KEYWORD")
	}
	if err != nil {
		return found, "", nil, nil, err
	}
	var shown []id.UUID
	if in.After != nil {
		if shown, err = shownBefore(*in.After); err != nil {
			return found, "", nil, nil, err
		}
	}

	var near []Passage
	var missing *string
	if in.Kinds == nil || slices.Contains(in.Kinds, Utterance) {
		near, err = s.domains.Meaning.Near(ctx, text, in.Filter, deepest)
		if fault.KindOf(err) == fault.KindUnavailable && ctx.Err() == nil {
			why := meaningless
			missing, err = &why, nil
		}
		if err != nil {
			return found, "", nil, nil, err
		}
	}
	about, err := s.voiced(ctx, sight, near, r)
	if err != nil {
		return found, "", nil, nil, err
	}

	r.After, r.Total, r.Size = "", false, deepest
	if in.Mode == Semantic && missing == nil {
		r.Size = 0
	}
	if found, engine, reason, err = s.ask(ctx, sight, r); err != nil {
		return found, engine, reason, nil, err
	}
	if missing != nil {
		reason = missing
	}
	having, err := s.spans(ctx, found.Hits)
	if err != nil {
		return found, engine, reason, nil, err
	}

	byWords, byMeaning := Ranked{Weight: KeywordWeight, Spans: having}, Ranked{Weight: SemanticWeight}
	for _, p := range about {
		byMeaning.Spans = append(byMeaning.Spans, p.Span)
	}
	var page []textsearch.Hit
	places, found.More = map[string]ranks{}, false
	cursor := ""
	if in.After != nil {
		cursor = *in.After
	}
	for _, f := range Fuse(byWords, byMeaning) {
		var h textsearch.Hit
		place := ranks{keyword: f.Ranks[0], semantic: f.Ranks[1]}
		if place.keyword > 0 {
			h = found.Hits[place.keyword-1]
			place.keywordScore = h.Score
		} else {
			h = textsearch.Hit{ID: about[place.semantic-1].shown.String(), Kind: string(Utterance)}
		}
		_, key, err := id.Parse(h.ID)
		if err != nil || slices.Contains(shown, key) {
			continue
		}
		if len(page) == size {
			found.More = true
			break
		}
		cursor = pass(cursor, key.String())
		h.Score, h.Cursor = f.Score, cursor
		places[h.ID] = place
		page = append(page, h)
	}
	found.Hits = page
	return found, engine, reason, places, nil
}

// voice is a passage, and the utterance of it that is shown.
type voice struct {
	Passage
	shown transcript.UtteranceID
}

// voiced finds the utterance that each passage is shown by: the longest of those that meet the conditions of the request. Passages without one are left out.
func (s *Service) voiced(ctx context.Context, sight *sight, near []Passage, r textsearch.Request) ([]voice, error) {
	spans := make([]transcript.Span, len(near))
	for i, p := range near {
		spans[i] = p.Span
	}
	said, err := s.domains.Transcripts.UtterancesIn(ctx, spans)
	if err != nil || len(near) == 0 {
		return nil, err
	}
	meets, err := s.meeting(ctx, sight, said, r)
	if err != nil {
		return nil, err
	}
	var all []voice
	for i, p := range near {
		var best *transcript.Utterance
		for _, u := range said[i] {
			if (meets == nil || meets[u.ID.String()]) && (best == nil || len(u.Text) > len(best.Text)) {
				best = u
			}
		}
		if best != nil {
			all = append(all, voice{p, best.ID})
		}
	}
	return all, nil
}

// meeting says which utterances meet the conditions of the request; nil if it has none. The index knows.
func (s *Service) meeting(ctx context.Context, sight *sight, said [][]*transcript.Utterance, r textsearch.Request) (map[string]bool, error) {
	if len(r.Narrow) == 0 {
		return nil, nil
	}
	var ids []string
	for _, of := range said {
		for _, u := range of {
			ids = append(ids, u.ID.String())
		}
	}
	slices.Sort(ids)
	meets := map[string]bool{}
	for some := range slices.Chunk(slices.Compact(ids), textsearch.MaxSize) {
		found, _, _, err := s.ask(ctx, sight, textsearch.Request{Filter: textsearch.All{r.Filter, is(textsearch.FieldID, some...)}, Narrow: r.Narrow, Size: len(some), Order: textsearch.Newest})
		if err != nil {
			return nil, err
		}
		for _, h := range found.Hits {
			meets[h.ID] = true
		}
	}
	return meets, nil
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

// meantBy is the text whose meaning a query has: its words, without conditions and what must not be there.
func meantBy(e textsearch.Expr) string {
	var parts []string
	for _, w := range words(e) {
		switch w := w.(type) {
		case textsearch.Word:
			parts = append(parts, w.Text)
		case textsearch.Phrase:
			parts = append(parts, w.Text)
		}
	}
	return strings.Join(parts, " ")
}
