package search

import (
	"context"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
	"github.com/rapporthq/rapport/internal/platform/textsearch"
	"github.com/rapporthq/rapport/internal/platform/vector"
)

// Searching is for those in the conversation and the coach's supervisor. Owners, admins and sponsors, who see dates and counts, find
// nothing by these roles: a word that finds something would tell what they are not to read.
//
// What changes by itself in a moment, a consent, a transcript that is shared or archived, is asked of PostgreSQL with every search, and
// becomes a list of ids in the filter. What stands in the document (audience, visibility, whose it is) may be a second old:
// documents that wait to be written anew are left out.

// view is a session as the viewer may search it.
type view struct {
	auth.Grants
	ID                            id.UUID
	Readable, Counted             *id.UUID // the transcript to be read, and the one whose insights count
	AsCoach, AsSupervisor, Client bool     // sees what was derived
}

func views(v auth.Viewer) page.Table[view] {
	words := session.ConversationScope(v, "t.org_id", session.ToRead, "true", "t.shared_with_client")
	derived := session.ConversationScope(v, "s.org_id", session.ToAnalyse, "true", "true")
	return page.Table[view]{
		From: "sessions s",
		ID:   "s.id",
		Columns: "s.id, (SELECT t.id FROM transcripts t WHERE t.org_id = $1 AND t.session_id = s.id AND t.archived_at IS NULL AND t.utterance_count > 0 AND " +
			words.Where() + " ORDER BY t.version DESC LIMIT 1), " +
			"(SELECT c.id FROM transcripts c WHERE c.org_id = $1 AND c.session_id = s.id AND " + transcript.Counts(v, "s.id", "c.id") + " LIMIT 1), " +
			derived.Through(auth.AsCoach) + ", " + derived.Through(auth.AsSupervisor) + ", " + derived.Through(auth.AsClient),
		Dest: func(w *view) []any {
			return []any{&w.Grants, &w.ID, &w.Readable, &w.Counted, &w.AsCoach, &w.AsSupervisor, &w.Client}
		},
		Key: func(w *view) id.UUID { return w.ID },
	}
}

var viewsInOrder = page.Order[view]{Name: "search-session", Keys: []page.Key[view]{{SQL: "s.id", Type: "uuid"}}}

// sight is what a viewer may find.
type sight struct {
	viewer   auth.Viewer
	sessions []string // ids
	limited  bool     // to these sessions, and what belongs to them

	readable                      []string // transcripts
	asCoach, asSupervisor, client []string // transcripts whose insights are seen so

	supervised, own []string // coaches, and clients that the viewer is
	pending         []string // groups that wait to be written anew
	behind          []string // groups whose vectors do
	missed          []string // groups that the primary index has missed, because it was away
}

// see asks what the viewer may find in the sessions that the filter lets through; nil lets through all that are not archived.
func (s *Service) see(ctx context.Context, v auth.Viewer, f *session.Filter) (*sight, error) {
	scope := session.Scope(v)
	w := f.Where(v)
	w.And(scope.Through(auth.AsCoach | auth.AsSupervisor | auth.AsClient))
	found, err := page.All(ctx, s.db, v, views(v), scope, w, viewsInOrder)
	if err != nil {
		return nil, err
	}
	g := &sight{viewer: v, limited: f != nil && limits(*f)}
	for _, w := range found {
		g.sessions = append(g.sessions, w.ID.String())
		if w.Readable != nil {
			g.readable = append(g.readable, w.Readable.String())
		}
		if w.Counted == nil {
			continue
		}
		for _, to := range []struct {
			sees bool
			list *[]string
		}{{w.AsCoach, &g.asCoach}, {w.AsSupervisor, &g.asSupervisor}, {w.Client, &g.client}} {
			if to.sees {
				*to.list = append(*to.list, w.Counted.String())
			}
		}
	}
	rows, err := s.db.Query(ctx, `
		SELECT 1, sv.coach_id, '' FROM supervisions sv WHERE $3 AND sv.org_id = $1 AND sv.supervisor_id = $2
		UNION ALL SELECT 2, c.id, '' FROM clients c WHERE $4 AND c.org_id = $1 AND c.user_id = $2
		UNION ALL (SELECT 3, w.subject_id, w.subject FROM search_changes w WHERE w.org_id = $1 AND w.subject IN ('session', 'note', 'goal', 'action') ORDER BY w.id LIMIT $5)
		UNION ALL (SELECT CASE WHEN j.state = 'PENDING' AND j.attempt = 0 AND j.run_at > now() THEN 4 ELSE 3 END, j.entity_id, substr(j.kind, 8) FROM jobs j
			WHERE j.org_id = $1 AND j.kind IN ('search.session', 'search.note', 'search.goal', 'search.action') AND j.state IN ('PENDING', 'RUNNING') ORDER BY j.id LIMIT $5)
		UNION ALL (SELECT 5, j.entity_id, substr(j.kind, 7) FROM jobs j
			WHERE j.org_id = $1 AND j.kind IN ('embed.session', 'embed.note', 'embed.goal', 'embed.action') AND j.state IN ('PENDING', 'RUNNING') ORDER BY j.id LIMIT $5)`,
		v.Org, v.User, v.Has(auth.RoleSupervisor), v.Has(auth.RoleClient), pendingAtMost)
	if err != nil {
		return nil, err
	}
	var what int
	var key id.UUID
	var subject string
	_, err = pgx.ForEachRow(rows, []any{&what, &key, &subject}, func() error {
		switch what {
		case 1:
			g.supervised = append(g.supervised, key.String())
		case 2:
			g.own = append(g.own, key.String())
		case 4: // put off, which an index does that is away (index.go)
			g.missed = append(g.missed, Subject(subject).group(key))
		case 5:
			g.behind = append(g.behind, Subject(subject).group(key))
		default:
			g.pending = append(g.pending, Subject(subject).group(key))
		}
		return nil
	})
	return g, err
}

// limits says whether a filter has conditions that only sessions meet.
func limits(f session.Filter) bool {
	return f.Types != nil || f.Statuses != nil || f.ParticipantUserIds != nil || f.HasTranscript != nil
}

func is(field string, values ...string) textsearch.Expr {
	return textsearch.Terms{Field: field, Values: values}
}

func isNot(field string, values ...string) textsearch.Expr {
	return textsearch.Not{Of: is(field, values...)}
}

func either(of ...textsearch.Expr) textsearch.Expr { return textsearch.Any{Of: of} }

// filter is what an index is restricted to.
func (g *sight) filter() textsearch.Expr {
	seen := either(append(g.derived(), kind(Utterance, is(fieldTranscript, g.readable...)))...)
	if len(g.pending) == 0 {
		return seen
	}
	return textsearch.All{seen, isNot(textsearch.FieldGroup, g.pending...)}
}

func kind(k Kind, e textsearch.Expr) textsearch.Expr {
	return textsearch.All{is(textsearch.FieldKind, string(k)), e}
}

// derived are all kinds but what was said, as the viewer sees them.
func (g *sight) derived() []textsearch.Expr {
	me := g.viewer.User.String()
	coach, supervisor, client := is(fieldCoach), is(fieldCoach, g.supervised...), is(fieldClient, g.own...)
	if g.viewer.Has(auth.RoleCoach) {
		coach = is(fieldCoach, me)
	}
	work := either(coach, supervisor, client)
	public, withOrg := isNot(fieldVisibility, "PRIVATE"), is(fieldVisibility, "SHARED_WITH_ORG")
	forClient := isNot(fieldAudience, "COACH_ONLY")

	ofSession := func(e textsearch.Expr) textsearch.Expr {
		if g.limited {
			return textsearch.All{e, is(fieldSession, g.sessions...)}
		}
		return e
	}
	return []textsearch.Expr{
		kind(Insight, either(
			is(fieldTranscript, g.asCoach...),
			textsearch.All{is(fieldTranscript, g.asSupervisor...), either(forClient, is(fieldInsightKind, "COACH_SKILL"))},
			textsearch.All{is(fieldTranscript, g.client...), forClient, is(fieldStatus, "ACCEPTED", "EDITED")},
		)),
		kind(Session, is(fieldSession, g.sessions...)),
		kind(Note, ofSession(either(
			is(fieldAuthor, me),
			textsearch.All{public, either(coach, client)},
			textsearch.All{withOrg, supervisor},
		))),
		kind(Goal, ofSession(work)),
		kind(Action, ofSession(either(work, is(fieldAssignee, me)))),
	}
}

// unmissed leaves out what the primary index has missed; nil if it is nothing.
func (g *sight) unmissed() textsearch.Expr {
	if len(g.missed) == 0 {
		return nil
	}
	return isNot(textsearch.FieldGroup, g.missed...)
}

// coded are the transcripts whose utterance codes the viewer may know of.
func (g *sight) coded() textsearch.Expr {
	return is(fieldTranscript, append(append([]string{}, g.asCoach...), g.asSupervisor...)...)
}

// parts are sights of at most n sessions and transcripts each, which together see the same.
func (g *sight) parts(n int) []*sight {
	cut := func(all []string, part int) []string { return all[min(part*n, len(all)):min((part+1)*n, len(all))] }
	most := max(len(g.sessions), len(g.asCoach), len(g.asSupervisor), len(g.client))
	var parts []*sight
	for i := 0; i == 0 || i*n < most; i++ {
		part := *g
		part.sessions, part.asCoach, part.asSupervisor, part.client = cut(g.sessions, i), cut(g.asCoach, i), cut(g.asSupervisor, i), cut(g.client, i)
		parts = append(parts, &part)
	}
	return parts
}

// nearby are filters of vectors, in as many requests as their lists need: passages of the conversations, and all else that the sight has and that
// the conditions let through. Passages know no conditions.
func (g *sight) nearby(conversations []string, narrow map[string]textsearch.Expr) []vector.Expr {
	var of []vector.Expr
	for some := range slices.Chunk(conversations, vector.MaxTerms) {
		of = append(of, is(vector.FieldGroup, some...))
	}
	for i, part := range g.parts(vector.MaxTerms) {
		all := textsearch.All{either(part.derived()...), isNot(vector.FieldGroup, slices.Concat(g.pending, g.behind)...)}
		for _, field := range slices.Sorted(maps.Keys(narrow)) {
			all = append(all, narrow[field])
		}
		if i < len(of) {
			of[i] = either(of[i], all)
		} else {
			of = append(of, all)
		}
	}
	return of
}
