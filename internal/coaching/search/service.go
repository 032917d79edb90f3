package search

import (
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

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
	"github.com/rapporthq/rapport/internal/platform/id"
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
func (s *Service) ask(ctx context.Context, g *sight, r textsearch.Request) (found textsearch.Result, engine string, reason *string, err error) {
	try := func(x textsearch.Index, r textsearch.Request) error {
		ctx, cancel := context.WithTimeout(ctx, soon)
		defer cancel()
		engine = x.Capabilities().Name
		var err error
		found, err = x.Search(ctx, g.viewer.Org, r)
		return err
	}
	complete := r
	complete.Filter = both(r.Filter, g.unmissed())
	err = try(s.primary, complete)
	if err == nil || s.fallback == nil || ctx.Err() != nil || fault.KindOf(err) != fault.KindUnavailable && !errors.Is(err, context.DeadlineExceeded) {
		return found, engine, nil, err
	}
	why := degraded
	return found, engine, &why, try(s.fallback, r)
}

// Search finds what the viewer may see.
func (s *Service) Search(ctx context.Context, in Request) (_ *Result, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "search.Search")
	size := page.DefaultSize
	if in.First != nil {
		size = *in.First
	}
	if size < 0 || size > page.MaxSize {
		return nil, fault.Invalid("first", "must be from 0 to %d, got %d", page.MaxSize, size)
	}
	q, err := parse(in.Query)
	if err != nil {
		return nil, err
	}
	if err := checkFilter(in); err != nil {
		return nil, err
	}
	mine, err := s.domains.Tags.All(ctx)
	if err != nil {
		return nil, err
	}
	restrict, narrow := narrowed(in, mine)
	sight, err := s.see(ctx, v, restrict)
	if err != nil {
		return nil, err
	}
	resolved, err := s.resolve(ctx, v, q, sight, mine)
	if err != nil {
		return nil, err
	}
	r := textsearch.Request{Filter: sight.filter(), Narrow: narrow, Size: size, Highlights: 2, Total: true}
	// What stands by itself narrows, so that facets can show what else there would be.
	for _, k := range q.root.kids {
		if e := resolved[k]; e != nil {
			narrow[narrows[k.field]] = both(narrow[narrows[k.field]], e)
			delete(resolved, k)
		}
	}
	r.Query = q.root.expr(resolved)
	r.Order = map[Order]textsearch.Order{Newest: textsearch.Newest, Oldest: textsearch.Oldest}[in.Order]
	if len(words(r.Query)) == 0 && in.Order == Relevance && in.GroupBy == nil {
		r.Order = textsearch.Newest // nothing is better than anything else
	}
	out := &Result{Interpretation: &Interpretation{Query: q.text(), Notes: append([]string{}, q.notes...)}, Facets: []*Facet{}, Hits: []*Hit{}}
	count, coded := s.counts(in, mine)
	r.Facets = count
	var found textsearch.Result
	engine := ""
	var places map[string]ranks
	meant := meantBy(r.Query)
	merges := meant != "" && (in.Mode == Semantic || in.Mode == Hybrid)
	if merges {
		found, engine, out.Degraded, places, err = s.merged(ctx, sight, in, meant, r, size)
	} else if in.GroupBy != nil {
		found, engine, out.Degraded, err = s.grouped(ctx, sight, in, r)
	} else {
		if in.After != nil {
			r.After = *in.After
		}
		found, engine, out.Degraded, err = s.ask(ctx, sight, r)
	}
	if err != nil {
		return nil, err
	}
	if coded {
		r.Filter, r.Facets, r.Size, r.Total, r.After, r.GroupBy = both(r.Filter, sight.coded()), []textsearch.Facet{{Field: fieldCode, Size: textsearch.MaxSize}}, 0, false, "", ""
		r.Order = ""
		codes, _, _, err := s.ask(ctx, sight, r)
		if err != nil {
			return nil, err
		}
		found.Facets[fieldCode] = codes.Facets[fieldCode]
	}
	if out.HasNextPage = found.More; !merges {
		out.TotalCount = &found.Total
	}
	if out.Hits, err = s.load(ctx, v, engine, found.Hits); err != nil {
		return nil, err
	}
	if in.GroupBy != nil {
		seen := ""
		if in.After != nil {
			seen = *in.After
		}
		for i, h := range found.Hits {
			seen = pass(seen, h.Key)
			for _, hit := range out.Hits {
				if hit.Rank == i+1 {
					hit.Cursor = seen
				}
			}
		}
	}
	for _, h := range out.Hits {
		if place, ok := places[found.Hits[h.Rank-1].ID]; ok {
			h.place = &place
		}
	}
	out.Facets, err = s.label(ctx, in, found.Facets)
	return out, err
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
	if len(in.Facets) > 10 {
		return fault.Invalid("facets", "must be at most 10")
	}
	seen := map[FacetField]bool{}
	histograms := 0
	for _, f := range in.Facets {
		if facets[f.Field].Field == textsearch.FieldTime {
			histograms++
		}
		if f.First < 1 || f.First > 50 {
			return fault.Invalid("facets", "must have from 1 to 50 buckets, got %d", f.First)
		}
		if seen[f.Field] || histograms > 1 {
			return fault.Invalid("facets", "names %s twice, or two histograms", f.Field)
		}
		seen[f.Field] = true
	}
	return nil
}

// narrows are the fields that conditions of a query narrow.
var narrows = map[string]string{
	"speaker": fieldSpeaker, "tag": fieldTag, "client": fieldClient, "coach": fieldCoach, "kind": textsearch.FieldKind, "insight": fieldInsightKind, "code": fieldCode,
	"after": textsearch.FieldTime, "before": textsearch.FieldTime,
}

// narrowed parts a filter: what documents know by themselves narrows, so that facets can show what else there would be; the rest restricts
// to certain sessions.
func narrowed(in Request, mine []*tag.Tag) (restrict *session.Filter, narrow map[string]textsearch.Expr) {
	narrow = map[string]textsearch.Expr{}
	if in.Kinds != nil {
		var kinds []string
		for _, k := range in.Kinds {
			kinds = append(kinds, string(k))
		}
		narrow[textsearch.FieldKind] = is(textsearch.FieldKind, kinds...)
	}
	if in.Filter == nil {
		return nil, narrow
	}
	f := *in.Filter
	if f.IDs != nil {
		narrow[fieldSession] = is(fieldSession, keys(f.IDs, func(s session.ID) id.UUID { return s.UUID })...)
	}
	if f.ClientIds != nil {
		narrow[fieldClient] = is(fieldClient, keys(f.ClientIds, func(c client.ID) id.UUID { return c.UUID })...)
	}
	if f.CoachIds != nil {
		narrow[fieldCoach] = is(fieldCoach, keys(f.CoachIds, func(u org.UserID) id.UUID { return u.UUID })...)
	}
	if f.EngagementIds != nil {
		narrow[fieldEngagement] = is(fieldEngagement, keys(f.EngagementIds, func(e engagement.ID) id.UUID { return e.UUID })...)
	}
	if f.TagIds != nil { // a tag of somebody else's finds nothing, and tells nothing
		visible := slices.DeleteFunc(slices.Clone(f.TagIds), func(t tag.ID) bool { return !slices.ContainsFunc(mine, func(m *tag.Tag) bool { return m.ID == t }) })
		narrow[fieldTag] = is(fieldTag, keys(visible, func(t tag.ID) id.UUID { return t.UUID })...)
	}
	if f.StartsAfter != nil || f.StartsBefore != nil {
		var between textsearch.Between
		if f.StartsAfter != nil {
			between.From = *f.StartsAfter
		}
		if f.StartsBefore != nil {
			between.To = *f.StartsBefore
		}
		narrow[textsearch.FieldTime] = between
	}
	rest := session.Filter{Types: f.Types, Statuses: f.Statuses, ParticipantUserIds: f.ParticipantUserIds, HasTranscript: f.HasTranscript, IncludeArchived: f.IncludeArchived}
	if rest.Types == nil && rest.Statuses == nil && rest.ParticipantUserIds == nil && rest.HasTranscript == nil && !rest.IncludeArchived {
		return nil, narrow
	}
	return &rest, narrow
}

func keys[T any](ids []T, key func(T) id.UUID) []string {
	all := make([]string, len(ids))
	for i, one := range ids {
		all[i] = key(one).String()
	}
	return all
}

func both(a, b textsearch.Expr) textsearch.Expr {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return textsearch.All{a, b}
}

// words are the parts of e that are looked for.
func words(e textsearch.Expr) (found []textsearch.Expr) {
	switch e := e.(type) {
	case textsearch.Word, textsearch.Phrase:
		return []textsearch.Expr{e}
	case textsearch.All:
		for _, k := range e {
			found = append(found, words(k)...)
		}
	case textsearch.Any:
		for _, k := range e.Of {
			found = append(found, words(k)...)
		}
	}
	return found
}

// resolve finds out what the conditions of a query mean: names become ids, as far as the viewer may know them. What means nothing is left
// out with a note, if it can be nothing; a name that nobody has finds nothing.
func (s *Service) resolve(ctx context.Context, v auth.Viewer, q *parsed, g *sight, mine []*tag.Tag) (map[*queryNode]textsearch.Expr, error) {
	resolved := map[*queryNode]textsearch.Expr{}
	code := func(c *queryNode, field string, known ...string) {
		value := strings.ToUpper(strings.ReplaceAll(c.text, "-", "_"))
		if known != nil && !slices.Contains(known, value) {
			q.note("%s:%s is left out: it may be %s.", c.field, clip(c.text), strings.ToLower(strings.Join(known, ", ")))
			return
		}
		resolved[c] = is(field, value)
	}
	names := 0
	for _, c := range q.conditions() {
		switch c.field {
		case "speaker":
			code(c, fieldSpeaker, "CLIENT", "COACH", "OTHER", "UNKNOWN")
		case "kind":
			code(c, textsearch.FieldKind, string(Utterance), string(Insight), string(Note), string(Goal), string(Action), string(Session))
		case "insight":
			code(c, fieldInsightKind)
		case "code":
			if code(c, fieldCode); resolved[c] != nil {
				resolved[c] = textsearch.All{resolved[c], g.coded()}
			}
		case "after", "before":
			at, ok := day(c.text)
			switch {
			case !ok:
				q.note("%s:%s is left out: a date is written like 2026-01-31, 2026-01 or 2026.", c.field, clip(c.text))
			case c.field == "after":
				resolved[c] = textsearch.Between{From: at}
			default:
				resolved[c] = textsearch.Between{To: at}
			}
		case "tag":
			var ids []string
			for _, t := range mine {
				if strings.EqualFold(t.Name, c.text) || textsearch.Fold(t.Name) == textsearch.Fold(strings.ReplaceAll(c.text, "-", " ")) {
					ids = append(ids, t.ID.UUID.String())
				}
			}
			if resolved[c] = is(fieldTag, ids...); ids == nil {
				q.note("You have no tag called %q.", clip(c.text))
			}
		default:
			if names++; names > 10 {
				return nil, fault.Invalid("query", "must name at most 10 clients and coaches")
			}
			field, find := fieldClient, s.clientsCalled
			if c.field == "coach" {
				field, find = fieldCoach, s.coachesCalled
			}
			ids, err := find(ctx, v, c.text)
			if err != nil {
				return nil, err
			}
			if resolved[c] = is(field, ids...); ids == nil {
				q.note("You know no %s called %q.", c.field, clip(c.text))
			}
		}
	}
	return resolved, nil
}

func (s *Service) clientsCalled(ctx context.Context, _ auth.Viewer, name string) (ids []string, err error) {
	first := page.MaxSize
	found, err := s.domains.Clients.List(ctx, &client.Filter{NameStartsWith: &name, IncludeArchived: true}, nil, page.Args{First: &first})
	if err != nil {
		return nil, err
	}
	for _, c := range found.Nodes() {
		ids = append(ids, c.ID.UUID.String())
	}
	return ids, nil
}

// coachesCalled are the coaches among those whose work the viewer may search, by name or as "me".
func (s *Service) coachesCalled(ctx context.Context, v auth.Viewer, name string) (ids []string, err error) {
	if strings.EqualFold(name, "me") {
		return []string{v.User.String()}, nil
	}
	rows, err := s.db.Query(ctx, `
		SELECT u.id FROM users u WHERE starts_with(lower(u.name), lower($3)) AND u.id IN (
			SELECT $2::uuid UNION SELECT sv.coach_id FROM supervisions sv WHERE sv.org_id = $1 AND sv.supervisor_id = $2
			UNION SELECT e.coach_id FROM engagements e JOIN clients c ON c.org_id = $1 AND c.id = e.client_id WHERE e.org_id = $1 AND c.user_id = $2)
		ORDER BY u.id LIMIT 100`, v.Org, v.User, name)
	if err != nil {
		return nil, err
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[id.UUID])
	for _, u := range found {
		ids = append(ids, u.String())
	}
	return ids, err
}

// counts are the facets that an index is asked for, but for that of codes, which not everybody who sees an utterance may know.
func (s *Service) counts(in Request, mine []*tag.Tag) (all []textsearch.Facet, coded bool) {
	for _, f := range in.Facets {
		if f.Field == FacetCode {
			coded = true
			continue
		}
		facet := facets[f.Field]
		facet.Size = f.First
		if f.Field == FacetTag {
			facet.Only = keys(mine, func(t *tag.Tag) id.UUID { return t.ID.UUID })
		}
		all = append(all, facet)
	}
	return all, coded
}

const (
	maxOthers = 5   // hits of a session beside the best
	maxGroups = 200 // sessions that can be paged through
)

// grouped finds the best of each session. A cursor of this list names the sessions that were shown: so no hit that becomes better
// meanwhile shows one twice.
func (s *Service) grouped(ctx context.Context, sight *sight, in Request, r textsearch.Request) (found textsearch.Result, engine string, reason *string, err error) {
	if in.Order != Relevance {
		return found, "", nil, fault.Invalid("orderBy", "hits by session are ordered by relevance")
	}
	r.GroupBy, r.PerGroup = fieldSession, maxOthers
	if in.After == nil {
		return s.ask(ctx, sight, r)
	}
	seen, err := passed(*in.After)
	if err != nil {
		return found, "", nil, err
	}
	rest := r
	rest.Facets, rest.Total, rest.Filter = nil, false, both(r.Filter, isNot(fieldSession, seen...))
	if found, engine, reason, err = s.ask(ctx, sight, rest); err != nil {
		return found, engine, reason, err
	}
	r.Size, r.GroupBy, r.PerGroup = 0, "", 0
	all, _, _, err := s.ask(ctx, sight, r)
	found.Total, found.Facets = all.Total, all.Facets
	return found, engine, reason, err
}

// pass adds a session to a cursor.
func pass(cursor, key string) string {
	var u id.UUID
	_ = u.UnmarshalText([]byte(key)) // a key of ours
	raw, _ := base64.RawURLEncoding.DecodeString(cursor)
	return base64.RawURLEncoding.EncodeToString(append(raw, u[:]...))
}

func passed(cursor string) (sessions []string, err error) {
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(raw) == 0 || len(raw)%16 != 0 || len(raw) > 16*maxGroups {
		return nil, textsearch.ErrCursor
	}
	for u := range slices.Chunk(raw, 16) {
		sessions = append(sessions, id.UUID(u).String())
	}
	return sessions, nil
}
