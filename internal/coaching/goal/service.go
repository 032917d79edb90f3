package goal

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/engagement"
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/check"
	"github.com/rapporthq/rapport/internal/platform/event"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// Service keeps goals, their check-ins, and actions.
type Service struct {
	db          *pgxpool.Pool
	clients     *client.Service
	engagements *engagement.Service
	sessions    *session.Service
	outbox      *event.Outbox
}

// NewService returns a Service over db that tells other systems what it does.
func NewService(db *pgxpool.Pool, clients *client.Service, engagements *engagement.Service, sessions *session.Service, outbox *event.Outbox) *Service {
	return &Service{db: db, clients: clients, engagements: engagements, sessions: sessions, outbox: outbox}
}

// ByIDs returns those of the goals that the viewer may see.
func (s *Service) ByIDs(ctx context.Context, ids []id.UUID) (map[id.UUID]*Goal, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.ByIDs(ctx, s.db, v, goals, scope(v), ids)
}

// Get returns one goal, or NotFound.
func (s *Service) Get(ctx context.Context, key ID) (*Goal, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.Get(ctx, s.db, v, goals, scope(v), key.UUID, "goal")
}

// List pages through the goals that the viewer may see, but for those of archived clients.
func (s *Service) List(ctx context.Context, f *Filter, o *OrderBy, args page.Args) (*page.Connection[Goal], error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	w, err := args.Window()
	if err != nil {
		return nil, err
	}
	where := f.where()
	where.And("c.archived_at IS NULL")
	return page.List(ctx, s.db, v, goals, scope(v), where, o.order(), w)
}

// Parent is what goals are children of.
type Parent string

// The parents of goals, by the column that refers to them.
const (
	OfClient     Parent = "g.client_id"
	OfEngagement Parent = "g.engagement_id"
	OfSession    Parent = "l.session_id"
	OfInsight    Parent = "l.insight_id"
)

func (p Parent) table() page.Table[Goal] {
	if p == OfSession || p == OfInsight {
		return linked
	}
	return goals
}

// Children returns a page of each parent's goals, in the order of the parents.
func (s *Service) Children(ctx context.Context, of Parent, parents []id.UUID, f *Filter, o *OrderBy, w page.Window) ([]*page.Connection[Goal], error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.Children(ctx, s.db, v, of.table(), scope(v), f.where(), o.order(), w, string(of), parents)
}

// CountChildren counts what Children pages through.
func (s *Service) CountChildren(ctx context.Context, of Parent, parents []id.UUID, f *Filter) ([]int, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.CountChildren(ctx, s.db, v, of.table(), scope(v), f.where(), string(of), parents)
}

// Pursued returns all open goals that the viewer may see, but for those of archived clients: to tell how they are getting on.
func (s *Service) Pursued(ctx context.Context) ([]*Goal, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	var open page.Filter
	open.And("g.status = 'OPEN' AND c.archived_at IS NULL")
	return page.All(ctx, s.db, v, goals, scope(v), open, orderBy[OrderByCreatedAt])
}

// CountOfClients counts the goals of each client, whoever may read them, in the order of the clients. The ids are of clients
// that the viewer has been shown; who may read the count is the schema's to say.
func (s *Service) CountOfClients(ctx context.Context, clients []id.UUID) ([]int, error) {
	return s.count(ctx, "goals x", "true", clients)
}

// CountOpenActionsOfClients counts the actions of each client that are agreed on and not closed, as CountOfClients.
func (s *Service) CountOpenActionsOfClients(ctx context.Context, clients []id.UUID) ([]int, error) {
	return s.count(ctx, "action_items x", "x.status IN ('OPEN', 'IN_PROGRESS')", clients)
}

func (s *Service) count(ctx context.Context, table, condition string, clients []id.UUID) ([]int, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := s.db.Query(ctx, `
		SELECT (SELECT count(*) FROM `+table+` WHERE x.org_id = $1 AND x.client_id = k.id AND `+condition+`)
		FROM unnest($2::uuid[]) WITH ORDINALITY AS k(id, ord) ORDER BY k.ord`, v.Org, clients)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int])
}

// CheckInsByIDs returns those of the check-ins that the viewer may see.
func (s *Service) CheckInsByIDs(ctx context.Context, ids []id.UUID) (map[id.UUID]*CheckIn, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.ByIDs(ctx, s.db, v, checkIns, checkInScope(v), ids)
}

// CheckIns returns a page of each goal's check-ins, latest first, in the order of the goals.
func (s *Service) CheckIns(ctx context.Context, goals []id.UUID, w page.Window) ([]*page.Connection[CheckIn], error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.Children(ctx, s.db, v, checkIns, checkInScope(v), page.Filter{}, latestCheckInFirst, w, "ck.goal_id", goals)
}

// CountCheckIns counts what CheckIns pages through.
func (s *Service) CountCheckIns(ctx context.Context, goals []id.UUID) ([]int, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.CountChildren(ctx, s.db, v, checkIns, checkInScope(v), page.Filter{}, "ck.goal_id", goals)
}

const (
	titleLimit = 200
	textLimit  = 4000
)

// Create sets a goal with a client, in one of the viewer's engagements or beside them.
func (s *Service) Create(ctx context.Context, in CreateInput) (_ *Goal, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "goal.Create(%s)", in.ClientID)
	c, err := s.clients.Get(ctx, in.ClientID)
	if err != nil {
		return nil, err
	}
	if !c.Any(auth.AsCoach) {
		return nil, fault.Forbidden("only a coach of the client can set a goal")
	}
	var problems check.Input
	title := problems.Line("title", in.Title, titleLimit)
	description := textOrNil(&problems, "description", in.Description)
	if in.EngagementID != nil {
		e, err := s.engagements.Get(ctx, *in.EngagementID)
		if err != nil && fault.KindOf(err) != fault.KindNotFound {
			return nil, err
		}
		if err != nil || e.ClientID != in.ClientID || !e.Any(auth.AsCoach) {
			problems.Fail("engagementId", "is no engagement of yours with this client")
		}
	} else if in.SharedWithSponsor {
		problems.Fail("sharedWithSponsor", "goes only with engagementId: it is for that engagement's sponsors")
	}
	key := ID{id.New()}
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		problems := problems
		if in.TargetDate != nil {
			zone, err := zoneOf(ctx, tx, v.Org, in.ClientID, org.UserID{UUID: v.User})
			if err != nil {
				return err
			}
			notPast(&problems, "targetDate", *in.TargetDate, zone)
		}
		if err := problems.Err(); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			INSERT INTO goals (id, org_id, client_id, coach_id, engagement_id, title, description, target_on, shared_with_sponsor)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
			key, v.Org, in.ClientID, v.User, in.EngagementID, title, description, in.TargetDate, in.SharedWithSponsor)
		if err != nil {
			return err
		}
		if err := audit.Record(ctx, tx, v, entry("goal.create", key, in.ClientID)); err != nil {
			return err
		}
		g := &Goal{ID: key, ClientID: in.ClientID, CoachID: org.UserID{UUID: v.User}, EngagementID: in.EngagementID}
		return s.outbox.Add(ctx, tx, v.Org, g.news("goal.created"))
	})
	if err != nil {
		return nil, err
	}
	return s.Get(ctx, key)
}

// Update changes a goal if it is at the version that the viewer has seen. If it is not, the fault is a Conflict, and the goal
// is returned as it is now.
func (s *Service) Update(ctx context.Context, in UpdateInput) (_ *Goal, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "goal.Update(%s)", in.ID)
	var problems check.Input
	title := check.NotNull(&problems, "title", in.Title)
	if title != nil {
		*title = problems.Line("title", *title, titleLimit)
	}
	var description *string
	if in.Description != nil {
		description = textOrNil(&problems, "description", *in.Description)
	}
	status := check.NotNull(&problems, "status", in.Status)
	shared := check.NotNull(&problems, "sharedWithSponsor", in.SharedWithSponsor)
	var target *time.Time
	if in.TargetDate != nil {
		target = *in.TargetDate
	}
	var met *Goal
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		met = nil
		problems := problems
		g, err := lock(ctx, tx, v, in.ID, auth.AsCoach)
		if err != nil {
			return err
		}
		if target != nil && (g.TargetDate == nil || !g.TargetDate.Equal(*target)) {
			notPast(&problems, "targetDate", *target, g.zone)
		}
		if shared != nil && *shared && g.EngagementID == nil {
			problems.Fail("sharedWithSponsor", "goes only with a goal of an engagement: it is for that engagement's sponsors")
		}
		if err := problems.Err(); err != nil {
			return err
		}
		if g.Version != in.ExpectedVersion {
			met = g
			return changed(in.ExpectedVersion, g.Version)
		}
		if status != nil {
			if err := g.Status.To(*status); err != nil {
				return err
			}
		}
		_, err = tx.Exec(ctx, `
			UPDATE goals SET
				title = coalesce($3, title),
				description = CASE WHEN $4 THEN $5 ELSE description END,
				status = coalesce($6, status),
				closed_at = CASE WHEN coalesce($6, status) = 'OPEN' THEN NULL ELSE coalesce(closed_at, now()) END,
				target_on = CASE WHEN $7 THEN $8 ELSE target_on END,
				shared_with_sponsor = coalesce($9, shared_with_sponsor),
				version = version + 1, updated_at = now()
			WHERE org_id = $1 AND id = $2`,
			v.Org, in.ID, title, in.Description != nil, description, status, in.TargetDate != nil, target, shared)
		if err != nil {
			return err
		}
		if err := audit.Record(ctx, tx, v, entry("goal.update", in.ID, g.ClientID, audit.Given(in)...)); err != nil || status == nil || *status == g.Status {
			return err
		}
		return s.outbox.Add(ctx, tx, v.Org, g.news(becoming[*status]))
	})
	if err != nil {
		return met, err
	}
	return s.Get(ctx, in.ID)
}

// CheckIn adds a check-in to an open goal. One that corrects another, of the same author, takes its place in time.
func (s *Service) CheckIn(ctx context.Context, in CheckInInput) (_ *CheckIn, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "goal.CheckIn(%s)", in.GoalID)
	var problems check.Input
	problems.Range("score", in.Score, 0, 10)
	note := textOrNil(&problems, "note", in.Note)
	key := CheckInID{id.New()}
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		problems := problems
		g, err := lock(ctx, tx, v, in.GoalID, auth.AsCoach|auth.AsClient)
		if err != nil {
			return err
		}
		var asOf *time.Time
		if in.CorrectsID != nil {
			earlier, err := page.ByIDs(ctx, tx, v, checkIns, checkInScope(v), []id.UUID{in.CorrectsID.UUID})
			if err != nil {
				return err
			}
			switch k := earlier[in.CorrectsID.UUID]; {
			case k == nil || k.GoalID != in.GoalID:
				problems.Fail("correctsId", "is no check-in of this goal")
			case k.AuthorID.UUID != v.User:
				problems.Fail("correctsId", "is somebody else's check-in: add one of your own")
			case k.Corrected:
				problems.Fail("correctsId", "has been corrected already: correct the correction")
			default:
				asOf = &k.At
			}
		}
		if err := problems.Err(); err != nil {
			return err
		}
		if g.Status != Open {
			return fault.Conflict("the goal is %s: open it again to check in", g.Status)
		}
		_, err = tx.Exec(ctx, `
			INSERT INTO goal_check_ins (id, org_id, goal_id, score, note, author_id, corrects_id, as_of)
			VALUES ($1, $2, $3, $4, $5, $6, $7, coalesce($8, now()))`,
			key, v.Org, in.GoalID, in.Score, note, v.User, in.CorrectsID, asOf)
		if err != nil {
			return err
		}
		if err := audit.Record(ctx, tx, v, entry("goal.checkIn", in.GoalID, g.ClientID, "checkIns")); err != nil {
			return err
		}
		checkedIn := g.news("goal.checked_in")
		checkedIn.Data["checkInId"] = key
		return s.outbox.Add(ctx, tx, v.Org, checkedIn)
	})
	if err != nil {
		return nil, err
	}
	return page.Get(ctx, s.db, v, checkIns, checkInScope(v), key.UUID, "check-in")
}

// lock locks a goal that the viewer may change through one of the relations, and returns it as it is then.
func lock(ctx context.Context, tx pgx.Tx, v auth.Viewer, key ID, through auth.Grants) (*Goal, error) {
	if _, err := tx.Exec(ctx, `SELECT FROM goals WHERE org_id = $1 AND id = $2 FOR UPDATE`, v.Org, key); err != nil {
		return nil, err
	}
	g, err := page.Get(ctx, tx, v, goals, scope(v), key.UUID, "goal")
	if err != nil {
		return nil, err
	}
	if !g.Any(through) {
		return nil, fault.Forbidden("only those who work on the goal can do this, and only its coach can change it")
	}
	return g, nil
}

// becoming is what other systems are told of a goal that comes into a state.
var becoming = map[Status]string{Open: "goal.reopened", Achieved: "goal.achieved", Abandoned: "goal.abandoned"}

func (g *Goal) news(what string) event.News {
	return event.News{Type: what, Subject: g.ID, Data: event.Data{"goalId": g.ID, "clientId": g.ClientID, "coachId": g.CoachID, "engagementId": g.EngagementID}}
}

// entry is what was done with a goal.
func entry(action string, key ID, whose client.ID, fields ...string) audit.Entry {
	return audit.Entry{Action: action, Kind: "goal", ID: key.UUID, ClientID: whose.UUID, Fields: fields}
}

// changed is the fault of an update of what somebody else has changed meanwhile.
func changed(expected, is int) error {
	return fault.Conflict("was changed meanwhile: it is at version %d, not %d. Look at it as it is now, and decide again", is, expected)
}

// zoneOf is the zone that the days of a client are in: the client's, or the coach's if the client has no login.
func zoneOf(ctx context.Context, tx pgx.Tx, organization id.UUID, key client.ID, coach org.UserID) (zone string, err error) {
	err = tx.QueryRow(ctx, `
		SELECT u.time_zone FROM clients c JOIN users u ON u.id = coalesce(c.user_id, $3) WHERE c.org_id = $1 AND c.id = $2`,
		organization, key, coach).Scan(&zone)
	return zone, err
}

// notPast checks that a day can be planned for: that it is not over where it is meant.
func notPast(problems *check.Input, field string, day time.Time, zone string) {
	problems.Time(field, day)
	if !time.Now().Before(endOf(day, zone)) {
		problems.Fail(field, "must not be past: that day is over in %s", zone)
	}
}

// textOrNil checks a text of several lines that need not be there, and returns it trimmed: nil if it is nil or empty.
func textOrNil(problems *check.Input, field string, value *string) *string {
	if value == nil || *value == "" {
		return nil
	}
	text := problems.Text(field, *value, textLimit)
	if text == "" {
		problems.Fail(field, "must not be empty")
	}
	return &text
}
