package notice

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/internal/platform/stream"
)

const (
	eventAdded = "notification.added"
	eventRead  = "notification.read"
)

// topic is where the events of one person's notifications go.
func topic(user id.UUID) string { return "notifications-of-" + id.Format("user", user) }

type added struct {
	Notification id.UUID `json:"notificationId"`
}

// Announce handles JobAnnounce: it tells the recipient's open apps. It is a job, because Notify is part of the transactions
// of others, whose locks must not wait for a person's other events.
func (s *Service) Announce(ctx context.Context, job jobs.Job) (err error) {
	defer fault.Wrap(&err, "notice.Announce(%s)", ID{job.Entity})
	return postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		var user id.UUID
		err := tx.QueryRow(ctx, `SELECT user_id FROM notifications WHERE org_id = $1 AND id = $2`, job.Org, job.Entity).Scan(&user)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		data, err := json.Marshal(added{job.Entity})
		if err != nil {
			return err
		}
		return s.Stream.Publish(ctx, tx, job.Org, stream.Event{Kind: eventAdded, Data: data}, topic(user))
	})
}

// NotificationEvent is something that happened to a person's notifications.
type NotificationEvent interface {
	IsNotificationEvent()
	Position() string
}

// Place is where and when an event happened.
type Place struct {
	Cursor     string
	OccurredAt time.Time
}

// Position is the cursor from which everything comes that comes after the event.
func (p Place) Position() string { return p.Cursor }

// Added says that a notification has come.
type Added struct {
	Place
	Notification *Notification
}

// Read says that notifications were read, here or elsewhere.
type Read struct {
	Place
	UnreadCount int
}

// IsNotificationEvent marks a NotificationEvent.
func (Added) IsNotificationEvent() {}

// IsNotificationEvent marks a NotificationEvent.
func (Read) IsNotificationEvent() {}

// Events are the events of the viewer's notifications.
type Events struct {
	service *Service
	from    stream.Subscription
}

// Events begins to listen, from the event after the given cursor, or from now. It ends with ctx. Each event is looked at
// with the viewer's eyes when it is delivered: what the viewer may no longer see is passed over.
func (s *Service) Events(ctx context.Context, after *string) (*Events, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	from, err := stream.After(after)
	if err != nil {
		return nil, err
	}
	subscription, err := s.Stream.Subscribe(ctx, v.Org, topic(v.User), from)
	if err != nil {
		return nil, err
	}
	return &Events{service: s, from: subscription}, nil
}

// Next waits for the next event. Its errors are those of stream.Subscription.Next.
func (e *Events) Next(ctx context.Context) (NotificationEvent, error) {
	return stream.Seen(ctx, e.from, stream.Aside(e.service.see))
}

// Close stops listening.
func (e *Events) Close() { e.from.Close() }

func (s *Service) see(ctx context.Context, d stream.Delivery) (_ NotificationEvent, err error) {
	defer fault.Wrap(&err, "event %s", d.Kind)
	place := Place{Cursor: string(d.Cursor), OccurredAt: d.At}
	if d.Kind == eventRead {
		unread, err := s.UnreadCount(ctx)
		return Read{place, unread}, err
	}
	var about added
	if err := json.Unmarshal(d.Data, &about); err != nil {
		return nil, err
	}
	found, err := s.ByIDs(ctx, []id.UUID{about.Notification})
	if n := found[about.Notification]; n != nil {
		return Added{place, n}, nil
	}
	return nil, err
}
