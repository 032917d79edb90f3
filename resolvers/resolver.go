// Package resolvers answers the fields of the schema that are no plain struct fields: each decodes, calls one service or
// loader, and returns. Rules live in the domains, batching in loaders, who may see a field in the schema's @access.
package resolvers

import (
	"github.com/rapporthq/rapport/graph"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
	"github.com/rapporthq/rapport/loaders"
)

// Resolver is the root: it gives each type its resolver.
type Resolver struct{ loaders.Services }

var _ graph.ResolverRoot = (*Resolver)(nil)

// The resolvers of the types, one file per domain.
type (
	queryResolver               struct{ *Resolver }
	mutationResolver            struct{ *Resolver }
	subscriptionResolver        struct{ *Resolver }
	viewerResolver              struct{ *Resolver }
	notificationResolver        struct{ *Resolver }
	organizationResolver        struct{ *Resolver }
	membershipResolver          struct{ *Resolver }
	invitationResolver          struct{ *Resolver }
	auditEventResolver          struct{ *Resolver }
	clientResolver              struct{ *Resolver }
	engagementResolver          struct{ *Resolver }
	sponsorshipResolver         struct{ *Resolver }
	engagementReopeningResolver struct{ *Resolver }
	sessionResolver             struct{ *Resolver }
	participantResolver         struct{ *Resolver }
	agendaTopicResolver         struct{ *Resolver }
	transcriptResolver          struct{ *Resolver }
	utteranceResolver           struct{ *Resolver }
	speakerResolver             struct{ *Resolver }
	speakerSuggestionResolver   struct{ *Resolver }
	transcriptEditResolver      struct{ *Resolver }
	utteranceRevisionResolver   struct{ *Resolver }
	speakerMetricsResolver      struct{ *Resolver }
	insightResolver             struct{ *Resolver }
	liveSessionResolver         struct{ *Resolver }
	liveNudgeResolver           struct{ *Resolver }
	citationResolver            struct{ *Resolver }
	commitmentResolver          struct{ *Resolver }
	passageResolver             struct{ *Resolver }
	themeResolver               struct{ *Resolver }
	tagResolver                 struct{ *Resolver }
	noteResolver                struct{ *Resolver }
	noteVersionResolver         struct{ *Resolver }
	consentResolver             struct{ *Resolver }
	goalResolver                struct{ *Resolver }
	checkInResolver             struct{ *Resolver }
	actionItemResolver          struct{ *Resolver }
	actionAssigneeResolver      struct{ *Resolver }
	clientBriefResolver         struct{ *Resolver }
	metricGroupResolver         struct{ *Resolver }
	dataRequestResolver         struct{ *Resolver }
	searchHitResolver           struct{ *Resolver }
	savedSearchResolver         struct{ *Resolver }
	askThreadResolver           struct{ *Resolver }
	askScopeResolver            struct{ *Resolver }
)

// Query implements graph.ResolverRoot.
func (r *Resolver) Query() graph.QueryResolver { return queryResolver{r} }

// Mutation implements graph.ResolverRoot.
func (r *Resolver) Mutation() graph.MutationResolver { return mutationResolver{r} }

// Subscription implements graph.ResolverRoot.
func (r *Resolver) Subscription() graph.SubscriptionResolver { return subscriptionResolver{r} }

// Viewer implements graph.ResolverRoot.
func (r *Resolver) Viewer() graph.ViewerResolver { return viewerResolver{r} }

// Notification implements graph.ResolverRoot.
func (r *Resolver) Notification() graph.NotificationResolver { return notificationResolver{r} }

// Organization implements graph.ResolverRoot.
func (r *Resolver) Organization() graph.OrganizationResolver { return organizationResolver{r} }

// Membership implements graph.ResolverRoot.
func (r *Resolver) Membership() graph.MembershipResolver { return membershipResolver{r} }

// Invitation implements graph.ResolverRoot.
func (r *Resolver) Invitation() graph.InvitationResolver { return invitationResolver{r} }

// AuditEvent implements graph.ResolverRoot.
func (r *Resolver) AuditEvent() graph.AuditEventResolver { return auditEventResolver{r} }

// Client implements graph.ResolverRoot.
func (r *Resolver) Client() graph.ClientResolver { return clientResolver{r} }

// Engagement implements graph.ResolverRoot.
func (r *Resolver) Engagement() graph.EngagementResolver { return engagementResolver{r} }

// Sponsorship implements graph.ResolverRoot.
func (r *Resolver) Sponsorship() graph.SponsorshipResolver { return sponsorshipResolver{r} }

// EngagementReopening implements graph.ResolverRoot.
func (r *Resolver) EngagementReopening() graph.EngagementReopeningResolver {
	return engagementReopeningResolver{r}
}

// AgendaTopic implements graph.ResolverRoot.
func (r *Resolver) AgendaTopic() graph.AgendaTopicResolver { return agendaTopicResolver{r} }

// Session implements graph.ResolverRoot.
func (r *Resolver) Session() graph.SessionResolver { return sessionResolver{r} }

// LiveSession implements graph.ResolverRoot.
func (r *Resolver) LiveSession() graph.LiveSessionResolver { return liveSessionResolver{r} }

// LiveNudge implements graph.ResolverRoot.
func (r *Resolver) LiveNudge() graph.LiveNudgeResolver { return liveNudgeResolver{r} }

// Participant implements graph.ResolverRoot.
func (r *Resolver) Participant() graph.ParticipantResolver { return participantResolver{r} }

// Transcript implements graph.ResolverRoot.
func (r *Resolver) Transcript() graph.TranscriptResolver { return transcriptResolver{r} }

// Utterance implements graph.ResolverRoot.
func (r *Resolver) Utterance() graph.UtteranceResolver { return utteranceResolver{r} }

// Speaker implements graph.ResolverRoot.
func (r *Resolver) Speaker() graph.SpeakerResolver { return speakerResolver{r} }

// SpeakerSuggestion implements graph.ResolverRoot.
func (r *Resolver) SpeakerSuggestion() graph.SpeakerSuggestionResolver {
	return speakerSuggestionResolver{r}
}

// TranscriptEdit implements graph.ResolverRoot.
func (r *Resolver) TranscriptEdit() graph.TranscriptEditResolver { return transcriptEditResolver{r} }

// UtteranceRevision implements graph.ResolverRoot.
func (r *Resolver) UtteranceRevision() graph.UtteranceRevisionResolver {
	return utteranceRevisionResolver{r}
}

// SpeakerMetrics implements graph.ResolverRoot.
func (r *Resolver) SpeakerMetrics() graph.SpeakerMetricsResolver { return speakerMetricsResolver{r} }

// Goal implements graph.ResolverRoot.
func (r *Resolver) Goal() graph.GoalResolver { return goalResolver{r} }

// CheckIn implements graph.ResolverRoot.
func (r *Resolver) CheckIn() graph.CheckInResolver { return checkInResolver{r} }

// ActionItem implements graph.ResolverRoot.
func (r *Resolver) ActionItem() graph.ActionItemResolver { return actionItemResolver{r} }

// ActionAssignee implements graph.ResolverRoot.
func (r *Resolver) ActionAssignee() graph.ActionAssigneeResolver { return actionAssigneeResolver{r} }

// Insight implements graph.ResolverRoot.
func (r *Resolver) Insight() graph.InsightResolver { return insightResolver{r} }

// Theme implements graph.ResolverRoot.
func (r *Resolver) Theme() graph.ThemeResolver { return themeResolver{r} }

// Citation implements graph.ResolverRoot.
func (r *Resolver) Citation() graph.CitationResolver { return citationResolver{r} }

// ClientBrief implements graph.ResolverRoot.
func (r *Resolver) ClientBrief() graph.ClientBriefResolver { return clientBriefResolver{r} }

// MetricGroup implements graph.ResolverRoot.
func (r *Resolver) MetricGroup() graph.MetricGroupResolver { return metricGroupResolver{r} }

// Note implements graph.ResolverRoot.
func (r *Resolver) Note() graph.NoteResolver { return noteResolver{r} }

// NoteVersion implements graph.ResolverRoot.
func (r *Resolver) NoteVersion() graph.NoteVersionResolver { return noteVersionResolver{r} }

// Commitment implements graph.ResolverRoot.
func (r *Resolver) Commitment() graph.CommitmentResolver { return commitmentResolver{r} }

// DataRequest implements graph.ResolverRoot.
func (r *Resolver) DataRequest() graph.DataRequestResolver { return dataRequestResolver{r} }

// Consent implements graph.ResolverRoot.
func (r *Resolver) Consent() graph.ConsentResolver { return consentResolver{r} }

// Passage implements graph.ResolverRoot.
func (r *Resolver) Passage() graph.PassageResolver { return passageResolver{r} }

func window(first *int, after *string, last *int, before *string) page.Args {
	return page.Args{First: first, After: after, Last: last, Before: before}
}

// expect checks that an argument is the id of the wanted kind.
func expect(arg string, key id.Any, prefix string) error {
	if key.Prefix != prefix {
		return fault.Invalid(arg, "expected an id like %s_…, got %s_…", prefix, key.Prefix)
	}
	return nil
}
