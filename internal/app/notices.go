package app

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/rapporthq/rapport/internal/coaching/goal"
	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/coaching/note"
	"github.com/rapporthq/rapport/internal/coaching/notice"
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
	"github.com/rapporthq/rapport/loaders"
)

// notifiable are the things that notifications are about.
func (a *App) notifiable() []notice.Kind {
	return []notice.Kind{
		{Prefix: "session", Visible: session.Visible, Describe: func(ctx context.Context, ids []id.UUID) (map[id.UUID]notice.Subject, error) {
			found, err := a.services.Sessions.ByIDs(ctx, ids)
			if err != nil {
				return nil, err
			}
			return describeSessions(ctx, a.services, found)
		}, Of: map[notice.Type]func(auth.Viewer, string) string{notice.InsightsReady: insight.InSession}},
		{Prefix: "note", Visible: note.Visible, Describe: func(ctx context.Context, ids []id.UUID) (map[id.UUID]notice.Subject, error) {
			found, err := a.services.Notes.ByIDs(ctx, ids)
			if err != nil {
				return nil, err
			}
			return describeNotes(ctx, a.services, found)
		}},
		{Prefix: "action", Visible: goal.Visible, Describe: func(ctx context.Context, ids []id.UUID) (map[id.UUID]notice.Subject, error) {
			found, err := a.services.Goals.ActionsByIDs(ctx, ids)
			if err != nil {
				return nil, err
			}
			return describeActions(found), nil
		}},
	}
}

// describeSessions says of each session with whom it is: for its client the coach, for everybody else the client.
func describeSessions(ctx context.Context, s loaders.Services, found map[id.UUID]*session.Session) (map[id.UUID]notice.Subject, error) {
	var clients, coaches []id.UUID
	for _, x := range found {
		clients, coaches = append(clients, x.ClientID.UUID), append(coaches, x.CoachID.UUID)
	}
	client, err := s.Clients.ByIDs(ctx, clients)
	if err != nil {
		return nil, err
	}
	coach, err := s.Orgs.UsersByIDs(ctx, coaches)
	if err != nil {
		return nil, err
	}
	described := map[id.UUID]notice.Subject{}
	for key, x := range found {
		subject := notice.Subject{At: &x.StartsAt}
		if x.Status != session.Scheduled {
			subject.Moot = []notice.Type{notice.SessionReminder}
		}
		if x.Title != nil {
			subject.Title = *x.Title
		}
		if asClient := x.Any(auth.AsClient) && !x.Any(auth.AsCoach); asClient {
			subject.With = nameOf(coach[x.CoachID.UUID])
		} else if c := client[x.ClientID.UUID]; c != nil {
			subject.With = c.Name
		}
		described[key] = subject
	}
	return described, nil
}

// describeNotes says of each note whom it is about. What it says stays where it is.
func describeNotes(ctx context.Context, s loaders.Services, found map[id.UUID]*note.Note) (map[id.UUID]notice.Subject, error) {
	var clients []id.UUID
	for _, n := range found {
		clients = append(clients, n.ClientID.UUID)
	}
	client, err := s.Clients.ByIDs(ctx, clients)
	if err != nil {
		return nil, err
	}
	described := map[id.UUID]notice.Subject{}
	for key, n := range found {
		var subject notice.Subject
		if c := client[n.ClientID.UUID]; c != nil && !c.Any(auth.AsClient) {
			subject.With = c.Name
		}
		described[key] = subject
	}
	return described, nil
}

// describeActions says of each action what is to be done and by which day: whoever is to do it reads that. What somebody has described
// further stays where it is.
func describeActions(found map[id.UUID]*goal.ActionItem) map[id.UUID]notice.Subject {
	described := map[id.UUID]notice.Subject{}
	for key, a := range found {
		subject := notice.Subject{Title: a.Title, On: a.DueOn}
		if !a.Pending() {
			subject.Moot = []notice.Type{notice.ActionAssigned, notice.ActionDue}
		}
		described[key] = subject
	}
	return described
}

func nameOf(u *org.User) string {
	if u == nil {
		return ""
	}
	return u.Name
}

// agenda is what the viewer takes part in as coach or client.
func (a *App) agenda(ctx context.Context, from, until time.Time) ([]notice.Subject, error) {
	list, err := a.services.Sessions.List(ctx,
		&session.Filter{StartsAfter: &from, StartsBefore: &until, Statuses: []session.Status{session.Scheduled}},
		&session.OrderBy{Field: session.OrderByStartsAt, Direction: page.Ascending}, page.Args{First: new(page.MaxSize)})
	if err != nil {
		return nil, err
	}
	mine := map[id.UUID]*session.Session{}
	for _, s := range list.Nodes() {
		if s.Any(auth.AsCoach | auth.AsClient) {
			mine[s.ID.UUID] = s
		}
	}
	described, err := describeSessions(ctx, a.services, mine)
	if err != nil {
		return nil, err
	}
	var ahead []notice.Subject
	for _, s := range list.Nodes() {
		if subject, ok := described[s.ID.UUID]; ok {
			subject.URL = a.thing(id.Any{Prefix: "session", UUID: s.ID.UUID})
			ahead = append(ahead, subject)
		}
	}
	return ahead, nil
}

// pages are what mails link to: the explorer, with a query that shows it, for as long as there is no other front end.
func (a *App) pages() notice.Pages {
	return notice.Pages{
		Server: func() string { return *a.url.Load() },
		Thing:  a.thing,
		Preferences: func() string {
			return a.explorer("{ viewer { notificationPreferences { types { type inApp email } quietHours { from until } digestHour emailSuppression } } }")
		},
	}
}

func (a *App) thing(key id.Any) string {
	return a.explorer(fmt.Sprintf("{ node(id: %q) { __typename id } }", id.Format(key.Prefix, key.UUID)))
}

// invitation is what the mail that invites says. Its link carries the token behind a #, where it goes to no server and into no log.
func (a *App) invitation(ctx context.Context, organization, key id.UUID) (*notice.Invited, error) {
	m, err := a.services.Orgs.ForMail(ctx, organization, org.InvitationID{UUID: key})
	if m == nil || err != nil {
		return nil, err
	}
	link := url.Values{
		"query":     {"mutation ($token: String!) { acceptInvitation(input: {token: $token}) { membership { roles } userErrors { message } } }"},
		"variables": {fmt.Sprintf(`{"token": %q}`, m.Token)},
	}
	return &notice.Invited{Email: m.Email, Organization: m.Organization, By: m.By, Until: m.Until, URL: *a.url.Load() + "/#" + link.Encode()}, nil
}

func (a *App) explorer(query string) string {
	return *a.url.Load() + "/?query=" + url.QueryEscape(query)
}

// Remind begins what is to be told because of the time it is: reminders and digests.
func (a *App) Remind(ctx context.Context) {
	if _, err := a.services.Sessions.Remind(ctx, a.now()); err != nil && ctx.Err() == nil {
		a.log.WarnContext(ctx, "cannot remind of sessions", "err", err)
	}
	if _, err := a.services.Goals.TellDue(ctx, a.now()); err != nil && ctx.Err() == nil {
		a.log.WarnContext(ctx, "cannot tell of actions that are due", "err", err)
	}
	if _, err := a.services.Notices.SweepDigests(ctx); err != nil && ctx.Err() == nil {
		a.log.WarnContext(ctx, "cannot begin digests", "err", err)
	}
}

// watchTheClock reminds once a minute.
func (a *App) watchTheClock(ctx context.Context) error {
	every := time.NewTicker(time.Minute)
	defer every.Stop()
	for {
		a.Remind(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-every.C:
		}
	}
}
