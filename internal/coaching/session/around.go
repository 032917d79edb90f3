package session

import (
	"context"

	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/engagement"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
)

// Around is where one stands with a client: between two sessions.
type Around struct {
	Next *Session // that is going on or planned, and not over by its time; nil if there is none
	Last *Session // that was held last; nil if none was
	// Left is how many of the sessions agreed are left, of the engagement of Next, or of Last; nil if no number was agreed.
	Left *int
}

// neighbour is a session with what is left of its engagement.
type neighbour struct {
	Session
	left *int
}

var neighbours = page.Table[neighbour]{
	From:    sessions.From,
	ID:      sessions.ID,
	Columns: sessions.Columns + ", " + engagement.SessionsLeft("s.engagement_id"),
	Dest:    func(n *neighbour) []any { return append(sessions.Dest(&n.Session), &n.left) },
}

var neighboursInOrder = page.Order[neighbour]{Name: "neighbour", Keys: []page.Key[neighbour]{{SQL: "s.starts_at", Type: "timestamptz"}, {SQL: "s.id", Type: "uuid"}}}

// Around finds the client's sessions before and after now that the viewer sees as their coach or as the coach's supervisor.
func (s *Service) Around(ctx context.Context, key client.ID) (Around, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return Around{}, err
	}
	visible := scope(v)
	one := func(condition, order string) string {
		return "s.id = (SELECT s.id FROM sessions s WHERE s.client_id = k.parent AND s.archived_at IS NULL AND " + visible.Where() + " AND " +
			visible.Through(auth.AsCoach|auth.AsSupervisor) + " AND " + condition + " ORDER BY s.starts_at " + order + ", s.id " + order + " LIMIT 1)"
	}
	var f page.Filter
	f.And(one("s.status IN ('SCHEDULED', 'IN_PROGRESS') AND s.starts_at + s.duration_minutes * interval '1 minute' > now()", "ASC") +
		" OR " + one("s.status = 'COMPLETED'", "DESC"))
	found, err := page.AllChildren(ctx, s.db, v, neighbours, visible, f, neighboursInOrder, "s.client_id", []id.UUID{key.UUID}, page.MaxSize)
	if err != nil {
		return Around{}, err
	}
	var a Around
	for _, n := range found[0] {
		if n.Status == Completed {
			a.Last = &n.Session
		} else {
			a.Next = &n.Session
		}
		if a.Left == nil || a.Next == &n.Session {
			a.Left = n.left
		}
	}
	return a, nil
}

// waitingInOrder is that in which they will be carried over.
var waitingInOrder = page.Order[Topic]{Name: "waiting", Keys: []page.Key[Topic]{
	{SQL: "s.starts_at", Type: "timestamptz"}, {SQL: "s.id", Type: "uuid"}, {SQL: "a.position", Type: "int"}, {SQL: "a.id", Type: "uuid"},
}}

// Waiting returns the topics of a client's agendas that wait for a next session to be carried over to, as many as it can take.
func (s *Service) Waiting(ctx context.Context, key client.ID) ([]*Topic, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	var f page.Filter
	f.And(`s.client_id = ? AND s.archived_at IS NULL AND s.status IN ('COMPLETED', 'CANCELLED', 'NO_SHOW') AND a.status <> 'DISCUSSED' AND a.carried_at IS NULL
		AND EXISTS (SELECT FROM engagements e WHERE e.org_id = $1 AND e.id = s.engagement_id AND e.status NOT IN ('COMPLETED', 'CANCELLED') AND e.archived_at IS NULL)`, key)
	found, err := page.List(ctx, s.db, v, topics, innerScope(v, "a.org_id"), f, waitingInOrder, page.First(maxTopics))
	if err != nil {
		return nil, err
	}
	return found.Nodes(), nil
}
