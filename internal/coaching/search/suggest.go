package search

import (
	"context"
	"strings"

	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/page"
	"github.com/rapporthq/rapport/internal/platform/textsearch"
)

// maxOfAKind is how many tags and clients are among suggestions.
const maxOfAKind = 3

// Suggest completes what somebody types: tags whose names begin so, clients of whose names a part does, and titles that have a word which does.
func (s *Service) Suggest(ctx context.Context, prefix string, limit int) (_ []*Suggestion, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "search.Suggest")
	if limit < 1 || limit > 20 {
		return nil, fault.Invalid("limit", "must be from 1 to 20, got %d", limit)
	}
	if len(prefix) > textsearch.MaxKeyword {
		return nil, fault.Invalid("prefix", "must have at most %d bytes, has %d", textsearch.MaxKeyword, len(prefix))
	}
	out := []*Suggestion{}
	prefix = strings.ToValidUTF8(strings.ReplaceAll(strings.TrimSpace(prefix), "\x00", ""), "")
	if len([]rune(textsearch.Fold(prefix))) < 2 {
		return out, nil
	}
	mine, err := s.domains.Tags.All(ctx)
	if err != nil {
		return nil, err
	}
	for _, t := range mine {
		if strings.HasPrefix(textsearch.Fold(t.Name), textsearch.Fold(prefix)) && len(out) < maxOfAKind {
			out = append(out, &Suggestion{t.Name, SuggestTag})
		}
	}
	most := maxOfAKind
	clients, err := s.domains.Clients.List(ctx, &client.Filter{Called: &prefix}, nil, page.Args{First: &most})
	if err != nil {
		return nil, err
	}
	for _, c := range clients.Nodes() {
		out = append(out, &Suggestion{c.Name, SuggestClient})
	}
	sight, err := s.see(ctx, v, nil)
	if err != nil {
		return nil, err
	}
	ask := textsearch.SuggestRequest{Prefix: prefix, Filter: sight.filter(), Size: limit}
	complete := ask
	complete.Filter = both(ask.Filter, sight.unmissed())
	phrases, err := s.primary.Suggest(ctx, v.Org, complete)
	if fault.KindOf(err) == fault.KindUnavailable && s.fallback != nil {
		phrases, err = s.fallback.Suggest(ctx, v.Org, ask)
	}
	if err != nil {
		return nil, err
	}
	for _, p := range phrases {
		out = append(out, &Suggestion{p.Text, SuggestPhrase})
	}
	return out[:min(len(out), limit)], nil
}
