package resolvers

import (
	"context"

	"github.com/rapporthq/rapport/graph/model"
	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/notice"
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/transport"
	"github.com/rapporthq/rapport/loaders"
)

func (r viewerResolver) Notifications(ctx context.Context, _ *auth.Viewer, filter *notice.Filter, first *int, after *string, last *int, before *string) (*model.NotificationConnection, error) {
	return r.Notices.List(ctx, filter, window(first, after, last, before))
}

func (r viewerResolver) UnreadNotificationCount(ctx context.Context, _ *auth.Viewer) (int, error) {
	return r.Notices.UnreadCount(ctx)
}

func (r viewerResolver) NotificationPreferences(ctx context.Context, _ *auth.Viewer) (*notice.Settings, error) {
	return r.Notices.Settings(ctx)
}

func (r viewerResolver) EmailDeliveries(ctx context.Context, _ *auth.Viewer, first *int, after *string, last *int, before *string) (*model.EmailDeliveryConnection, error) {
	return r.Notices.Deliveries(ctx, window(first, after, last, before))
}

func (r mutationResolver) MarkNotificationsRead(ctx context.Context, input notice.MarkReadInput) (*model.MarkNotificationsReadPayload, error) {
	viewer, errs, err := self(ctx, r.Notices.MarkRead(ctx, input))
	return &model.MarkNotificationsReadPayload{Viewer: viewer, UserErrors: errs}, err
}

func (r mutationResolver) MarkAllNotificationsRead(ctx context.Context, input notice.MarkAllReadInput) (*model.MarkAllNotificationsReadPayload, error) {
	viewer, errs, err := self(ctx, r.Notices.MarkAllRead(ctx, input))
	return &model.MarkAllNotificationsReadPayload{Viewer: viewer, UserErrors: errs}, err
}

// self is the viewer, as the result of a mutation that err says the end of.
func self(ctx context.Context, err error) (*auth.Viewer, []*model.UserError, error) {
	errs, err := model.UserErrors(err)
	if err != nil || len(errs) > 0 {
		return nil, errs, err
	}
	v, err := auth.FromContext(ctx)
	return &v, errs, err
}

func (r mutationResolver) UpdateNotificationPreferences(ctx context.Context, input notice.UpdateInput) (*model.UpdateNotificationPreferencesPayload, error) {
	s, err := r.Notices.Update(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.UpdateNotificationPreferencesPayload{Preferences: s, UserErrors: errs}, err
}

func (r subscriptionResolver) NotificationEvents(ctx context.Context, after *string) (<-chan notice.NotificationEvent, error) {
	events, err := r.Notices.Events(ctx, transport.After(ctx, after))
	if err != nil {
		return nil, err
	}
	return listen(ctx, events), nil
}

func (notificationResolver) Title(ctx context.Context, n *notice.Notification) (string, error) {
	return loaders.From(ctx).TitleOfNotification.Load(ctx, notice.About{Type: n.Type, Subject: n.Subject})
}

func (notificationResolver) Subject(ctx context.Context, n *notice.Notification) (model.Node, error) {
	return nodes[n.Subject.Prefix](ctx, loaders.From(ctx), n.Subject.UUID)
}

func (notificationResolver) Session(ctx context.Context, n *notice.Notification) (*session.Session, error) {
	if n.SessionID == nil {
		return nil, nil
	}
	return loaders.From(ctx).Sessions.Load(ctx, *n.SessionID)
}

func (notificationResolver) Client(ctx context.Context, n *notice.Notification) (*client.Client, error) {
	if n.ClientID == nil {
		return nil, nil
	}
	return loaders.From(ctx).Clients.Load(ctx, *n.ClientID)
}

func (notificationResolver) Actor(ctx context.Context, n *notice.Notification) (*org.User, error) {
	if n.ActorID == nil {
		return nil, nil
	}
	return loaders.From(ctx).Users.Load(ctx, *n.ActorID)
}
