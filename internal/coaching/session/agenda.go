package session

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/coaching/engagement"
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/check"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// maxTopics bounds an agenda, which is read without pages.
const maxTopics = 50

// TopicID identifies a topic of an agenda: topic_….
type TopicID struct{ id.UUID }

func (i TopicID) String() string { return id.Format("topic", i.UUID) }

// MarshalGQL implements graphql.Marshaler.
func (i TopicID) MarshalGQL(w io.Writer) { id.Write(w, "topic", i.UUID) }

// UnmarshalGQL implements graphql.Unmarshaler.
func (i *TopicID) UnmarshalGQL(v any) error { return id.Read(v, "topic", &i.UUID) }

// TopicStatus says what became of a topic in its session.
type TopicStatus string

// The states of a topic. They follow each other in any order.
const (
	TopicOpen      TopicStatus = "OPEN"
	TopicDiscussed TopicStatus = "DISCUSSED"
	TopicDeferred  TopicStatus = "DEFERRED"
)

// Topic is something to talk about in a session.
type Topic struct {
	auth.Grants
	ID            TopicID
	SessionID     ID
	Title         string
	Notes         *string
	Status        TopicStatus
	AddedByID     org.UserID
	CarriedFromID *TopicID
	CreatedAt     time.Time
	UpdatedAt     time.Time
}

// IsNode marks a Relay node.
func (*Topic) IsNode() {}

// AddTopicInput puts a topic on an agenda, at its end.
type AddTopicInput struct {
	SessionID ID
	Title     string
	Notes     *string
}

// UpdateTopicInput changes a topic: a field that is nil stays as it is, one that points to nil is cleared.
type UpdateTopicInput struct {
	ID     TopicID
	Title  **string
	Notes  **string
	Status **TopicStatus
}

// ReorderInput puts topics of an agenda first, in the given order; the others follow in theirs.
type ReorderInput struct {
	SessionID ID
	TopicIds  []TopicID
}

// RemoveTopicInput takes a topic off an agenda.
type RemoveTopicInput struct{ ID TopicID }

var topics = page.Table[Topic]{
	From:    "agenda_topics a JOIN sessions s ON s.org_id = $1 AND s.id = a.session_id",
	ID:      "a.id",
	Columns: "a.id, a.session_id, a.title, a.notes, a.status, a.added_by, a.carried_from, a.created_at, a.updated_at",
	Dest: func(t *Topic) []any {
		return []any{&t.Grants, &t.ID, &t.SessionID, &t.Title, &t.Notes, &t.Status, &t.AddedByID, &t.CarriedFromID, &t.CreatedAt, &t.UpdatedAt}
	},
	Key: func(t *Topic) id.UUID { return t.ID.UUID },
}

// topicsInOrder lists all of an agenda, so that it is never a page's order.
var topicsInOrder = page.Order[Topic]{Name: "topic", Keys: []page.Key[Topic]{{SQL: "a.position", Type: "int"}, {SQL: "a.id", Type: "uuid"}}}

// Agendas returns the topics of each session, in the order of the sessions.
func (s *Service) Agendas(ctx context.Context, sessions []id.UUID) ([][]*Topic, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.AllChildren(ctx, s.db, v, topics, innerScope(v, "a.org_id"), page.Filter{}, topicsInOrder, "a.session_id", sessions, maxTopics)
}

// TopicsByIDs returns those of the topics that the viewer may see.
func (s *Service) TopicsByIDs(ctx context.Context, ids []id.UUID) (map[id.UUID]*Topic, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.ByIDs(ctx, s.db, v, topics, innerScope(v, "a.org_id"), ids)
}

// AddTopic puts a topic on a session's agenda: the coach at any time, the client until the session is over.
func (s *Service) AddTopic(ctx context.Context, in AddTopicInput) (_ *Topic, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "session.AddTopic(%s)", in.SessionID)
	key := TopicID{id.New()}
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		found, err := s.lock(ctx, tx, v, in.SessionID)
		if err != nil {
			return err
		}
		if !found.Any(auth.AsCoach | auth.AsClient) {
			return fault.Forbidden("only the coach and the client can add to the agenda")
		}
		if !found.Any(auth.AsCoach) && !found.Status.ahead() {
			return fault.Conflict("the session is %s: its agenda is closed", found.Status)
		}
		var problems check.Input
		title, notes := problems.Line("title", in.Title, 200), textOrNil(&problems, "notes", in.Notes)
		if err := problems.Err(); err != nil {
			return err
		}
		var count, last int
		if err := tx.QueryRow(ctx, `SELECT count(*), coalesce(max(position), 0) FROM agenda_topics WHERE org_id = $1 AND session_id = $2`,
			v.Org, in.SessionID).Scan(&count, &last); err != nil {
			return err
		}
		if count >= maxTopics {
			return fault.Conflict("an agenda has at most %d topics", maxTopics)
		}
		if _, err := tx.Exec(ctx, `
			INSERT INTO agenda_topics (id, org_id, session_id, position, title, notes, added_by) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			key, v.Org, in.SessionID, last+1, title, notes, v.User); err != nil {
			return err
		}
		if err := audit.Record(ctx, tx, v, topicEntry("topic.create", found, key)); err != nil {
			return err
		}
		return carryOver(ctx, tx, v, found.EngagementID)
	})
	if err != nil {
		return nil, err
	}
	return page.Get(ctx, s.db, v, topics, innerScope(v, "a.org_id"), key.UUID, "topic")
}

// UpdateTopic changes a topic.
func (s *Service) UpdateTopic(ctx context.Context, in UpdateTopicInput) (_ *Topic, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "session.UpdateTopic(%s)", in.ID)
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		t, of, err := s.lockTopic(ctx, tx, v, in.ID)
		if err != nil {
			return err
		}
		var problems check.Input
		if title := check.NotNull(&problems, "title", in.Title); title != nil {
			t.Title = problems.Line("title", *title, 200)
		}
		if in.Notes != nil {
			t.Notes = textOrNil(&problems, "notes", *in.Notes)
		}
		if status := check.NotNull(&problems, "status", in.Status); status != nil {
			t.Status = *status
		}
		if err := problems.Err(); err != nil {
			return err
		}
		if in.Status != nil && !of.Any(auth.AsCoach) {
			return fault.Forbidden("only the coach says what became of a topic")
		}
		if _, err := tx.Exec(ctx, `
			UPDATE agenda_topics SET title = $3, notes = $4, status = $5, updated_at = now() WHERE org_id = $1 AND id = $2`,
			v.Org, in.ID, t.Title, t.Notes, t.Status); err != nil {
			return err
		}
		if err := audit.Record(ctx, tx, v, topicEntry("topic.update", of, in.ID, audit.Given(in)...)); err != nil {
			return err
		}
		return carryOver(ctx, tx, v, of.EngagementID)
	})
	if err != nil {
		return nil, err
	}
	return page.Get(ctx, s.db, v, topics, innerScope(v, "a.org_id"), in.ID.UUID, "topic")
}

// Reorder puts topics first, in the given order. What somebody has added meanwhile stays behind them.
func (s *Service) Reorder(ctx context.Context, in ReorderInput) (_ *Session, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "session.Reorder(%s)", in.SessionID)
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		found, err := s.lock(ctx, tx, v, in.SessionID)
		if err != nil {
			return err
		}
		if !found.Any(auth.AsCoach) {
			return fault.Forbidden("only the coach orders the agenda")
		}
		rows, err := tx.Query(ctx, `SELECT id FROM agenda_topics WHERE org_id = $1 AND session_id = $2 ORDER BY position, id`, v.Org, in.SessionID)
		if err != nil {
			return err
		}
		there, err := pgx.CollectRows(rows, pgx.RowTo[TopicID])
		if err != nil {
			return err
		}
		var problems check.Input
		for i, key := range in.TopicIds {
			switch {
			case !slices.Contains(there, key):
				problems.Fail(fmt.Sprintf("topicIds.%d", i), "is no topic of this session")
			case slices.Contains(in.TopicIds[:i], key):
				problems.Fail(fmt.Sprintf("topicIds.%d", i), "is named twice")
			}
			if i > maxTopics*2 {
				problems.Fail("topicIds", "must be at most %d", maxTopics)
				break
			}
		}
		if err := problems.Err(); err != nil {
			return err
		}
		order := slices.Clone(in.TopicIds)
		for _, key := range there {
			if !slices.Contains(in.TopicIds, key) {
				order = append(order, key)
			}
		}
		if slices.Equal(order, there) {
			return nil
		}
		if _, err := tx.Exec(ctx, `
			UPDATE agenda_topics a SET position = k.ord FROM unnest($3::uuid[]) WITH ORDINALITY AS k(id, ord)
			WHERE a.org_id = $1 AND a.session_id = $2 AND a.id = k.id`, v.Org, in.SessionID, order); err != nil {
			return err
		}
		return s.moved(ctx, tx, v, "session.reorder", []string{"agenda"}, "", found)
	})
	if err != nil {
		return nil, err
	}
	return s.Get(ctx, in.SessionID)
}

// RemoveTopic takes a topic off its agenda, and returns the session.
func (s *Service) RemoveTopic(ctx context.Context, in RemoveTopicInput) (_ *Session, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "session.RemoveTopic(%s)", in.ID)
	var of *Session
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		if _, of, err = s.lockTopic(ctx, tx, v, in.ID); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM agenda_topics WHERE org_id = $1 AND id = $2`, v.Org, in.ID); err != nil {
			return err
		}
		return audit.Record(ctx, tx, v, topicEntry("topic.delete", of, in.ID))
	})
	if err != nil {
		return nil, err
	}
	return s.Get(ctx, of.ID)
}

// lockTopic locks a topic that the viewer may change, with its session: any for the coach, for the client one of their own
// that nobody has dealt with yet.
func (s *Service) lockTopic(ctx context.Context, tx pgx.Tx, v auth.Viewer, key TopicID) (*Topic, *Session, error) {
	t, err := page.Get(ctx, tx, v, topics, innerScope(v, "a.org_id"), key.UUID, "topic")
	if err != nil {
		return nil, nil, err
	}
	of, err := s.lock(ctx, tx, v, t.SessionID)
	if err != nil {
		return nil, nil, err
	}
	if t, err = page.Get(ctx, tx, v, topics, innerScope(v, "a.org_id"), key.UUID, "topic"); err != nil { // as it is now
		return nil, nil, err
	}
	switch {
	case of.Any(auth.AsCoach):
		return t, of, nil
	case !of.Any(auth.AsClient) || t.AddedByID.UUID != v.User:
		return nil, nil, fault.Forbidden("only the coach, and the client who added it, can change a topic")
	case !of.Status.ahead() || t.Status != TopicOpen:
		return nil, nil, fault.Conflict("the topic is closed for its client")
	}
	return t, of, nil
}

// ahead says whether a session is still to be held, or being held.
func (s Status) ahead() bool { return s == Scheduled || s == InProgress }

// carryOver takes topics that stayed open in the sessions of an engagement that are over, or did not take place, to the
// session that comes next after each: again a topic, which says where it came from. A topic is taken once, whatever happens
// to it there, so that doing this twice is doing it once; what has no next session waits for one. The engagement is locked.
func carryOver(ctx context.Context, tx pgx.Tx, v auth.Viewer, key engagement.ID) error {
	rows, err := tx.Query(ctx, `
		SELECT a.id, n.id, (SELECT count(*) FROM agenda_topics there WHERE there.org_id = $1 AND there.session_id = n.id)
		FROM sessions s
		JOIN agenda_topics a ON a.org_id = $1 AND a.session_id = s.id AND a.status <> 'DISCUSSED' AND a.carried_at IS NULL
		CROSS JOIN LATERAL (
			SELECT n.id FROM sessions n
			WHERE n.org_id = $1 AND n.engagement_id = $2 AND n.status IN ('SCHEDULED', 'IN_PROGRESS') AND n.archived_at IS NULL
				AND (n.starts_at, n.id) > (s.starts_at, s.id)
			ORDER BY n.starts_at, n.id LIMIT 1) n
		WHERE s.org_id = $1 AND s.engagement_id = $2 AND s.status IN ('COMPLETED', 'CANCELLED', 'NO_SHOW')
		ORDER BY s.starts_at, s.id, a.position, a.id`, v.Org, key)
	if err != nil {
		return err
	}
	var from, to, made []id.UUID
	taken := map[id.UUID]int{}
	var topic, next id.UUID
	var there int
	if _, err := pgx.ForEachRow(rows, []any{&topic, &next, &there}, func() error {
		if there+taken[next] < maxTopics { // else it waits, as for a session
			taken[next]++
			from, to, made = append(from, topic), append(to, next), append(made, id.New())
		}
		return nil
	}); err != nil || len(from) == 0 {
		return err
	}
	if _, err := tx.Exec(ctx, `
		INSERT INTO agenda_topics (id, org_id, session_id, position, title, notes, added_by, carried_from)
		SELECT k.made, $1, k.next,
			(SELECT coalesce(max(position), 0) FROM agenda_topics there WHERE there.org_id = $1 AND there.session_id = k.next) + k.ord,
			a.title, a.notes, a.added_by, a.id
		FROM unnest($2::uuid[], $3::uuid[], $4::uuid[]) WITH ORDINALITY AS k(made, topic, next, ord)
		JOIN agenda_topics a ON a.org_id = $1 AND a.id = k.topic`, v.Org, made, from, to); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE agenda_topics SET carried_at = now() WHERE org_id = $1 AND id = ANY($2)`, v.Org, from)
	return err
}

// takeBack undoes carryOver for a session that is planned anew: its topics are its own again, and what was made of them further on goes,
// through all sessions that they were carried over, too. A topic that somebody has touched on the way, or that was on the agenda of a session
// that was held, has become that session's, and stays carried. The engagement is locked.
func takeBack(ctx context.Context, tx pgx.Tx, v auth.Viewer, key ID) error {
	_, err := tx.Exec(ctx, `
		WITH RECURSIVE way AS (
			SELECT a.id AS origin, c.* FROM agenda_topics a JOIN agenda_topics c ON c.org_id = $1 AND c.carried_from = a.id
			WHERE a.org_id = $1 AND a.session_id = $2
			UNION ALL
			SELECT w.origin, c.* FROM way w JOIN agenda_topics c ON c.org_id = $1 AND c.carried_from = w.id
		), back AS (
			SELECT w.origin FROM way w JOIN sessions s ON s.org_id = $1 AND s.id = w.session_id
			GROUP BY w.origin
			HAVING bool_and(w.status = 'OPEN' AND w.updated_at = w.created_at AND s.status <> 'COMPLETED') AND bool_or(w.carried_at IS NULL)
		), gone AS (
			DELETE FROM agenda_topics c USING way w JOIN back b ON b.origin = w.origin WHERE c.org_id = $1 AND c.id = w.id
		)
		UPDATE agenda_topics a SET carried_at = NULL FROM back b WHERE a.org_id = $1 AND a.id = b.origin`, v.Org, key)
	return err
}

func topicEntry(action string, of *Session, key TopicID, fields ...string) audit.Entry {
	return audit.Entry{Action: action, Kind: "topic", ID: key.UUID, ClientID: of.ClientID.UUID, Fields: fields}
}

func textOrNil(problems *check.Input, field string, value *string) *string {
	if value == nil || *value == "" {
		return nil
	}
	text := problems.Text(field, *value, 2000)
	if text == "" {
		problems.Fail(field, "must not be empty")
	}
	return &text
}

// OpenTopics are what is still to be talked about in a session, in its order; for the domains above, which act for the system and not for a viewer.
func OpenTopics(ctx context.Context, db page.Querier, organization id.UUID, of ID) ([]Topic, error) {
	rows, err := db.Query(ctx, `
		SELECT id, title FROM agenda_topics WHERE org_id = $1 AND session_id = $2 AND status = 'OPEN' ORDER BY position, id`, organization, of)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (t Topic, err error) {
		return t, row.Scan(&t.ID, &t.Title)
	})
}
