package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/engagement"
	"github.com/rapporthq/rapport/internal/coaching/goal"
	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/coaching/note"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// The shape of data/work.json, by organization: what coach and client have written down. Moments are in the coach's zone.
type (
	workEntry struct {
		Client  string        `json:"client"`
		Goals   []goalEntry   `json:"goals"`
		Actions []actionEntry `json:"actions"`
		Notes   []noteEntry   `json:"notes"`
	}
	goalEntry struct {
		Key               string         `json:"key"`
		At                moment         `json:"at"`
		Engagement        *string        `json:"engagement"`
		Title             string         `json:"title"`
		Description       *string        `json:"description"`
		TargetDay         *int           `json:"targetDay"`
		SharedWithSponsor bool           `json:"sharedWithSponsor"`
		Achieved          *moment        `json:"achieved"`
		CheckIns          []checkInEntry `json:"checkIns"`
		Sessions          []string       `json:"sessions"`
		Insights          []quoteEntry   `json:"insights"`
	}
	checkInEntry struct {
		At    moment  `json:"at"`
		By    writer  `json:"by"`
		Score int     `json:"score"`
		Note  *string `json:"note"`
	}
	quoteEntry struct {
		Session string `json:"session"`
		Quote   string `json:"quote"`
	}
	actionEntry struct {
		Quote       string            `json:"quote"` // of the commitment it was accepted from; "" for one that a person added
		Session     *string           `json:"session"`
		Goal        *string           `json:"goal"`
		Title       string            `json:"title"`
		Description *string           `json:"description"`
		At          moment            `json:"at"`
		By          writer            `json:"by"` // the coach if accepted
		To          []writer          `json:"to"` // who has said so if accepted
		DueDay      *int              `json:"dueDay"`
		Status      goal.ActionStatus `json:"status"`
		Done        *moment           `json:"done"` // when it came to that status, if not at once
	}
	noteEntry struct {
		About      string          `json:"about"` // the client's or a session's key
		At         moment          `json:"at"`
		By         writer          `json:"by"`
		Visibility note.Visibility `json:"visibility"`
		Body       string          `json:"body"`
	}
	writer string
)

const (
	coach    writer = "coach"
	coachee  writer = "client"
	workDone        = "demo.write" // the action of the entry in the audit trail that a client's work ends with
)

// work has coaches and clients write down their goals, actions and notes, through the services. They stamp everything with
// the present, so that in the end it gets the dates it has in the demo. That is an entry in the audit trail, by which the work
// of a client is known to be complete: what people change or delete of it later is not brought back.
func (l Loader) work(ctx context.Context, o organization) error {
	var all map[string][]workEntry
	raw, err := data.ReadFile("data/work.json")
	if err == nil {
		err = json.Unmarshal(raw, &all)
	}
	if err != nil {
		return err
	}
	for _, e := range all[o.Slug] {
		w := work{Loader: l, slug: o.Slug, org: ID(o.Slug, "organization", o.Slug), client: ID(o.Slug, "client", e.Client), goals: map[string]goal.ID{}}
		if err := w.load(ctx, e); err != nil {
			return fmt.Errorf("work with %s: %w", e.Client, err)
		}
	}
	return nil
}

// work is what is written down about one client.
type work struct {
	Loader
	slug        string
	org, client id.UUID
	writers     map[writer]context.Context // who they are, as viewers
	users       map[writer]id.Any
	zone        *time.Location
	goals       map[string]goal.ID // by key
	dates       pgx.Batch
}

func (w *work) load(ctx context.Context, e workEntry) error {
	coaches, coached := auth.Viewer{Org: w.org, Roles: []auth.Role{auth.RoleCoach}}, auth.Viewer{Org: w.org, Roles: []auth.Role{auth.RoleClient}}
	var login *id.UUID
	var zone string
	var over bool
	if err := w.DB.QueryRow(ctx, `
		SELECT c.coach_id, c.user_id, u.time_zone, c.archived_at IS NOT NULL
			OR EXISTS (SELECT FROM audit_events a WHERE a.org_id = $1 AND a.client_id = c.id AND a.action = $3)
		FROM clients c JOIN users u ON u.id = c.coach_id WHERE c.org_id = $1 AND c.id = $2`, w.org, w.client, workDone).Scan(&coaches.User, &login, &zone, &over); err != nil || over {
		return err
	}
	w.writers = map[writer]context.Context{coach: auth.WithViewer(ctx, coaches)}
	w.users = map[writer]id.Any{coach: {Prefix: "user", UUID: coaches.User}, coachee: {Prefix: "client", UUID: w.client}}
	if login != nil {
		coached.User = *login
		w.writers[coachee] = auth.WithViewer(ctx, coached)
	}
	var err error
	if w.zone, err = time.LoadLocation(zone); err != nil {
		return err
	}
	if err := w.write(e); err != nil {
		switch fault.KindOf(err) {
		case fault.KindNotFound, fault.KindForbidden, fault.KindInvalid, fault.KindConflict:
			w.Progress("leaving " + e.Client + " as people have made it")
		default:
			return err
		}
	}
	return postgres.InTx(ctx, w.DB, func(tx pgx.Tx) error {
		if err := tx.SendBatch(ctx, &pgx.Batch{QueuedQueries: w.dates.QueuedQueries}).Close(); err != nil {
			return err
		}
		return audit.RecordSystem(ctx, tx, w.org, audit.Entry{Action: workDone, Kind: "client", ID: w.client, ClientID: w.client})
	})
}

func (w *work) write(e workEntry) error {
	for _, g := range e.Goals {
		if err := w.goal(g); err != nil {
			return fmt.Errorf("goal %s: %w", g.Key, err)
		}
	}
	for i, a := range e.Actions {
		if err := w.action(a); err != nil {
			return fmt.Errorf("action %d: %w", i, err)
		}
	}
	for _, g := range e.Goals { // once what was to be done for it is done
		if err := w.achieve(g); err != nil {
			return fmt.Errorf("goal %s: %w", g.Key, err)
		}
	}
	for i, n := range e.Notes {
		if err := w.note(n); err != nil {
			return fmt.Errorf("note %d: %w", i, err)
		}
	}
	return nil
}

func (w *work) goal(e goalEntry) error {
	ctx := w.writers[coach]
	key, known, err := w.there(ctx, `SELECT id FROM goals WHERE org_id = $1 AND client_id = $2 AND title = $3`, w.client, e.Title)
	if err != nil {
		return err
	}
	if !known {
		in := goal.CreateInput{
			ClientID: client.ID{UUID: w.client}, Title: e.Title, Description: e.Description, TargetDate: w.day(e.TargetDay), SharedWithSponsor: e.SharedWithSponsor,
		}
		if e.Engagement != nil {
			in.EngagementID = &engagement.ID{UUID: ID(w.slug, "engagement", *e.Engagement)}
		}
		g, err := w.Services.Goals.Create(ctx, in)
		if err != nil {
			return err
		}
		key = g.ID.UUID
	}
	w.goals[e.Key] = goal.ID{UUID: key}
	if err := w.date(`UPDATE goals SET created_at = $3::timestamptz, updated_at = $3, closed_at = CASE WHEN closed_at IS NOT NULL THEN $4::timestamptz END WHERE org_id = $1 AND id = $2`,
		key, &e.At, e.Achieved); err != nil {
		return err
	}
	for _, c := range e.CheckIns {
		if err := w.checkIn(goal.ID{UUID: key}, c); err != nil {
			return err
		}
	}
	var about []id.Any
	for _, s := range e.Sessions {
		about = append(about, id.Any{Prefix: "session", UUID: ID(w.slug, "session", s)})
	}
	for _, q := range e.Insights {
		i, known, err := w.insight(q)
		if err != nil {
			return err
		}
		if known {
			about = append(about, id.Any{Prefix: "insight", UUID: i})
		}
	}
	for _, a := range about {
		if _, err := w.Services.GoalLinks.Link(ctx, goal.LinkInput{GoalID: goal.ID{UUID: key}, EntityID: a}); err != nil {
			return err
		}
	}
	return w.date(`UPDATE goal_links SET created_at = $3 WHERE org_id = $1 AND goal_id = $2`, key, &e.At)
}

func (w *work) checkIn(of goal.ID, e checkInEntry) error {
	ctx := w.writers[e.By]
	key, known, err := w.there(ctx, `SELECT id FROM goal_check_ins WHERE org_id = $1 AND goal_id = $2 AND note = $3`, of, e.Note)
	if err != nil {
		return err
	}
	if !known {
		k, err := w.Services.Goals.CheckIn(ctx, goal.CheckInInput{GoalID: of, Score: e.Score, Note: e.Note})
		if err != nil {
			return err
		}
		key = k.ID.UUID
	}
	return w.date(`UPDATE goal_check_ins SET as_of = $3::timestamptz, created_at = $3 WHERE org_id = $1 AND id = $2`, key, &e.At)
}

func (w *work) achieve(e goalEntry) error {
	if e.Achieved == nil {
		return nil
	}
	g, err := w.Services.Goals.Get(w.writers[coach], w.goals[e.Key])
	if err != nil || g.Status == goal.Achieved {
		return err
	}
	achieved := new(goal.Status)
	*achieved = goal.Achieved
	_, err = w.Services.Goals.Update(w.writers[coach], goal.UpdateInput{ID: g.ID, ExpectedVersion: g.Version, Status: &achieved})
	return err
}

// action adds an action, or accepts a commitment as one, and moves it on to its state.
func (w *work) action(e actionEntry) error {
	key, known, err := w.there(w.writers[coach], `SELECT id FROM action_items WHERE org_id = $1 AND client_id = $2 AND title = $3`, w.client, e.Title)
	if err != nil {
		return err
	}
	by := w.writers[coach]
	if e.By != "" {
		by = w.writers[e.By]
	}
	var a *goal.ActionItem
	switch {
	case known:
		a, err = w.Services.Goals.Action(by, goal.ActionID{UUID: key})
	case e.Quote != "":
		a, err = w.accept(e)
	default:
		a, err = w.Services.Goals.CreateAction(by, w.planned(e))
	}
	if err != nil || a == nil {
		return err
	}
	if a.Status != e.Status {
		next := &e.Status
		if _, err := w.Services.Goals.UpdateAction(by, goal.UpdateActionInput{ID: a.ID, ExpectedVersion: a.Version, Status: &next}); err != nil {
			return err
		}
	}
	if e.Done == nil {
		e.Done = &e.At
	}
	if err := w.date(`UPDATE action_assignees SET created_at = $3 WHERE org_id = $1 AND action_id = $2`, a.ID.UUID, &e.At); err != nil {
		return err
	}
	return w.date(`
		UPDATE action_items SET created_at = $3::timestamptz, updated_at = $4::timestamptz, status_changed_at = $4,
			started_at = CASE WHEN started_at IS NOT NULL THEN $3 END, completed_at = CASE WHEN completed_at IS NOT NULL THEN $4 END
		WHERE org_id = $1 AND id = $2`, a.ID.UUID, &e.At, e.Done)
}

func (w *work) planned(e actionEntry) goal.CreateActionInput {
	in := goal.CreateActionInput{ClientID: client.ID{UUID: w.client}, Title: e.Title, Description: e.Description, DueOn: w.day(e.DueDay), Status: goal.ToDo, GoalID: w.goalOf(e)}
	if e.Status == goal.Proposed {
		in.Status = goal.Proposed
	}
	if e.Session != nil {
		in.SessionID = &session.ID{UUID: ID(w.slug, "session", *e.Session)}
	}
	for _, to := range e.To {
		who := w.users[to]
		in.AssigneeIds = append(in.AssigneeIds, &who)
	}
	return in
}

// accept makes an action of a commitment; none if the commitment is not there, or was dismissed.
func (w *work) accept(e actionEntry) (*goal.ActionItem, error) {
	key, known, err := w.insight(quoteEntry{Session: *e.Session, Quote: e.Quote})
	if err != nil || !known {
		return nil, err
	}
	return w.Services.Insights.AcceptAsAction(w.writers[coach], insight.AcceptInput{InsightID: insight.ID{UUID: key}, Title: &e.Title, GoalID: w.goalOf(e)})
}

func (w *work) goalOf(e actionEntry) *goal.ID {
	if e.Goal == nil {
		return nil
	}
	key := w.goals[*e.Goal]
	return &key
}

func (w *work) note(e noteEntry) error {
	ctx := w.writers[e.By]
	key, known, err := w.there(ctx, `SELECT id FROM notes WHERE org_id = $1 AND client_id = $2 AND body = $3`, w.client, e.Body)
	if err != nil {
		return err
	}
	if !known {
		about := id.Any{Prefix: "session", UUID: ID(w.slug, "session", e.About)}
		if ID(w.slug, "client", e.About) == w.client {
			about = w.users[coachee]
		}
		n, err := w.Services.Notes.Create(ctx, note.CreateInput{EntityID: about, Body: e.Body, Visibility: e.Visibility})
		if err != nil {
			return err
		}
		key = n.ID.UUID
	}
	if err := w.date(`UPDATE note_versions SET created_at = $3 WHERE org_id = $1 AND note_id = $2`, key, &e.At); err != nil {
		return err
	}
	return w.date(`UPDATE notes SET created_at = $3::timestamptz, updated_at = $3 WHERE org_id = $1 AND id = $2`, key, &e.At)
}

// insight finds what the analysis has found with a quote, unless the coach has dismissed it.
func (w *work) insight(q quoteEntry) (id.UUID, bool, error) {
	return w.there(w.writers[coach], `
		SELECT i.id FROM insights i WHERE i.org_id = $1 AND i.session_id = $2 AND i.retracted_at IS NULL AND i.status <> 'DISMISSED'
			AND EXISTS (SELECT FROM citations k WHERE k.org_id = $1 AND k.insight_id = i.id AND position($3 IN k.quote) > 0)
		ORDER BY i.kind NOT IN ('COMMITMENT', 'BLOCKER', 'VALUE'), i.id LIMIT 1`, ID(w.slug, "session", q.Session), q.Quote)
}

// there says whether something is there, and which.
func (w *work) there(ctx context.Context, sql string, args ...any) (key id.UUID, known bool, err error) {
	err = w.DB.QueryRow(ctx, sql, append([]any{w.org}, args...)...).Scan(&key)
	if errors.Is(err, pgx.ErrNoRows) {
		return key, false, nil
	}
	return key, err == nil, err
}

// date has something get the dates it has in the demo, in the end.
func (w *work) date(sql string, key id.UUID, at ...*moment) error {
	args := []any{w.org, key}
	for _, m := range at {
		if m == nil {
			args = append(args, nil)
			continue
		}
		t, err := w.moment(*m, w.zone)
		if err != nil {
			return err
		}
		args = append(args, t)
	}
	w.dates.Queue(sql, args...)
	return nil
}

// day is a day as it is in the coach's zone.
func (w *work) day(offset *int) *time.Time {
	if offset == nil {
		return nil
	}
	y, m, d := w.Now.In(w.zone).AddDate(0, 0, *offset).Date()
	day := time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	return &day
}
