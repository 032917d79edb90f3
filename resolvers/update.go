package resolvers

import (
	"context"
	"time"

	"github.com/rapporthq/rapport/graph"
	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/engagement"
	"github.com/rapporthq/rapport/internal/coaching/goal"
	"github.com/rapporthq/rapport/internal/coaching/notice"
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/coaching/search"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/tag"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
)

// The fields of the inputs of updates have resolvers, because one that is left out and one that is null look the same in a
// struct, and mean different things: stay, and be cleared. A resolver runs only for what is there, and makes of null a
// pointer to nil.
type (
	updateOrganizationInput struct{}
	updateProfileInput      struct{}
	updateClientInput       struct{}
	updateEngagementInput   struct{}
	updateSessionInput      struct{}
	updateTranscriptInput   struct{}
	updateGoalInput         struct{}
	updateActionItemInput   struct{}
	updateParticipantInput  struct{}
	updateAgendaTopicInput  struct{}
	updateSavedFilterInput  struct{}
	updateSavedSearchInput  struct{}
	updateTagInput          struct{}

	updateNotificationPreferencesInput struct{}
)

// UpdateOrganizationInput implements graph.ResolverRoot.
func (*Resolver) UpdateOrganizationInput() graph.UpdateOrganizationInputResolver {
	return updateOrganizationInput{}
}

// UpdateProfileInput implements graph.ResolverRoot.
func (*Resolver) UpdateProfileInput() graph.UpdateProfileInputResolver { return updateProfileInput{} }

func (updateProfileInput) Name(_ context.Context, in *org.UpdateProfileInput, v *string) error {
	return given(&in.Name, v)
}

func (updateProfileInput) TimeZone(_ context.Context, in *org.UpdateProfileInput, v *string) error {
	return given(&in.TimeZone, v)
}

func (updateOrganizationInput) Name(_ context.Context, in *org.UpdateInput, v *string) error {
	return given(&in.Name, v)
}

func (updateOrganizationInput) RetentionDays(_ context.Context, in *org.UpdateInput, v *int) error {
	return given(&in.RetentionDays, v)
}

func (updateOrganizationInput) AiEnabled(_ context.Context, in *org.UpdateInput, v *bool) error {
	return given(&in.AIEnabled, v)
}

// UpdateClientInput implements graph.ResolverRoot.
func (*Resolver) UpdateClientInput() graph.UpdateClientInputResolver { return updateClientInput{} }

// UpdateEngagementInput implements graph.ResolverRoot.
func (*Resolver) UpdateEngagementInput() graph.UpdateEngagementInputResolver {
	return updateEngagementInput{}
}

// UpdateSessionInput implements graph.ResolverRoot.
func (*Resolver) UpdateSessionInput() graph.UpdateSessionInputResolver { return updateSessionInput{} }

// UpdateTranscriptInput implements graph.ResolverRoot.
func (*Resolver) UpdateTranscriptInput() graph.UpdateTranscriptInputResolver {
	return updateTranscriptInput{}
}

// UpdateGoalInput implements graph.ResolverRoot.
func (*Resolver) UpdateGoalInput() graph.UpdateGoalInputResolver { return updateGoalInput{} }

// UpdateActionItemInput implements graph.ResolverRoot.
func (*Resolver) UpdateActionItemInput() graph.UpdateActionItemInputResolver {
	return updateActionItemInput{}
}

// UpdateParticipantInput implements graph.ResolverRoot.
func (*Resolver) UpdateParticipantInput() graph.UpdateParticipantInputResolver {
	return updateParticipantInput{}
}

// UpdateAgendaTopicInput implements graph.ResolverRoot.
func (*Resolver) UpdateAgendaTopicInput() graph.UpdateAgendaTopicInputResolver {
	return updateAgendaTopicInput{}
}

// UpdateSavedFilterInput implements graph.ResolverRoot.
func (*Resolver) UpdateSavedFilterInput() graph.UpdateSavedFilterInputResolver {
	return updateSavedFilterInput{}
}

// UpdateSavedSearchInput implements graph.ResolverRoot.
func (*Resolver) UpdateSavedSearchInput() graph.UpdateSavedSearchInputResolver {
	return updateSavedSearchInput{}
}

// UpdateTagInput implements graph.ResolverRoot.
func (*Resolver) UpdateTagInput() graph.UpdateTagInputResolver {
	return updateTagInput{}
}

// UpdateNotificationPreferencesInput implements graph.ResolverRoot.
func (*Resolver) UpdateNotificationPreferencesInput() graph.UpdateNotificationPreferencesInputResolver {
	return updateNotificationPreferencesInput{}
}

func given[T any](field ***T, value *T) error {
	*field = &value
	return nil
}

func (updateOrganizationInput) ModelMonthlyLimitMicros(_ context.Context, in *org.UpdateInput, v *int64) error {
	return given(&in.ModelMonthlyLimitMicros, v)
}

func (updateOrganizationInput) ModelSees(_ context.Context, in *org.UpdateInput, v *org.ModelSees) error {
	return given(&in.ModelSees, v)
}

func (updateOrganizationInput) SpeakerRoles(_ context.Context, in *org.UpdateInput, v *org.SpeakerRoles) error {
	return given(&in.SpeakerRoles, v)
}

func (updateClientInput) Name(_ context.Context, in *client.UpdateInput, v *string) error {
	return given(&in.Name, v)
}

func (updateClientInput) Email(_ context.Context, in *client.UpdateInput, v *string) error {
	return given(&in.Email, v)
}

func (updateClientInput) Lifecycle(_ context.Context, in *client.UpdateInput, v *client.Lifecycle) error {
	return given(&in.Lifecycle, v)
}

func (updateEngagementInput) Title(_ context.Context, in *engagement.UpdateInput, v *string) error {
	return given(&in.Title, v)
}

func (updateEngagementInput) Status(_ context.Context, in *engagement.UpdateInput, v *engagement.Status) error {
	return given(&in.Status, v)
}

func (updateEngagementInput) SessionsIncluded(_ context.Context, in *engagement.UpdateInput, v *int) error {
	return given(&in.SessionsIncluded, v)
}

func (updateEngagementInput) StartsOn(_ context.Context, in *engagement.UpdateInput, v *time.Time) error {
	return given(&in.StartsOn, v)
}

func (updateEngagementInput) EndsOn(_ context.Context, in *engagement.UpdateInput, v *time.Time) error {
	return given(&in.EndsOn, v)
}

func (updateSessionInput) Type(_ context.Context, in *session.UpdateInput, v *session.Type) error {
	return given(&in.Type, v)
}

func (updateSessionInput) Title(_ context.Context, in *session.UpdateInput, v *string) error {
	return given(&in.Title, v)
}

func (updateSessionInput) Status(_ context.Context, in *session.UpdateInput, v *session.Status) error {
	return given(&in.Status, v)
}

func (updateSessionInput) StartsAt(_ context.Context, in *session.UpdateInput, v *time.Time) error {
	return given(&in.StartsAt, v)
}

func (updateSessionInput) DurationMinutes(_ context.Context, in *session.UpdateInput, v *int) error {
	return given(&in.DurationMinutes, v)
}

func (updateTranscriptInput) Title(_ context.Context, in *transcript.UpdateInput, v *string) error {
	return given(&in.Title, v)
}

func (updateTranscriptInput) Language(_ context.Context, in *transcript.UpdateInput, v *string) error {
	return given(&in.Language, v)
}

func (updateTranscriptInput) SharedWithClient(_ context.Context, in *transcript.UpdateInput, v *bool) error {
	return given(&in.SharedWithClient, v)
}

func (updateGoalInput) Title(_ context.Context, in *goal.UpdateInput, v *string) error {
	return given(&in.Title, v)
}

func (updateGoalInput) Description(_ context.Context, in *goal.UpdateInput, v *string) error {
	return given(&in.Description, v)
}

func (updateGoalInput) Status(_ context.Context, in *goal.UpdateInput, v *goal.Status) error {
	return given(&in.Status, v)
}

func (updateGoalInput) TargetDate(_ context.Context, in *goal.UpdateInput, v *time.Time) error {
	return given(&in.TargetDate, v)
}

func (updateGoalInput) SharedWithSponsor(_ context.Context, in *goal.UpdateInput, v *bool) error {
	return given(&in.SharedWithSponsor, v)
}

func (updateActionItemInput) Title(_ context.Context, in *goal.UpdateActionInput, v *string) error {
	return given(&in.Title, v)
}

func (updateActionItemInput) Description(_ context.Context, in *goal.UpdateActionInput, v *string) error {
	return given(&in.Description, v)
}

func (updateActionItemInput) Status(_ context.Context, in *goal.UpdateActionInput, v *goal.ActionStatus) error {
	return given(&in.Status, v)
}

func (updateActionItemInput) DueOn(_ context.Context, in *goal.UpdateActionInput, v *time.Time) error {
	return given(&in.DueOn, v)
}

func (updateParticipantInput) Name(_ context.Context, in *session.UpdateParticipantInput, v *string) error {
	return given(&in.Name, v)
}

func (updateParticipantInput) Role(_ context.Context, in *session.UpdateParticipantInput, v *session.ParticipantRole) error {
	return given(&in.Role, v)
}

func (updateAgendaTopicInput) Title(_ context.Context, in *session.UpdateTopicInput, v *string) error {
	return given(&in.Title, v)
}

func (updateAgendaTopicInput) Notes(_ context.Context, in *session.UpdateTopicInput, v *string) error {
	return given(&in.Notes, v)
}

func (updateAgendaTopicInput) Status(_ context.Context, in *session.UpdateTopicInput, v *session.TopicStatus) error {
	return given(&in.Status, v)
}

func (updateSavedFilterInput) Name(_ context.Context, in *session.UpdateSavedFilterInput, v *string) error {
	return given(&in.Name, v)
}

func (updateSavedFilterInput) Filter(_ context.Context, in *session.UpdateSavedFilterInput, v *session.Filter) error {
	return given(&in.Filter, v)
}

func (updateSavedSearchInput) Name(_ context.Context, in *search.UpdateSavedInput, v *string) error {
	return given(&in.Name, v)
}

func (updateSavedSearchInput) Query(_ context.Context, in *search.UpdateSavedInput, v *string) error {
	return given(&in.Query, v)
}

func (updateSavedSearchInput) Filter(_ context.Context, in *search.UpdateSavedInput, v *session.Filter) error {
	return given(&in.Filter, v)
}

func (updateSavedSearchInput) Mode(_ context.Context, in *search.UpdateSavedInput, v *search.Mode) error {
	return given(&in.Mode, v)
}

func (updateSavedSearchInput) GroupBy(_ context.Context, in *search.UpdateSavedInput, v *search.GroupBy) error {
	return given(&in.GroupBy, v)
}

func (updateSavedSearchInput) OrderBy(_ context.Context, in *search.UpdateSavedInput, v *search.Order) error {
	return given(&in.OrderBy, v)
}

func (updateSavedSearchInput) Kinds(_ context.Context, in *search.UpdateSavedInput, v []search.Kind) error {
	if v == nil {
		return given(&in.Kinds, nil)
	}
	return given(&in.Kinds, &v)
}

func (updateTagInput) Name(_ context.Context, in *tag.UpdateInput, v *string) error {
	return given(&in.Name, v)
}

func (updateTagInput) Color(_ context.Context, in *tag.UpdateInput, v *string) error {
	return given(&in.Color, v)
}

func (updateNotificationPreferencesInput) Types(_ context.Context, in *notice.UpdateInput, v []*notice.PreferenceInput) error {
	if v == nil {
		return given(&in.Types, nil)
	}
	return given(&in.Types, &v)
}

func (updateNotificationPreferencesInput) QuietHours(_ context.Context, in *notice.UpdateInput, v *notice.QuietHours) error {
	return given(&in.QuietHours, v)
}

func (updateNotificationPreferencesInput) DigestHour(_ context.Context, in *notice.UpdateInput, v *int) error {
	return given(&in.DigestHour, v)
}
