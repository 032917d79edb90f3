package search

import (
	"context"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/coding"
	"github.com/rapporthq/rapport/internal/coaching/engagement"
	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/tag"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
	"github.com/rapporthq/rapport/internal/platform/textsearch"
)

// narrows are the fields that conditions of a query narrow.
var narrows = map[string]string{
	"speaker": fieldSpeaker, "tag": fieldTag, "client": fieldClient, "coach": fieldCoach, "kind": textsearch.FieldKind, "insight": fieldInsightKind, "code": fieldCode,
	"after": textsearch.FieldTime, "before": textsearch.FieldTime,
}

// insightKinds are what insight: may be.
var insightKinds = spelled([]insight.Kind{
	insight.KindTheme, insight.KindBreakthrough, insight.KindBlocker, insight.KindCommitment, insight.KindChangeTalk, insight.KindSustainTalk, insight.KindStrength, insight.KindValue,
	insight.KindEmotionShift, insight.KindRiskFlag, insight.KindCoachSkill, insight.KindQuestionOfNote,
})

// codes are what code: may be.
var codes = spelled([]coding.Code{
	coding.QuestionOpen, coding.QuestionClosed, coding.Reflection, coding.InputWithPermission, coding.InputWithoutPermission, coding.Affirmation, coding.Other,
	coding.ChangeTalk, coding.SustainTalk, coding.Neutral,
})

func spelled[T ~string](values []T) []string {
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = string(v)
	}
	return all
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
	if !limits(rest) && !rest.IncludeArchived {
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
	return append(all(a), all(b)...)
}

// all are the conditions that must all hold for e to hold: side by side, because an index nests only so deep.
func all(e textsearch.Expr) textsearch.All {
	if several, ok := e.(textsearch.All); ok {
		return slices.Clip(several)
	}
	return textsearch.All{e}
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
func (s *Service) resolve(ctx context.Context, v auth.Viewer, q *parsed, g *sight, mine []*tag.Tag) (resolved map[*queryNode]textsearch.Expr, err error) {
	resolved = map[*queryNode]textsearch.Expr{}
	code := func(c *queryNode, field string, known ...string) {
		value := strings.ToUpper(strings.NewReplacer("-", "_", " ", "_").Replace(c.text))
		if !slices.Contains(known, value) {
			q.note("%s:%s is left out: it may be %s.", c.field, clip(c.text), strings.ToLower(strings.Join(known, ", ")))
			return
		}
		resolved[c] = is(field, value)
	}
	called := map[[2]string][]string{}
	for _, c := range q.conditions() {
		switch c.field {
		case "speaker":
			code(c, fieldSpeaker, "CLIENT", "COACH", "OTHER", "UNKNOWN")
		case "kind":
			code(c, textsearch.FieldKind, string(Utterance), string(Insight), string(Note), string(Goal), string(Action), string(Session))
		case "insight":
			code(c, fieldInsightKind, insightKinds...)
		case "code":
			if code(c, fieldCode, codes...); resolved[c] != nil {
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
			field, find := fieldClient, s.clientsCalled
			if c.field == "coach" {
				field, find = fieldCoach, s.coachesCalled
			}
			who := [2]string{c.field, c.text}
			ids, known := called[who]
			if !known {
				if ids, err = find(ctx, v, c.text); err != nil {
					return nil, err
				}
				called[who] = ids
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
	found, err := s.domains.Clients.List(ctx, &client.Filter{Called: &name, IncludeArchived: true}, nil, page.Args{First: &first})
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
		SELECT u.id FROM users u WHERE `+client.Called("u.name", "$3")+` AND u.id IN (
			SELECT $2::uuid UNION SELECT sv.coach_id FROM supervisions sv WHERE sv.org_id = $1 AND sv.supervisor_id = $2
			UNION SELECT e.coach_id FROM engagements e JOIN clients c ON c.org_id = $1 AND c.id = e.client_id WHERE e.org_id = $1 AND c.user_id = $2)
		ORDER BY u.id LIMIT 100`, v.Org, v.User, client.Calling(name))
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
func counts(in Request, mine []*tag.Tag) (all []textsearch.Facet, coded bool) {
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
