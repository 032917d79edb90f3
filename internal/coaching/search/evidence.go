package search

import (
	"context"
	"slices"
	"strings"
	"unicode"

	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/page"
	"github.com/rapporthq/rapport/internal/platform/textsearch"
)

// Evidence finds the utterances that have to do with a question, the likeliest first, by words and by meaning, in conversations that the viewer may read
// and that may be analysed: of sessions within the filter, nil for all. A question is no query: whatever it looks like, it is words. degraded says why
// less was looked through than should be; nil if nothing was.
func (s *Service) Evidence(ctx context.Context, question string, within *session.Filter, most int) (found []*transcript.Utterance, degraded *string, err error) {
	words := onlyWords(question)
	if words == "" {
		return nil, nil, nil
	}
	may, _, err := s.domains.Transcripts.Findable(ctx, within)
	if err != nil || len(may) == 0 {
		return nil, nil, err
	}
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer fault.Wrap(&err, "search.Evidence")
	first := page.MaxSize
	q, err := s.understand(ctx, v, Request{Query: words, Filter: within, Mode: Hybrid, Kinds: []Kind{Utterance}, Order: Relevance, First: &first})
	if err != nil {
		return nil, nil, err
	}
	a, err := s.find(ctx, q)
	if err != nil {
		return nil, nil, err
	}
	hits, err := s.load(ctx, v, a) // nobody is shown where the words stand
	if err != nil {
		return nil, nil, err
	}
	for _, h := range hits {
		u, ok := h.Entity.(*transcript.Utterance)
		if ok && len(found) < most && slices.Contains(may, u.TranscriptID) {
			found = append(found, u)
		}
	}
	return found, a.degraded, nil
}

// onlyWords is a text without anything that a query could be read from, and no longer than one.
func onlyWords(text string) string {
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r) && r != '\'' && r != '’'
	})
	words = slices.DeleteFunc(words, func(w string) bool {
		parts := textsearch.Words(w)
		return len(parts) == 0 || slices.ContainsFunc(parts, tooLong)
	})
	return strings.Join(words[:min(len(words), maxParts)], " ")
}
