// Package notice tells people what concerns them: in the app, and by mail as each of them prefers.
//
// A domain says what happened in the transaction in which it happens:
//
//	return notice.Notify(ctx, tx, notice.Event{
//		Org: v.Org, Type: notice.SessionScheduled, Actor: v.User, Recipients: people,
//		Subject: "session", SubjectID: key.UUID, SessionID: key.UUID, Key: key.String(),
//	})
//
// What is stored are ids. What a notification says is made when it is shown or mailed, with its recipient's eyes, by the
// Kind that app has registered for what it is about: who may no longer see the thing gets nothing. The package knows no
// other domain.
package notice

import (
	"fmt"
	"io"
	"time"

	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
)

// ID identifies a notification: notification_….
type ID struct{ id.UUID }

func (i ID) String() string { return id.Format("notification", i.UUID) }

// MarshalGQL implements graphql.Marshaler.
func (i ID) MarshalGQL(w io.Writer) { id.Write(w, "notification", i.UUID) }

// UnmarshalGQL implements graphql.Unmarshaler.
func (i *ID) UnmarshalGQL(v any) error { return id.Read(v, "notification", &i.UUID) }

// Type is what a notification tells.
type Type string

// The types.
const (
	SessionScheduled   Type = "SESSION_SCHEDULED"
	SessionRescheduled Type = "SESSION_RESCHEDULED"
	SessionCancelled   Type = "SESSION_CANCELLED"
	SessionReminder    Type = "SESSION_REMINDER"
	InsightsReady      Type = "INSIGHTS_READY"
	ActionAssigned     Type = "ACTION_ASSIGNED"
	ActionDue          Type = "ACTION_DUE"
	Mention            Type = "MENTION"
	Invitation         Type = "INVITATION"    // a mail to who is no member yet: at once, and without a preference
	WeeklyDigest       Type = "WEEKLY_DIGEST" // a mail that tells of the week, and no notification

	// dailyDigest is the mail that collects what its recipient wants in a digest: a type of deliveries alone.
	dailyDigest Type = "DAILY_DIGEST"
)

// Email says when a type of notification is mailed.
type Email string

// The ways.
const (
	Immediate Email = "IMMEDIATE" // at once, outside of quiet hours
	Digest    Email = "DIGEST"    // once a day, with all the others; the weekly digest once a week
	Off       Email = "OFF"
)

// Preference is how a person wants to be told of a type.
type Preference struct {
	Type  Type
	InApp bool
	Email Email
}

// defaults are the preferences of who has none, in the order in which they are shown. Too many mails is why people turn
// them all off, so a digest is the default; what a person would travel in vain for comes at once, and so does what is about the
// next hours.
var defaults = []Preference{
	{SessionScheduled, true, Digest},
	{SessionRescheduled, true, Immediate},
	{SessionCancelled, true, Immediate},
	{SessionReminder, true, Immediate},
	{InsightsReady, true, Digest},
	{ActionAssigned, true, Digest},
	{ActionDue, true, Digest},
	{Mention, true, Digest},
	{WeeklyDigest, false, Digest},
}

// standard is the preference of a type in force for who has set none.
func standard(t Type) (Preference, bool) {
	for _, p := range defaults {
		if p.Type == t {
			return p, true
		}
	}
	return Preference{}, false
}

// TimeOfDay is a minute of the local day, from 0 to 1439, written 21:30.
type TimeOfDay int

func (t TimeOfDay) String() string { return fmt.Sprintf("%02d:%02d", int(t)/60, int(t)%60) }

// MarshalGQL implements graphql.Marshaler.
func (t TimeOfDay) MarshalGQL(w io.Writer) { fmt.Fprintf(w, "%q", t.String()) }

// UnmarshalGQL implements graphql.Unmarshaler.
func (t *TimeOfDay) UnmarshalGQL(v any) error {
	s, _ := v.(string)
	at, err := time.Parse("15:04", s)
	if err != nil || len(s) != 5 {
		return fault.Invalid("", "must be a time of day like 21:30")
	}
	*t = TimeOfDay(at.Hour()*60 + at.Minute())
	return nil
}

// QuietHours are when no mail is sent, in the person's zone. They may pass midnight.
type QuietHours struct {
	From  TimeOfDay
	Until TimeOfDay
}

// Settings are how a person wants to be told.
type Settings struct {
	Types            []Preference // of every type that can be chosen, in a fixed order
	QuietHours       *QuietHours
	DigestHour       int          // the local hour in which digests are sent
	EmailSuppression *Suppression // why no mail is sent to the person at all; nil if it is
}

// The settings of who has set none.
var (
	standardQuiet      = QuietHours{From: 21 * 60, Until: 7 * 60}
	standardDigestHour = 8
)

// Suppression is why an address gets no mail.
type Suppression string

// The reasons.
const (
	Bounced      Suppression = "BOUNCED"
	Complained   Suppression = "COMPLAINED"
	Unsubscribed Suppression = "UNSUBSCRIBED" // from all, by its owner
)

// DeliveryState says what has become of a mail.
type DeliveryState string

// The states.
const (
	Queued     DeliveryState = "QUEUED"
	Sent       DeliveryState = "SENT"
	Failed     DeliveryState = "FAILED"
	Suppressed DeliveryState = "SUPPRESSED" // was not to be sent after all
	CameBack   DeliveryState = "BOUNCED"    // was sent, and did not arrive
	CalledSpam DeliveryState = "COMPLAINED" // has arrived, and is unwanted
)

// Notification is what one person is told.
type Notification struct {
	auth.Grants
	ID         ID
	Type       Type
	Subject    id.Any // what it is about
	SessionID  *id.UUID
	ClientID   *id.UUID
	ActorID    *id.UUID
	EmailState *DeliveryState // of the mail that told it; nil if none
	CreatedAt  time.Time
	ReadAt     *time.Time
	until      *time.Time // when it is no news any more; nil is never
}

// IsNode marks a Relay node.
func (*Notification) IsNode() {}
