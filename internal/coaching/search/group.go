package search

import (
	"context"
	"encoding/base64"
	"slices"

	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/textsearch"
)

const (
	maxOthers = 5   // hits of a session beside the best
	maxGroups = 200 // sessions that can be paged through
)

// A cursor of a list by sessions names the sessions that were shown: so no hit that becomes better meanwhile shows one twice.

// grouped finds the best of each session.
func (s *Service) grouped(ctx context.Context, q *question) (answer, error) {
	r := q.asked
	r.GroupBy, r.PerGroup = fieldSession, maxOthers
	seen, err := q.passed()
	if err != nil || seen == nil {
		if err != nil {
			return answer{}, err
		}
		return s.ask(ctx, q.sight, r)
	}
	rest := r
	rest.Facets, rest.Total, rest.Filter = nil, false, both(r.Filter, isNot(fieldSession, seen...))
	a, err := s.ask(ctx, q.sight, rest)
	if err != nil {
		return a, err
	}
	r.Size, r.PerGroup = 0, 0
	all, err := s.ask(ctx, q.sight, r)
	a.Total, a.Facets = all.Total, all.Facets
	return a, err
}

// bySession puts hits together that belong to one session, the best first, as an index does; those that belong to none are left out.
func (s *Service) bySession(ctx context.Context, q *question, a answer) (answer, error) {
	seen, err := q.passed()
	if err != nil {
		return a, err
	}
	loaded, err := s.load(ctx, q.viewer, a)
	if err != nil {
		return a, err
	}
	var groups []textsearch.Hit
	for _, h := range loaded {
		if h.SessionID == nil || slices.Contains(seen, h.SessionID.UUID.String()) {
			continue
		}
		hit, key := a.Hits[h.Rank-1], h.SessionID.UUID.String()
		switch i := slices.IndexFunc(groups, func(g textsearch.Hit) bool { return g.Key == key }); {
		case i < 0:
			hit.Key, hit.Cursor = key, ""
			groups = append(groups, hit)
		case len(groups[i].Also) < maxOthers:
			groups[i].Also = append(groups[i].Also, hit)
		}
	}
	a.More = len(groups) > q.size
	a.Hits = groups[:min(q.size, len(groups))]
	return a, nil
}

// passing gives the hits of sessions their cursors.
func (s *Service) passing(q *question, a answer, hits []*Hit) {
	seen := ""
	if q.After != nil {
		seen = *q.After
	}
	for i, h := range a.Hits {
		seen = pass(seen, h.Key)
		for _, hit := range hits {
			if hit.Rank == i+1 {
				hit.Cursor = seen
			}
		}
	}
}

// pass adds a session to a cursor.
func pass(cursor, key string) string {
	var u id.UUID
	_ = u.UnmarshalText([]byte(key)) // a key of ours
	raw, _ := base64.RawURLEncoding.DecodeString(cursor)
	return base64.RawURLEncoding.EncodeToString(append(raw, u[:]...))
}

// passed are the sessions that were shown, nil before the first page.
func (q *question) passed() (sessions []string, err error) {
	if q.After == nil {
		return nil, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(*q.After)
	if err != nil || len(raw) == 0 || len(raw)%16 != 0 || len(raw) > 16*maxGroups {
		return nil, textsearch.ErrCursor
	}
	for u := range slices.Chunk(raw, 16) {
		sessions = append(sessions, id.UUID(u).String())
	}
	return sessions, nil
}
