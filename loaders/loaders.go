// Package loaders batches what the fields of one response ask for: siblings that need the same kind of thing share one
// SQL statement. There are two shapes: one value by key, and a page of many by parent.
//
// A bundle lives as long as one response (each event of a subscription has its own), so that nothing is served stale and
// nothing is kept for another viewer. Loaders call services, which apply the viewer's scope; never a store.
package loaders

import (
	"context"
	"sync"
	"time"

	"github.com/rapporthq/rapport/internal/coaching/analytics"
	"github.com/rapporthq/rapport/internal/coaching/ask"
	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/coaching/brief"
	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/consent"
	"github.com/rapporthq/rapport/internal/coaching/deadletter"
	"github.com/rapporthq/rapport/internal/coaching/engagement"
	"github.com/rapporthq/rapport/internal/coaching/goal"
	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/coaching/live"
	"github.com/rapporthq/rapport/internal/coaching/note"
	"github.com/rapporthq/rapport/internal/coaching/notice"
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/coaching/privacy"
	"github.com/rapporthq/rapport/internal/coaching/search"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/tag"
	"github.com/rapporthq/rapport/internal/coaching/theme"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
)

// Services is where loaders load from.
type Services struct {
	Audit       *audit.Service
	DeadLetters *deadletter.Service
	Orgs        *org.Service
	Clients     *client.Service
	Engagements *engagement.Service
	Sessions    *session.Service
	Goals       *goal.Service
	GoalLinks   *goal.Links
	Live        *live.Service
	Transcripts *transcript.Service
	Insights    *insight.Service
	Themes      *theme.Service
	Notes       *note.Service
	Analytics   *analytics.Service
	Briefs      *brief.Service
	Tags        *tag.Service
	Notices     *notice.Service
	Consents    *consent.Service
	Privacy     *privacy.Service
	Search      *search.Service
	Meaning     *search.Meaning
	Ask         *ask.Service

	// Wait is how long a loader waits for more keys; with zero, until no more come. Tests that count statements widen it.
	Wait time.Duration
}

// SessionQuery selects the sessions of a parent.
type SessionQuery struct {
	Filter *session.Filter
	Order  *session.OrderBy
}

// InsightQuery selects the insights of a parent.
type InsightQuery struct {
	Filter *insight.Filter
	Order  *insight.OrderBy
}

// ThemeQuery selects the themes of a parent.
type ThemeQuery struct {
	Filter *theme.Filter
	Order  *theme.OrderBy
}

// GoalQuery selects the goals of a parent.
type GoalQuery struct {
	Filter *goal.Filter
	Order  *goal.OrderBy
}

// ActionQuery selects the actions of a parent.
type ActionQuery struct {
	Filter *goal.ActionFilter
	Order  *goal.ActionOrderBy
}

// NoteQuery selects the notes of a parent.
type NoteQuery struct {
	Filter *note.Filter
	Order  *note.OrderBy
}

// All selects all of a parent's children, in their one order.
type All struct{}

// Loaders is the bundle of one response.
type Loaders struct {
	ctx  context.Context
	wait time.Duration

	Organizations  *Entity[org.Organization]
	Users          *Entity[org.User]
	Memberships    *Entity[org.Membership]
	Invitations    *Entity[org.Invitation]
	AuditEvents    *Entity[audit.Event]
	DeadLetters    *Entity[deadletter.DeadLetter]
	Clients        *Entity[client.Client]
	Engagements    *Entity[engagement.Engagement]
	Sessions       *Entity[session.Session]
	Participants   *Entity[session.Participant]
	Goals          *Entity[goal.Goal]
	CheckIns       *Entity[goal.CheckIn]
	Actions        *Entity[goal.ActionItem]
	Topics         *Entity[session.Topic]
	SavedFilters   *Entity[session.SavedFilter]
	SavedSearches  *Entity[search.Saved]
	AskThreads     *Entity[ask.Thread]
	AskMessages    *Entity[ask.Message]
	LiveSessions   *Entity[live.Session]
	Nudges         *Entity[live.Nudge]
	LiveUtterances *Entity[live.Utterance]
	Transcripts    *Entity[transcript.Transcript]
	Speakers       *Entity[transcript.Speaker]
	Utterances     *Entity[transcript.Utterance]
	Edits          *Entity[transcript.Edit]
	Revisions      *Entity[transcript.Revision]
	Insights       *Entity[insight.Insight]
	Citations      *Entity[insight.Citation]
	Runs           *Entity[insight.Run]
	Metrics        *Entity[insight.Metrics]
	Themes         *Entity[theme.Theme]
	Notes          *Entity[note.Note]
	NoteVersions   *Entity[note.Version]
	Tags           *Entity[tag.Tag]
	Notifications  *Entity[notice.Notification]
	Consents       *Entity[consent.Consent]
	Requests       *Entity[privacy.Request]

	EngagementsOfClient   *Pages[All, engagement.Engagement]
	SessionsOfClient      *Pages[SessionQuery, session.Session]
	SessionsOfEngagement  *Pages[SessionQuery, session.Session]
	LiveOfSession         *Entity[live.Session] // the one that began last, by the session's id
	UtterancesOfLive      *Pages[All, live.Utterance]
	NudgesOfLive          *ByKey[id.UUID, []*live.Nudge]
	EvidenceOfNudge       *ByKey[id.UUID, []*live.Utterance]
	TranscriptsOfSession  *Pages[All, transcript.Transcript]
	UtterancesOfText      *Pages[All, transcript.Utterance]
	EditsOfTranscript     *Pages[All, transcript.Edit]
	RunsOfTranscript      *Pages[All, insight.Run]
	InsightsOfSession     *Pages[InsightQuery, insight.Insight]
	InsightsOfClient      *Pages[InsightQuery, insight.Insight]
	InsightsOfTheme       *Pages[All, insight.Insight]
	ThemesOfClient        *Pages[ThemeQuery, theme.Theme]
	ThemesMergedInto      *ByKey[id.UUID, []*theme.Theme]
	ThemeOfInsight        *Entity[theme.Theme] // by the insight's id
	TrendOfTheme          *ByKey[id.UUID, *theme.Trend]
	NotesOfClient         *Pages[NoteQuery, note.Note]
	NotesOfEngagement     *Pages[NoteQuery, note.Note]
	NotesOfSession        *Pages[NoteQuery, note.Note]
	VersionsOfNote        *Pages[All, note.Version]
	MentionsOfNote        *ByKey[id.UUID, []org.UserID]
	SponsorshipsOf        *ByKey[id.UUID, []*engagement.Sponsorship] // an engagement
	SupervisorsOf         *ByKey[id.UUID, []org.UserID]              // by the user's id
	SuperviseesOf         *ByKey[id.UUID, []org.UserID]              // by the user's id
	SessionsUsed          *ByKey[id.UUID, int]
	InsightCountOfSession *ByKey[id.UUID, int]
	ParticipantsOfSession *ByKey[id.UUID, []*session.Participant]
	AgendaOfSession       *ByKey[id.UUID, []*session.Topic]
	OverlapsOfSession     *ByKey[id.UUID, []*session.Session]
	SpeakersOfTranscript  *ByKey[id.UUID, []*transcript.Speaker]
	RevisionsOfUtterance  *ByKey[id.UUID, []*transcript.Revision]
	TranscriptOfSession   *Entity[transcript.Transcript] // the one that counts, by the session's id
	MetricsOfTranscript   *Entity[insight.Metrics]       // by the transcript's id
	DigestOfTranscript    *Entity[insight.Digest]        // by the transcript's id
	CodesOfUtterance      *ByKey[id.UUID, []*insight.UtteranceCode]
	CitationsOfInsight    *ByKey[id.UUID, []*insight.Citation]
	MessagesOfThread      *ByKey[id.UUID, []*ask.Message]
	UtterancesOfSpan      *ByKey[transcript.Span, []*transcript.Utterance]
	GoalsOfClient         *Pages[GoalQuery, goal.Goal]
	GoalsOfEngagement     *Pages[GoalQuery, goal.Goal]
	GoalsOfSession        *Pages[GoalQuery, goal.Goal]
	GoalsOfInsight        *Pages[GoalQuery, goal.Goal]
	GoalCountOfClient     *ByKey[id.UUID, int]
	CheckInsOfGoal        *Pages[All, goal.CheckIn]
	SessionsOfGoal        *ByKey[id.UUID, []session.ID]
	InsightsOfGoal        *ByKey[id.UUID, []id.UUID]
	ActionsOfClient       *Pages[ActionQuery, goal.ActionItem]
	ActionsOfSession      *Pages[ActionQuery, goal.ActionItem]
	ActionsOfGoal         *Pages[ActionQuery, goal.ActionItem]
	ActionOfInsight       *Entity[goal.ActionItem] // by the insight's id
	OpenActionsOfClient   *ByKey[id.UUID, int]
	AssigneesOfAction     *ByKey[id.UUID, []*goal.Assignee]
	UsageOfTag            *ByKey[id.UUID, int]
	TagsOfClient          *ByKey[id.UUID, []*tag.Tag]
	TagsOfSession         *ByKey[id.UUID, []*tag.Tag]
	TagsOfInsight         *ByKey[id.UUID, []*tag.Tag]
	TitleOfNotification   *ByKey[notice.About, string]
	MailOfInvitation      *ByKey[id.UUID, *notice.Delivery]
	TagsOfNote            *ByKey[id.UUID, []*tag.Tag]
	ConsentsOfClient      *ByKey[id.UUID, []*consent.Consent]
	ConsentsOfParticipant *ByKey[id.UUID, []*consent.Consent]
}

type bundleKey struct{}

// With returns a context with a fresh bundle for one response. It is made when somebody asks for it: a thousand subscriptions
// that wait for their next event hold none.
func With(ctx context.Context, s Services) context.Context {
	return context.WithValue(ctx, bundleKey{}, sync.OnceValue(func() *Loaders { return bundle(ctx, s) }))
}

func bundle(ctx context.Context, s Services) *Loaders {
	b := &Loaders{ctx: ctx, wait: s.Wait}

	b.Organizations = entity(b, s.Orgs.OrganizationsByIDs)
	b.Users = entity(b, s.Orgs.UsersByIDs)
	b.Memberships = entity(b, s.Orgs.MembershipsByIDs)
	b.Invitations = entity(b, s.Orgs.InvitationsByIDs)
	b.AuditEvents = entity(b, s.Audit.EventsByIDs)
	b.DeadLetters = entity(b, s.DeadLetters.ByIDs)
	b.Clients = entity(b, s.Clients.ByIDs)
	b.Engagements = entity(b, s.Engagements.ByIDs)
	b.Sessions = entity(b, s.Sessions.ByIDs)
	b.Participants = entity(b, s.Sessions.ParticipantsByIDs)
	b.Goals = entity(b, s.Goals.ByIDs)
	b.CheckIns = entity(b, s.Goals.CheckInsByIDs)
	b.Actions = entity(b, s.Goals.ActionsByIDs)
	b.Topics = entity(b, s.Sessions.TopicsByIDs)
	b.SavedFilters = entity(b, s.Sessions.SavedByIDs)
	b.SavedSearches = entity(b, s.Search.SavedByIDs)
	b.AskThreads = entity(b, s.Ask.ByIDs)
	b.AskMessages = entity(b, s.Ask.MessagesByIDs)
	b.LiveSessions = entity(b, s.Live.ByIDs)
	b.Nudges = entity(b, s.Live.NudgesByIDs)
	b.NudgesOfLive = byKey(b, s.Live.Nudges)
	b.EvidenceOfNudge = byKey(b, s.Live.Evidence)
	b.LiveUtterances = entity(b, s.Live.UtterancesByIDs)
	b.Transcripts = entity(b, s.Transcripts.ByIDs)
	b.Speakers = entity(b, s.Transcripts.SpeakersByIDs)
	b.Utterances = entity(b, s.Transcripts.UtterancesByIDs)
	b.Edits = entity(b, s.Transcripts.EditsByIDs)
	b.Revisions = entity(b, s.Transcripts.RevisionsByIDs)
	b.Insights = entity(b, s.Insights.ByIDs)
	b.Citations = entity(b, s.Insights.CitationsByIDs)
	b.Runs = entity(b, s.Insights.RunsByIDs)
	b.Metrics = entity(b, s.Insights.MetricsByIDs)
	b.Themes = entity(b, s.Themes.ByIDs)
	b.Notes = entity(b, s.Notes.ByIDs)
	b.NoteVersions = entity(b, s.Notes.VersionsByIDs)
	b.Tags = entity(b, s.Tags.ByIDs)
	b.Notifications = entity(b, s.Notices.ByIDs)
	b.Consents = entity(b, s.Consents.ByIDs)
	b.Requests = entity(b, s.Privacy.ByIDs)

	b.EngagementsOfClient = pages(b,
		func(ctx context.Context, parents []id.UUID, _ All, w page.Window) ([]*page.Connection[engagement.Engagement], error) {
			return s.Engagements.OfClients(ctx, parents, w)
		},
		func(ctx context.Context, parents []id.UUID, _ All) ([]int, error) {
			return s.Engagements.CountOfClients(ctx, parents)
		})
	b.SessionsOfClient = sessionsOf(b, s, session.OfClient)
	b.SessionsOfEngagement = sessionsOf(b, s, session.OfEngagement)
	b.LiveOfSession = entity(b, s.Live.LatestOf)
	b.UtterancesOfLive = pages(b,
		func(ctx context.Context, parents []id.UUID, _ All, w page.Window) ([]*page.Connection[live.Utterance], error) {
			return s.Live.Utterances(ctx, parents, w)
		},
		func(ctx context.Context, parents []id.UUID, _ All) ([]int, error) {
			return s.Live.CountUtterances(ctx, parents)
		})
	b.TranscriptsOfSession = pages(b,
		func(ctx context.Context, parents []id.UUID, _ All, w page.Window) ([]*page.Connection[transcript.Transcript], error) {
			return s.Transcripts.OfSessions(ctx, parents, w)
		},
		func(ctx context.Context, parents []id.UUID, _ All) ([]int, error) {
			return s.Transcripts.CountOfSessions(ctx, parents)
		})
	b.UtterancesOfText = pages(b,
		func(ctx context.Context, parents []id.UUID, _ All, w page.Window) ([]*page.Connection[transcript.Utterance], error) {
			return s.Transcripts.Utterances(ctx, parents, w)
		},
		func(ctx context.Context, parents []id.UUID, _ All) ([]int, error) {
			return s.Transcripts.CountUtterances(ctx, parents)
		})
	b.EditsOfTranscript = pages(b,
		func(ctx context.Context, parents []id.UUID, _ All, w page.Window) ([]*page.Connection[transcript.Edit], error) {
			return s.Transcripts.EditsOfTranscripts(ctx, parents, w)
		},
		func(ctx context.Context, parents []id.UUID, _ All) ([]int, error) {
			return s.Transcripts.CountEditsOfTranscripts(ctx, parents)
		})
	b.RunsOfTranscript = pages(b,
		func(ctx context.Context, parents []id.UUID, _ All, w page.Window) ([]*page.Connection[insight.Run], error) {
			return s.Insights.RunsOfTranscripts(ctx, parents, w)
		},
		func(ctx context.Context, parents []id.UUID, _ All) ([]int, error) {
			return s.Insights.CountRunsOfTranscripts(ctx, parents)
		})
	b.InsightsOfSession = insightsOf(b, s, insight.OfSession)
	b.InsightsOfClient = insightsOf(b, s, insight.OfClient)
	b.InsightsOfTheme = pages(b,
		func(ctx context.Context, parents []id.UUID, _ All, w page.Window) ([]*page.Connection[insight.Insight], error) {
			return s.Insights.Children(ctx, insight.OfTheme, parents, nil, nil, w)
		},
		func(ctx context.Context, parents []id.UUID, _ All) ([]int, error) {
			return s.Insights.CountChildren(ctx, insight.OfTheme, parents, nil)
		})
	b.ThemesOfClient = pages(b,
		func(ctx context.Context, parents []id.UUID, q ThemeQuery, w page.Window) ([]*page.Connection[theme.Theme], error) {
			return s.Themes.OfClients(ctx, parents, q.Filter, q.Order, w)
		},
		func(ctx context.Context, parents []id.UUID, q ThemeQuery) ([]int, error) {
			return s.Themes.CountOfClients(ctx, parents, q.Filter)
		})
	b.ThemesMergedInto = byKey(b, s.Themes.Merged)
	b.ThemeOfInsight = entity(b, s.Themes.OfInsights)
	b.TrendOfTheme = byKey(b, s.Themes.Trends)
	b.NotesOfClient = notesOf(b, s, note.OfClient)
	b.NotesOfEngagement = notesOf(b, s, note.OfEngagement)
	b.NotesOfSession = notesOf(b, s, note.OfSession)
	b.VersionsOfNote = pages(b,
		func(ctx context.Context, parents []id.UUID, _ All, w page.Window) ([]*page.Connection[note.Version], error) {
			return s.Notes.Versions(ctx, parents, w)
		},
		func(ctx context.Context, parents []id.UUID, _ All) ([]int, error) {
			return s.Notes.CountVersions(ctx, parents)
		})
	b.MentionsOfNote = byKey(b, s.Notes.Mentions)
	b.SponsorshipsOf = byKey(b, s.Engagements.Sponsorships)
	b.SupervisorsOf = byKey(b, s.Orgs.Supervisors)
	b.SuperviseesOf = byKey(b, s.Orgs.Supervisees)
	b.SessionsUsed = byKey(b, s.Engagements.SessionsUsed)
	b.InsightCountOfSession = byKey(b, s.Insights.CountOfSessions)
	b.ParticipantsOfSession = byKey(b, s.Sessions.Participants)
	b.AgendaOfSession = byKey(b, s.Sessions.Agendas)
	b.OverlapsOfSession = byKey(b, s.Sessions.Overlaps)
	b.SpeakersOfTranscript = byKey(b, s.Transcripts.Speakers)
	b.RevisionsOfUtterance = byKey(b, s.Transcripts.Revisions)
	b.TranscriptOfSession = entity(b, s.Transcripts.CurrentOf)
	b.MetricsOfTranscript = entity(b, s.Insights.MetricsOfTranscripts)
	b.DigestOfTranscript = entity(b, s.Insights.Digests)
	b.CodesOfUtterance = byKey(b, s.Insights.Codes)
	b.CitationsOfInsight = byKey(b, s.Insights.Citations)
	b.MessagesOfThread = byKey(b, s.Ask.MessagesOf)
	b.UtterancesOfSpan = byKey(b, s.Transcripts.UtterancesIn)
	b.GoalsOfClient = goalsOf(b, s, goal.OfClient)
	b.GoalsOfEngagement = goalsOf(b, s, goal.OfEngagement)
	b.GoalsOfSession = goalsOf(b, s, goal.OfSession)
	b.GoalsOfInsight = goalsOf(b, s, goal.OfInsight)
	b.GoalCountOfClient = byKey(b, s.Goals.CountOfClients)
	b.CheckInsOfGoal = pages(b,
		func(ctx context.Context, parents []id.UUID, _ All, w page.Window) ([]*page.Connection[goal.CheckIn], error) {
			return s.Goals.CheckIns(ctx, parents, w)
		},
		func(ctx context.Context, parents []id.UUID, _ All) ([]int, error) {
			return s.Goals.CountCheckIns(ctx, parents)
		})
	b.SessionsOfGoal = byKey(b, s.Goals.LinkedSessions)
	b.InsightsOfGoal = byKey(b, s.Goals.LinkedInsights)
	b.ActionsOfClient = actionsOf(b, s, goal.ActionsOfClient)
	b.ActionsOfSession = actionsOf(b, s, goal.ActionsOfSession)
	b.ActionsOfGoal = actionsOf(b, s, goal.ActionsOfGoal)
	b.ActionOfInsight = entity(b, s.Goals.ActionsOfInsights)
	b.OpenActionsOfClient = byKey(b, s.Goals.CountOpenActionsOfClients)
	b.AssigneesOfAction = byKey(b, s.Goals.Assignees)
	b.UsageOfTag = byKey(b, s.Tags.UsageCounts)
	b.TagsOfClient = tagsOf(b, s, "client")
	b.TagsOfSession = tagsOf(b, s, "session")
	b.TagsOfInsight = tagsOf(b, s, "insight")
	b.TitleOfNotification = byKey(b, s.Notices.Titles)
	b.MailOfInvitation = byKey(b, s.Notices.OfInvitations)
	b.TagsOfNote = tagsOf(b, s, "note")
	b.ConsentsOfClient = byKey(b, s.Consents.OfClients)
	b.ConsentsOfParticipant = byKey(b, s.Consents.OfParticipants)
	return b
}

// From returns the bundle of the response. Without one it panics: every response begins with With.
func From(ctx context.Context) *Loaders { return ctx.Value(bundleKey{}).(func() *Loaders)() }

func sessionsOf(b *Loaders, s Services, parent session.Parent) *Pages[SessionQuery, session.Session] {
	return pages(b,
		func(ctx context.Context, parents []id.UUID, q SessionQuery, w page.Window) ([]*page.Connection[session.Session], error) {
			return s.Sessions.Children(ctx, parent, parents, q.Filter, q.Order, w)
		},
		func(ctx context.Context, parents []id.UUID, q SessionQuery) ([]int, error) {
			return s.Sessions.CountChildren(ctx, parent, parents, q.Filter)
		})
}

func insightsOf(b *Loaders, s Services, parent insight.Parent) *Pages[InsightQuery, insight.Insight] {
	return pages(b,
		func(ctx context.Context, parents []id.UUID, q InsightQuery, w page.Window) ([]*page.Connection[insight.Insight], error) {
			return s.Insights.Children(ctx, parent, parents, q.Filter, q.Order, w)
		},
		func(ctx context.Context, parents []id.UUID, q InsightQuery) ([]int, error) {
			return s.Insights.CountChildren(ctx, parent, parents, q.Filter)
		})
}

func goalsOf(b *Loaders, s Services, parent goal.Parent) *Pages[GoalQuery, goal.Goal] {
	return pages(b,
		func(ctx context.Context, parents []id.UUID, q GoalQuery, w page.Window) ([]*page.Connection[goal.Goal], error) {
			return s.Goals.Children(ctx, parent, parents, q.Filter, q.Order, w)
		},
		func(ctx context.Context, parents []id.UUID, q GoalQuery) ([]int, error) {
			return s.Goals.CountChildren(ctx, parent, parents, q.Filter)
		})
}

func actionsOf(b *Loaders, s Services, parent goal.ActionParent) *Pages[ActionQuery, goal.ActionItem] {
	return pages(b,
		func(ctx context.Context, parents []id.UUID, q ActionQuery, w page.Window) ([]*page.Connection[goal.ActionItem], error) {
			return s.Goals.ActionsOf(ctx, parent, parents, q.Filter, q.Order, w)
		},
		func(ctx context.Context, parents []id.UUID, q ActionQuery) ([]int, error) {
			return s.Goals.CountActionsOf(ctx, parent, parents, q.Filter)
		})
}

func notesOf(b *Loaders, s Services, parent note.Parent) *Pages[NoteQuery, note.Note] {
	return pages(b,
		func(ctx context.Context, parents []id.UUID, q NoteQuery, w page.Window) ([]*page.Connection[note.Note], error) {
			return s.Notes.Children(ctx, parent, parents, q.Filter, q.Order, w)
		},
		func(ctx context.Context, parents []id.UUID, q NoteQuery) ([]int, error) {
			return s.Notes.CountChildren(ctx, parent, parents, q.Filter)
		})
}

func tagsOf(b *Loaders, s Services, prefix string) *ByKey[id.UUID, []*tag.Tag] {
	return byKey(b, func(ctx context.Context, entities []id.UUID) ([][]*tag.Tag, error) {
		return s.Tags.OnEntities(ctx, prefix, entities)
	})
}

// PeopleOf returns the people around somebody whom the viewer may see.
func (l *Loaders) PeopleOf(ctx context.Context, around *ByKey[id.UUID, []org.UserID], user org.UserID) ([]*org.User, error) {
	ids, err := around.Load(ctx, user.UUID)
	if err != nil {
		return nil, err
	}
	return l.people(ctx, ids)
}

// SponsorsOf returns the sponsors of an engagement whom the viewer may see.
func (l *Loaders) SponsorsOf(ctx context.Context, key engagement.ID) ([]*org.User, error) {
	all, err := l.SponsorshipsOf.Load(ctx, key.UUID)
	if err != nil {
		return nil, err
	}
	ids := make([]org.UserID, len(all))
	for i, s := range all {
		ids[i] = s.UserID
	}
	return l.people(ctx, ids)
}

// MentionedIn returns the people named in a note whom the viewer may see.
func (l *Loaders) MentionedIn(ctx context.Context, key note.ID) ([]*org.User, error) {
	ids, err := l.MentionsOfNote.Load(ctx, key.UUID)
	if err != nil {
		return nil, err
	}
	return l.people(ctx, ids)
}

// people are those whom the viewer may see.
func (l *Loaders) people(ctx context.Context, ids []org.UserID) ([]*org.User, error) {
	for _, user := range ids {
		l.Users.place(user.UUID) // all are asked for before the first is waited for, so that they share a statement
	}
	visible := make([]*org.User, 0, len(ids))
	for _, user := range ids {
		u, err := l.Users.Load(ctx, user.UUID)
		if err != nil {
			return nil, err
		}
		if u != nil {
			visible = append(visible, u)
		}
	}
	return visible, nil
}

// MetricsOf returns the measures of the transcript of a session that counts; nil if there are none that the viewer may see.
func (l *Loaders) MetricsOf(ctx context.Context, key session.ID) (*insight.Metrics, error) {
	t, err := l.TranscriptOfSession.Load(ctx, key.UUID)
	if err != nil || t == nil {
		return nil, err
	}
	return l.MetricsOfTranscript.Load(ctx, t.ID.UUID)
}

// SpeakerAt returns the speaker of a transcript with that ordinal; nil if it was merged into another since, or is not the
// viewer's to see.
func (l *Loaders) SpeakerAt(ctx context.Context, key transcript.ID, ordinal int) (*transcript.Speaker, error) {
	all, err := l.SpeakersOfTranscript.Load(ctx, key.UUID)
	for _, s := range all {
		if s.Ordinal == ordinal {
			return s, nil
		}
	}
	return nil, err
}

// MergedInto returns whom a speaker was merged into, nil if nobody.
func (l *Loaders) MergedInto(ctx context.Context, s *transcript.Speaker) (*transcript.Speaker, error) {
	if s.MergedIntoID == nil {
		return nil, nil
	}
	return l.Speakers.Load(ctx, s.MergedIntoID.UUID)
}

// LinkedSessions returns the sessions a goal is linked with, those that the viewer may see.
func (l *Loaders) LinkedSessions(ctx context.Context, key goal.ID) ([]*session.Session, error) {
	ids, err := l.SessionsOfGoal.Load(ctx, key.UUID)
	if err != nil {
		return nil, err
	}
	keys := make([]id.UUID, len(ids))
	for i, one := range ids {
		keys[i] = one.UUID
	}
	return l.Sessions.visible(ctx, keys)
}

// LinkedInsights returns the insights a goal is linked with, those that the viewer may see.
func (l *Loaders) LinkedInsights(ctx context.Context, key goal.ID) ([]*insight.Insight, error) {
	keys, err := l.InsightsOfGoal.Load(ctx, key.UUID)
	if err != nil {
		return nil, err
	}
	return l.Insights.visible(ctx, keys)
}

// SpeakersOfEdit returns the speakers that an edit concerns and that are still there.
func (l *Loaders) SpeakersOfEdit(ctx context.Context, e *transcript.Edit) ([]*transcript.Speaker, error) {
	for _, key := range e.SpeakerIDs {
		l.Speakers.place(key.UUID) // all are asked for before the first is waited for, so that they share a statement
	}
	found := make([]*transcript.Speaker, 0, len(e.SpeakerIDs))
	for _, key := range e.SpeakerIDs {
		s, err := l.Speakers.Load(ctx, key.UUID)
		if err != nil {
			return nil, err
		}
		if s != nil {
			found = append(found, s)
		}
	}
	return found, nil
}

// TopicsOf returns those of the topics that the viewer may see.
func (l *Loaders) TopicsOf(ctx context.Context, keys []session.TopicID) ([]*session.Topic, error) {
	ids := make([]id.UUID, len(keys))
	for i, key := range keys {
		ids[i] = key.UUID
	}
	return l.Topics.visible(ctx, ids)
}
