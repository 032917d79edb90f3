package search

import (
	"context"
	"strings"

	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/engagement"
	"github.com/rapporthq/rapport/internal/coaching/goal"
	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/coaching/note"
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/tag"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/textsearch"
)

// load loads what was found through the scopes of its domain: the second wall.
func (s *Service) load(ctx context.Context, v auth.Viewer, a answer) ([]*Hit, error) {
	byKind := map[Kind][]id.UUID{}
	collect := func(h textsearch.Hit) {
		if _, key, err := id.Parse(h.ID); err == nil {
			byKind[Kind(h.Kind)] = append(byKind[Kind(h.Kind)], key)
		}
	}
	for _, h := range a.Hits {
		collect(h)
		for _, other := range h.Also {
			collect(other)
		}
	}
	there := map[id.UUID]Entity{}
	sessions := map[id.UUID]*session.ID{}
	var err error
	for kind, ids := range byKind {
		switch kind {
		case Utterance:
			err = loaded(ctx, ids, s.domains.Transcripts.UtterancesByIDs, there)
			if err == nil {
				err = s.sessionsOf(ctx, there, sessions)
			}
		case Insight:
			err = loaded(ctx, ids, s.domains.Insights.ByIDs, there)
		case Note:
			err = loaded(ctx, ids, s.domains.Notes.ByIDs, there)
		case Goal:
			err = loaded(ctx, ids, s.domains.Goals.ByIDs, there)
		case Action:
			err = loaded(ctx, ids, s.domains.Goals.ActionsByIDs, there)
		case Session:
			err = loaded(ctx, ids, s.domains.Sessions.ByIDs, there)
		}
		if err != nil {
			return nil, err
		}
	}
	lost := 0
	var shown func(h textsearch.Hit, rank int) *Hit
	shown = func(h textsearch.Hit, rank int) *Hit {
		_, key, err := id.Parse(h.ID)
		entity := there[key]
		if err != nil || entity == nil {
			lost++
			return nil
		}
		out := &Hit{Kind: Kind(h.Kind), Entity: entity, Score: h.Score, Rank: rank, Cursor: h.Cursor, Engine: a.index.Capabilities().Name, Highlights: []*Highlight{}, Others: []*Hit{}, document: h.ID}
		if place, ok := a.places[h.ID]; ok {
			out.place = &place
		}
		switch e := entity.(type) {
		case *transcript.Utterance:
			out.SessionID = sessions[e.TranscriptID.UUID]
		case *insight.Insight:
			out.SessionID = &e.SessionID
		case *note.Note:
			out.SessionID = e.SessionID
		case *goal.ActionItem:
			out.SessionID = e.SessionID
		case *session.Session:
			out.SessionID = &e.ID
		}
		for _, also := range h.Also {
			if other := shown(also, rank); other != nil {
				out.Others = append(out.Others, other)
			}
		}
		return out
	}
	all := []*Hit{}
	for i, h := range a.Hits {
		if hit := shown(h, i+1); hit != nil {
			all = append(all, hit)
		} else { // the best is gone meanwhile: the next takes its place
			for _, other := range h.Also {
				if hit := shown(other, i+1); hit != nil {
					all = append(all, hit)
					break
				}
			}
		}
	}
	if lost > 0 {
		s.log.InfoContext(ctx, "hits were gone when they were loaded", "count", lost)
	}
	return all, nil
}

// mark shows where words stand in the hit and in those beside it.
func (h *Hit) mark(marks map[string][]textsearch.Highlight) {
	for _, l := range marks[h.document] {
		shown := &Highlight{Field: TextField(strings.ToUpper(l.Field))}
		for _, part := range l.Segments {
			shown.Segments = append(shown.Segments, &Segment{part.Text, part.Match})
		}
		h.Highlights = append(h.Highlights, shown)
	}
	for _, other := range h.Others {
		other.mark(marks)
	}
}

func loaded[T any](ctx context.Context, ids []id.UUID, load func(context.Context, []id.UUID) (map[id.UUID]*T, error), into map[id.UUID]Entity) error {
	found, err := load(ctx, ids)
	for key, e := range found {
		into[key] = any(e).(Entity) // all of them are nodes
	}
	return err
}

// sessionsOf finds the sessions of the utterances' transcripts.
func (s *Service) sessionsOf(ctx context.Context, there map[id.UUID]Entity, into map[id.UUID]*session.ID) error {
	var ids []id.UUID
	for _, e := range there {
		if u, ok := e.(*transcript.Utterance); ok {
			ids = append(ids, u.TranscriptID.UUID)
		}
	}
	found, err := s.domains.Transcripts.ByIDs(ctx, ids)
	for key, t := range found {
		into[key] = &t.SessionID
	}
	return err
}

// label names the values of facets. A value whose name the viewer may not know is none of theirs.
func (s *Service) label(ctx context.Context, in Request, found map[string][]textsearch.Bucket) ([]*Facet, error) {
	all := []*Facet{}
	for _, f := range in.Facets {
		out := &Facet{Field: f.Field, Buckets: []*Bucket{}}
		buckets := found[facets[f.Field].Field]
		names := map[id.UUID]string{}
		var ids []id.UUID
		for _, b := range buckets {
			var u id.UUID
			if u.UnmarshalText([]byte(b.Value)) == nil {
				ids = append(ids, u)
			}
		}
		prefix := ""
		var err error
		switch f.Field {
		case FacetClient:
			prefix = "client"
			err = named(ctx, ids, s.domains.Clients.ByIDs, func(c *client.Client) string { return c.Name }, names)
		case FacetCoach:
			prefix = "user"
			err = named(ctx, ids, s.domains.People.UsersByIDs, func(u *org.User) string { return u.Name }, names)
		case FacetEngagement:
			prefix = "engagement"
			err = named(ctx, ids, s.domains.Engagements.ByIDs, func(e *engagement.Engagement) string { return e.Title }, names)
		case FacetTag:
			prefix = "tag"
			err = named(ctx, ids, s.domains.Tags.ByIDs, func(t *tag.Tag) string { return t.Name }, names)
		}
		if err != nil {
			return nil, err
		}
		for _, b := range buckets[:min(len(buckets), f.First)] {
			bucket := &Bucket{Value: b.Value, Count: b.Count}
			if prefix != "" {
				var u id.UUID
				if u.UnmarshalText([]byte(b.Value)) != nil {
					continue
				}
				name, ok := names[u]
				if !ok {
					continue
				}
				bucket.Value, bucket.Label = id.Format(prefix, u), &name
			}
			out.Buckets = append(out.Buckets, bucket)
		}
		all = append(all, out)
	}
	return all, nil
}

func named[T any](ctx context.Context, ids []id.UUID, load func(context.Context, []id.UUID) (map[id.UUID]*T, error), name func(*T) string, into map[id.UUID]string) error {
	found, err := load(ctx, ids)
	for key, e := range found {
		into[key] = name(e)
	}
	return err
}
