package search

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

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
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/page"
	"github.com/rapporthq/rapport/internal/platform/textsearch"
)

// Domains are where what is found is loaded from.
type Domains struct {
	People      *org.Service
	Clients     *client.Service
	Engagements *engagement.Service
	Sessions    *session.Service
	Transcripts *transcript.Service
	Insights    *insight.Service
	Notes       *note.Service
	Goals       *goal.Service
	Tags        *tag.Service
	Meaning     *Meaning
}

// Service searches.
type Service struct {
	db       *pgxpool.Pool
	log      *slog.Logger
	domains  Domains
	primary  textsearch.Index
	fallback textsearch.Index // nil where primary needs none
	told     atomic.Int64     // when it was last logged that the fallback was asked, in nanoseconds of Unix time
}

// NewService returns a Service that searches in index, and in fallback while index cannot be reached. Both are kept; fallback may be nil.
func NewService(db *pgxpool.Pool, log *slog.Logger, index, fallback textsearch.Index, domains Domains) *Service {
	return &Service{db: db, log: log, domains: domains, primary: index, fallback: fallback}
}

// indexes are all that are kept, the one that is always there first.
func (s *Service) indexes() []textsearch.Index {
	if s.fallback == nil {
		return []textsearch.Index{s.primary}
	}
	return []textsearch.Index{s.fallback, s.primary}
}

const degraded = "The search engine cannot be reached: these hits come from the database, ranked more simply."

// ask asks the index for what the viewer sees, and the fallback if it cannot be reached.
func (s *Service) ask(ctx context.Context, g *sight, r textsearch.Request) (a answer, err error) {
	a.index, err = s.reach(ctx, s.primary, func(ctx context.Context, x textsearch.Index) (err error) {
		asked := r
		if x == s.primary {
			asked.Filter = both(r.Filter, g.unmissed())
		}
		a.Result, err = x.Search(ctx, g.viewer.Org, asked)
		return err
	})
	a.degrade(s)
	return a, err
}

// reach does something with an index, and with the fallback if it cannot be reached; it returns the one that it was done with.
func (s *Service) reach(ctx context.Context, x textsearch.Index, do func(ctx context.Context, x textsearch.Index) error) (textsearch.Index, error) {
	try := func(x textsearch.Index) error {
		ctx, cancel := context.WithTimeout(ctx, soon)
		defer cancel()
		return do(ctx, x)
	}
	err := try(x)
	if err == nil || s.fallback == nil || x == s.fallback || ctx.Err() != nil || fault.KindOf(err) != fault.KindUnavailable && !errors.Is(err, context.DeadlineExceeded) {
		return x, err
	}
	s.missed(ctx, err)
	return s.fallback, try(s.fallback)
}

// missed logs why the fallback is asked, not for every search: while it lasts there may be hundreds a second.
func (s *Service) missed(ctx context.Context, why error) {
	now := time.Now().UnixNano()
	if last := s.told.Load(); now-last > int64(quiet) && s.told.CompareAndSwap(last, now) {
		if f := (*fault.Error)(nil); errors.As(why, &f) && f.Unwrap() != nil {
			why = f.Unwrap() // what people are told does not say it
		}
		s.log.WarnContext(ctx, "the search engine does not answer: the database is searched", "err", why)
	}
}

// Search finds what the viewer may see.
func (s *Service) Search(ctx context.Context, in Request) (_ *Result, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "search.Search")
	q, err := s.understand(ctx, v, in)
	if err != nil {
		return nil, err
	}
	name := q.name()
	if in.After != nil {
		place, mine := strings.CutPrefix(*in.After, name)
		if !mine || place == "" {
			return nil, textsearch.ErrCursor
		}
		q.After = &place
	}
	a, err := s.find(ctx, q)
	if err != nil {
		return nil, err
	}
	out, err := s.present(ctx, q, a)
	if err != nil {
		return nil, err
	}
	for _, h := range out.Hits {
		h.Cursor = name + h.Cursor
	}
	return out, nil
}

// name is what the cursors of a request begin with: they lead on in what this viewer finds by it, and nowhere else. Facets and the size of a page may change.
func (q *question) name() string {
	asked, err := json.Marshal([]any{q.viewer.Org, q.viewer.User, q.parsed.text(), q.Filter, q.Mode, q.Kinds, q.GroupBy, q.Order})
	if err != nil {
		panic(err) // texts, times and ids
	}
	sum := sha256.Sum256(asked)
	return base64.RawURLEncoding.EncodeToString(sum[:9])
}

// question is a request as it was understood.
type question struct {
	Request
	viewer auth.Viewer
	sight  *sight
	parsed *parsed
	size   int
	asked  textsearch.Request // for the first page
	coded  bool               // whether codes are to be counted: not everybody who sees an utterance may know of them
}

// understand checks a request and finds out what it means for the viewer.
func (s *Service) understand(ctx context.Context, v auth.Viewer, in Request) (*question, error) {
	q := &question{Request: in, viewer: v, size: page.DefaultSize}
	if in.First != nil {
		q.size = *in.First
	}
	if q.size < 0 || q.size > page.MaxSize {
		return nil, fault.Invalid("first", "must be from 0 to %d, got %d", page.MaxSize, q.size)
	}
	var err error
	if q.parsed, err = in.read(); err != nil {
		return nil, err
	}
	mine, err := s.domains.Tags.All(ctx)
	if err != nil {
		return nil, err
	}
	restrict, narrow := narrowed(in, mine)
	if q.sight, err = s.see(ctx, v, restrict); err != nil {
		return nil, err
	}
	resolved, err := s.resolve(ctx, v, q.parsed, q.sight, mine)
	if err != nil {
		return nil, err
	}
	// What stands by itself narrows, so that facets can show what else there would be.
	for _, k := range q.parsed.root.kids {
		if e := resolved[k]; e != nil {
			narrow[narrows[k.field]] = both(narrow[narrows[k.field]], e)
			delete(resolved, k)
		}
	}
	q.asked = textsearch.Request{Query: q.parsed.root.expr(resolved), Filter: q.sight.filter(), Narrow: narrow, Size: q.size, Total: true}
	q.asked.Facets, q.coded = counts(in, mine)
	return q, nil
}

// answer is what the indexes have found.
type answer struct {
	textsearch.Result
	index    textsearch.Index // that was asked for words
	degraded *string
	places   map[string]ranks // of the hits, by id, if lists were merged
}

// degrade says so if the fallback was asked.
func (a *answer) degrade(s *Service) {
	if a.index == s.fallback && s.fallback != nil && a.degraded == nil {
		why := degraded
		a.degraded = &why
	}
}

// documents are the hits that have words, and those beside them.
func (a *answer) documents() (ids []string) {
	add := func(h textsearch.Hit) {
		if a.places == nil || a.places[h.ID].keyword > 0 {
			ids = append(ids, h.ID)
		}
	}
	for _, h := range a.Hits {
		add(h)
		for _, also := range h.Also {
			add(also)
		}
	}
	return ids
}

// find asks the indexes in the way that the request wants.
func (s *Service) find(ctx context.Context, q *question) (a answer, err error) {
	switch meant := q.parsed.meaning(); {
	case meant != "" && q.Mode != Keyword:
		a, err = s.merged(ctx, q, meant)
	case q.GroupBy != nil:
		a, err = s.grouped(ctx, q)
	default:
		r := q.asked
		if q.After != nil {
			r.After = *q.After
		}
		r.Order = map[Order]textsearch.Order{Newest: textsearch.Newest, Oldest: textsearch.Oldest}[q.Order]
		if len(words(r.Query)) == 0 && q.Order == Relevance {
			r.Order = textsearch.Newest // nothing is better than anything else
		}
		a, err = s.ask(ctx, q.sight, r)
	}
	if err != nil || !q.coded {
		return a, err
	}
	codes, err := s.ask(ctx, q.sight, textsearch.Request{
		Query: q.asked.Query, Filter: both(q.asked.Filter, q.sight.coded()), Narrow: q.asked.Narrow, Facets: []textsearch.Facet{{Field: fieldCode, Size: textsearch.MaxSize}},
	})
	if err == nil {
		a.Facets = maps.Clone(a.Facets)
		if a.Facets == nil {
			a.Facets = map[string][]textsearch.Bucket{}
		}
		a.Facets[fieldCode] = codes.Facets[fieldCode]
	}
	return a, err
}

// present loads what was found, shows where the words stand in it, and names what was counted.
func (s *Service) present(ctx context.Context, q *question, a answer) (_ *Result, err error) {
	out := &Result{Interpretation: &Interpretation{Query: q.parsed.text(), Notes: append([]string{}, q.parsed.notes...)}, HasNextPage: a.More}
	if a.places == nil {
		out.TotalCount = &a.Total
	}
	if q.Mode != Semantic {
		for _, word := range textsearch.Nearly(a.Query) {
			out.Interpretation.Notes = append(out.Interpretation.Notes, fmt.Sprintf("%q is in nothing that you may see: what is spelled nearly so is looked for.", word))
		}
	}
	var marks map[string][]textsearch.Highlight
	marked := a // perhaps by the fallback
	loading, together := errgroup.WithContext(ctx)
	loading.Go(func() (err error) {
		out.Hits, err = s.load(together, q.viewer, a)
		return err
	})
	loading.Go(func() (err error) {
		marks, err = s.highlights(together, q, &marked)
		return err
	})
	if err := loading.Wait(); err != nil {
		return nil, err
	}
	out.Degraded = marked.degraded
	for _, h := range out.Hits {
		h.mark(marks)
	}
	if q.GroupBy != nil {
		s.passing(q, a, out.Hits)
	}
	out.Facets, err = s.label(ctx, q.Request, a.Facets)
	return out, err
}

const pieces = 2 // of a hit that show where words stand

// highlights shows where the words stand in the hits of a page: in all that were found it would take most of the time of a search.
func (s *Service) highlights(ctx context.Context, q *question, a *answer) (marks map[string][]textsearch.Highlight, err error) {
	documents := a.documents()
	if len(documents) == 0 {
		return nil, nil
	}
	a.index, err = s.reach(ctx, a.index, func(ctx context.Context, x textsearch.Index) (err error) {
		marks, err = x.Highlight(ctx, q.viewer.Org, a.Query, pieces, documents)
		return err
	})
	a.degrade(s)
	return marks, err
}

// read parses the query, if the request is one that can be answered.
func (in Request) read() (*parsed, error) {
	p, err := parse(in.Query)
	if err != nil {
		return nil, err
	}
	if err := checkFilter(in); err != nil {
		return nil, err
	}
	switch {
	case in.Order == Relevance:
	case in.GroupBy != nil:
		return nil, fault.Invalid("orderBy", "hits by session are ordered by relevance")
	case in.Mode != Keyword && p.meaning() != "":
		return nil, fault.Invalid("orderBy", "hits by meaning are ordered by relevance")
	}
	return p, nil
}

// checkFilter bounds the lists of a filter: an index is handed them with each search.
func checkFilter(in Request) error {
	if f := in.Filter; f != nil {
		for field, n := range map[string]int{
			"clientIds": len(f.ClientIds), "coachIds": len(f.CoachIds), "engagementIds": len(f.EngagementIds), "tagIds": len(f.TagIds),
			"participantUserIds": len(f.ParticipantUserIds), "types": len(f.Types), "statuses": len(f.Statuses),
		} {
			if n > 100 {
				return fault.Invalid("filter."+field, "must have at most 100 values, has %d", n)
			}
		}
	}
	if n := len(in.Kinds); n > maxKinds {
		return fault.Invalid("kinds", "must name at most %d kinds, names %d", maxKinds, n)
	}
	if n := len(in.Facets); n > 10 {
		return fault.Invalid("facets", "must ask for at most 10 counts, asks for %d", n)
	}
	by := map[string]FacetField{} // of documents
	for _, f := range in.Facets {
		if f.First < 1 || f.First > 50 {
			return fault.Invalid("facets", "must have from 1 to 50 buckets, got %d", f.First)
		}
		switch other, twice := by[facets[f.Field].Field]; {
		case other == f.Field:
			return fault.Invalid("facets", "names %s twice", f.Field)
		case twice:
			return fault.Invalid("facets", "names %s and %s: hits are counted by one of them at a time", other, f.Field)
		}
		by[facets[f.Field].Field] = f.Field
	}
	return nil
}
