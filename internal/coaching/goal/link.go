package goal

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// Kind is a kind of thing that a goal can be linked with, beside actions.
type Kind struct {
	Prefix string // of its ids
	Column string // of goal_links
	// ClientOf returns the client whose it is, or NotFound if the viewer cannot see it.
	ClientOf func(ctx context.Context, key id.UUID) (client.ID, error)
}

// Links links goals with what they have to do with. It knows none of those domains: they are registered with it.
type Links struct {
	*Service
	kinds map[string]Kind
}

// NewLinks returns Links for the goals of a Service with the given kinds of things.
func NewLinks(s *Service, kinds ...Kind) *Links {
	l := &Links{Service: s, kinds: map[string]Kind{}}
	for _, k := range kinds {
		l.kinds[k.Prefix] = k
	}
	return l
}

// maxLinks is how many sessions, and how many insights, one goal is linked with at most.
const maxLinks = 50

// Link links a goal with a session, an insight or an action of the same client. Doing it twice is doing it once; an action
// has one goal, which then is this.
func (l *Links) Link(ctx context.Context, in LinkInput) (*Goal, error) { return l.set(ctx, in, true) }

// Unlink takes a link away. One that is not there is already gone.
func (l *Links) Unlink(ctx context.Context, in LinkInput) (*Goal, error) {
	return l.set(ctx, in, false)
}

func (l *Links) set(ctx context.Context, in LinkInput, link bool) (_ *Goal, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "goal.Link(%s, %s)", in.GoalID, in.EntityID)
	g, err := l.Get(ctx, in.GoalID)
	if err != nil {
		return nil, err
	}
	if !g.Any(auth.AsCoach) {
		return nil, fault.Forbidden("only the coach can link a goal")
	}
	whose, err := l.clientOf(ctx, in.EntityID)
	if err != nil {
		return nil, err
	}
	if whose != g.ClientID {
		return nil, fault.Invalid("entityId", "is no session, insight or action of the goal's client")
	}
	err = postgres.InTx(ctx, l.db, func(tx pgx.Tx) error {
		if _, err := lock(ctx, tx, v, in.GoalID, auth.AsCoach); err != nil {
			return err
		}
		verb := map[bool]string{true: "goal.link", false: "goal.unlink"}[link]
		if err := audit.Record(ctx, tx, v, entry(verb, in.GoalID, g.ClientID, in.EntityID.Prefix+"s")); err != nil {
			return err
		}
		if in.EntityID.Prefix == "action" {
			return linkAction(ctx, tx, v, in, link)
		}
		column := l.kinds[in.EntityID.Prefix].Column
		if !link {
			_, err := tx.Exec(ctx, `DELETE FROM goal_links WHERE org_id = $1 AND goal_id = $2 AND `+column+` = $3`, v.Org, in.GoalID, in.EntityID.UUID)
			return err
		}
		var others int
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM goal_links WHERE org_id = $1 AND goal_id = $2 AND `+column+` <> $3`,
			v.Org, in.GoalID, in.EntityID.UUID).Scan(&others); err != nil {
			return err
		}
		if others >= maxLinks {
			return fault.Conflict("a goal is linked with at most %d of a kind", maxLinks)
		}
		_, err := tx.Exec(ctx, `INSERT INTO goal_links (id, org_id, goal_id, `+column+`) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
			id.New(), v.Org, in.GoalID, in.EntityID.UUID)
		return err
	})
	if err != nil {
		return nil, err
	}
	return l.Get(ctx, in.GoalID)
}

func (l *Links) clientOf(ctx context.Context, entity id.Any) (whose client.ID, err error) {
	kind, ok := l.kinds[entity.Prefix]
	switch {
	case entity.Prefix == "action":
		a, err := l.Action(ctx, ActionID{entity.UUID})
		if err == nil {
			return a.ClientID, nil
		} else if fault.KindOf(err) != fault.KindNotFound {
			return whose, err
		}
	case ok:
		whose, err := kind.ClientOf(ctx, entity.UUID)
		if err == nil || fault.KindOf(err) != fault.KindNotFound {
			return whose, err
		}
	}
	return whose, fault.Invalid("entityId", "is no session, insight or action of the goal's client")
}

func linkAction(ctx context.Context, tx pgx.Tx, v auth.Viewer, in LinkInput, link bool) error {
	_, err := tx.Exec(ctx, `
		UPDATE action_items SET goal_id = CASE WHEN $4 THEN $3::uuid END, version = version + 1, updated_at = now()
		WHERE org_id = $1 AND id = $2 AND (goal_id IS NOT DISTINCT FROM $3) <> $4`, v.Org, in.EntityID.UUID, in.GoalID, link)
	return err
}

// LinkedSessions returns the ids of the sessions that each goal is linked with, latest first, in the order of the goals. The
// ids of goals are of those that the viewer has been shown; a session is loaded with the viewer's scope.
func (s *Service) LinkedSessions(ctx context.Context, goals []id.UUID) ([][]session.ID, error) {
	return links[session.ID](ctx, s, "session_id", goals)
}

// LinkedInsights returns the ids of the insights that each goal is linked with, as LinkedSessions.
func (s *Service) LinkedInsights(ctx context.Context, goals []id.UUID) ([][]id.UUID, error) {
	return links[id.UUID](ctx, s, "insight_id", goals)
}

func links[T any](ctx context.Context, s *Service, column string, goals []id.UUID) ([][]T, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return queryLists[T](ctx, s.db, `
		SELECT ARRAY(SELECT l.`+column+` FROM goal_links l WHERE l.org_id = $1 AND l.goal_id = k.id AND l.`+column+` IS NOT NULL ORDER BY l.created_at DESC, l.id DESC)
		FROM unnest($2::uuid[]) WITH ORDINALITY AS k(id, ord) ORDER BY k.ord`, v.Org, goals)
}

func queryLists[T any](ctx context.Context, db page.Querier, sql string, args ...any) ([][]T, error) {
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[[]T])
}
