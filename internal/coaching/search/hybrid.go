package search

import (
	"context"
	"encoding/base64"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

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
	best := q.asked
	best.Total, best.Size, best.Once = false, deepest, true
	counted := best // by words, whose hits are of no interest
	counted.Size = 0
	a.index = s.primary
	var about []meant
	var lacks error // why nothing is found by meaning
	looking, together := errgroup.WithContext(ctx)
	looking.Go(func() error {
		var err error
		about, err = s.about(together, q, text)
		if lacking(err) != "" && ctx.Err() == nil {
			lacks, err = err, nil
		}
		return err
	})
	ask := func(ctx context.Context, r textsearch.Request) (err error) {
		a, err = s.ask(ctx, q.sight, r)
		return err
	}
	switch {
	case q.Mode == Hybrid:
		looking.Go(func() error { return ask(together, best) })
	case len(q.asked.Facets) > 0:
		looking.Go(func() error { return ask(together, counted) })
	}
	if err := looking.Wait(); err != nil {
		return a, err
	}
	if lacks != nil {
		if q.Mode == Semantic { // then what has the words is better than nothing
			if err := ask(ctx, best); err != nil {
				return a, err
			}
		}
		why := lacking(lacks)
		a.degraded = &why
	}
	if err := s.fuse(ctx, &a, about); err != nil {
		return a, err
	}
	if q.GroupBy != nil {
		a, err = s.bySession(ctx, q, a)
	} else {
		err = a.turn(q)
	}
	return a, err
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
	var what *sought
	looking, together := errgroup.WithContext(ctx)
	looking.Go(func() (err error) {
		what, err = s.domains.Meaning.read(together, q.viewer.Org, text)
		return err
	})
	said := &vector.Record{Keywords: map[string][]string{textsearch.FieldKind: {string(Utterance)}}}
	if vector.Compile(q.asked.Narrow[textsearch.FieldKind])(said) {
		looking.Go(func() error {
			findable, _, err := s.domains.Transcripts.Findable(together, q.Filter)
			conversations = keys(findable, func(t transcript.ID) id.UUID { return t.UUID })
			return err
		})
	}
	if err := looking.Wait(); err != nil {
		return nil, err
	}
	near, err := s.domains.Meaning.nearest(ctx, what, q.sight.nearby(conversations, q.asked.Narrow), deepest)
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
	most := 1
	if must, narrow := q.conditions(); must != nil || len(narrow) > 0 {
		most = transcript.MaxSpan // it may be any of them
	}
	said, err := s.domains.Transcripts.PlacesIn(ctx, spans, most)
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
		for _, u := range said[i] { // the longest first
			if meets == nil || meets[u.ID.String()] {
				all = append(all, meant{spans[i], textsearch.Hit{ID: u.ID.String(), Kind: string(Utterance)}})
				break
			}
		}
	}
	return all, nil
}

// conditions are those that only the index knows whether a document meets: all but those of kinds, which vectors were found by.
func (q *question) conditions() (must textsearch.Expr, narrow map[string]textsearch.Expr) {
	narrow = maps.Clone(q.asked.Narrow)
	delete(narrow, textsearch.FieldKind)
	return musts(q.asked.Query), narrow
}

// meeting says which documents meet the conditions of the request; nil if it has none.
func (s *Service) meeting(ctx context.Context, q *question, ids []string) (map[string]bool, error) {
	must, narrow := q.conditions()
	if len(narrow) == 0 && must == nil {
		return nil, nil
	}
	slices.Sort(ids)
	meets := map[string]bool{}
	for some := range slices.Chunk(slices.Compact(ids), textsearch.MaxOnce) {
		r := textsearch.Request{Query: must, Filter: textsearch.All{q.asked.Filter, is(textsearch.FieldID, some...)}, Narrow: narrow, Size: len(some), Order: textsearch.Newest, Once: true}
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
	found, err := s.domains.Transcripts.Places(ctx, utterances)
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
