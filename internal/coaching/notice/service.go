package notice

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/check"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/mail"
	"github.com/rapporthq/rapport/internal/platform/page"
	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/internal/platform/stream"
)

// Kind is a kind of thing that notifications are about; app registers what there is.
type Kind struct {
	Prefix string // of its ids
	// Visible is the SQL condition that the viewer may see the thing whose id is in the column, in a statement whose $1 is
	// the organization and $2 the viewer's user.
	Visible func(v auth.Viewer, column string) string
	// Describe says what the viewer in ctx may know of the things, by id. What is missing is not theirs to see.
	Describe func(ctx context.Context, ids []id.UUID) (map[id.UUID]Subject, error)
	// Of are conditions as Visible's for notifications of one type: that there still is what they tell of, where that is not the
	// thing itself.
	Of map[Type]func(v auth.Viewer, column string) string
}

// Subject is what a notification is about, as its recipient may see it.
type Subject struct {
	Title string     // what the thing is called; may be ""
	With  string     // the other person in it; may be ""
	At    *time.Time // when it begins or is due, if that is a moment
	On    *time.Time // when it is due, if that is a day
	URL   string     // where to go; "" is the thing's own page
	Moot  []Type     // what is no news of it any more, as a reminder of what was called off: no mail tells it
}

// Agenda returns what the viewer in ctx takes part in from one moment to another, in order: for the weekly digest.
type Agenda func(ctx context.Context, from, until time.Time) ([]Subject, error)

// Options is what a Service stands on.
type Options struct {
	DB     *pgxpool.Pool
	Stream stream.Stream
	Sender mail.Sender // nil where no mail can be sent
	Limits Limits      // on mails
	Kinds  []Kind
	Agenda Agenda
	Pages  Pages
	Now    func() time.Time // the clock

	Invitations Invitations
}

// Pages are the addresses that mails lead to.
type Pages struct {
	Server      func() string             // by which people reach this server, without a path
	Thing       func(thing id.Any) string // of a thing; below the server's or wherever the front end is
	Preferences func() string             // where a person chooses how to be told
}

// Service tells people what concerns them.
type Service struct {
	Options
	db    *pgxpool.Pool
	kinds []Kind
	now   func() time.Time
}

// NewService returns a Service.
func NewService(o Options) *Service {
	return &Service{Options: o, db: o.DB, kinds: o.Kinds, now: o.Now}
}

// List pages through the viewer's notifications, the newest first.
func (s *Service) List(ctx context.Context, f *Filter, args page.Args) (*page.Connection[Notification], error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	w, err := args.Window()
	if err != nil {
		return nil, err
	}
	return page.List(ctx, s.db, v, notifications, s.scope(v), f.where(), newestFirst, w)
}

// ByIDs returns those of the notifications that the viewer may see.
func (s *Service) ByIDs(ctx context.Context, ids []id.UUID) (map[id.UUID]*Notification, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.ByIDs(ctx, s.db, v, notifications, s.scope(v), ids)
}

// UnreadCount counts the viewer's notifications that are not read.
func (s *Service) UnreadCount(ctx context.Context) (int, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return 0, err
	}
	return page.Count(ctx, s.db, v, notifications, s.scope(v), (&Filter{UnreadOnly: true}).where())
}

// About is what a notification tells: of what type, of what.
type About struct {
	Type    Type
	Subject id.Any
}

// Titles says in a line what each tells, in the viewer's zone, in the order of the subjects.
func (s *Service) Titles(ctx context.Context, about []About) ([]string, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	var zone string
	if err := s.db.QueryRow(ctx, `SELECT u.time_zone FROM users u JOIN memberships m ON m.org_id = $1 AND m.user_id = u.id WHERE u.id = $2`,
		v.Org, v.User).Scan(&zone); err != nil {
		return nil, fmt.Errorf("notice: zone: %w", err)
	}
	seen, err := s.describe(ctx, about)
	if err != nil {
		return nil, err
	}
	titles := make([]string, len(about))
	for i, a := range about {
		titles[i] = headline(a.Type, seen[a.Subject], location(zone))
	}
	return titles, nil
}

// describe asks each kind once for what the viewer may see.
func (s *Service) describe(ctx context.Context, about []About) (map[id.Any]Subject, error) {
	seen := map[id.Any]Subject{}
	for _, k := range s.kinds {
		var ids []id.UUID
		for _, a := range about {
			if a.Subject.Prefix == k.Prefix {
				ids = append(ids, a.Subject.UUID)
			}
		}
		if ids == nil {
			continue
		}
		found, err := k.Describe(ctx, ids)
		if err != nil {
			return nil, err
		}
		for key, subject := range found {
			seen[id.Any{Prefix: k.Prefix, UUID: key}] = subject
		}
	}
	return seen, nil
}

// MarkReadInput names notifications that were read.
type MarkReadInput struct{ Ids []ID }

// MarkRead marks notifications as read. Doing it twice is doing it once; one that is not the viewer's is not found, and
// then none is marked.
func (s *Service) MarkRead(ctx context.Context, in MarkReadInput) (err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return err
	}
	defer fault.Wrap(&err, "notice.MarkRead")
	if len(in.Ids) > page.MaxSize {
		return fault.Invalid("ids", "must be at most %d, got %d", page.MaxSize, len(in.Ids))
	}
	ids := make([]id.UUID, len(in.Ids))
	for i, key := range in.Ids {
		ids[i] = key.UUID
	}
	found, err := s.ByIDs(ctx, ids)
	if err != nil {
		return err
	}
	for _, key := range ids {
		if found[key] == nil {
			return fault.NotFound("notification")
		}
	}
	return s.read(ctx, v, `id = ANY($4)`, ids)
}

// MarkAllReadInput says up to when all is read.
type MarkAllReadInput struct{ Until *time.Time }

// MarkAllRead marks all notifications as read that came until the given moment, now if none is given: one that has come
// since the list was fetched has not been seen.
func (s *Service) MarkAllRead(ctx context.Context, in MarkAllReadInput) (err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return err
	}
	defer fault.Wrap(&err, "notice.MarkAllRead")
	return s.read(ctx, v, `in_app AND created_at <= coalesce($4, now())`, in.Until)
}

func (s *Service) read(ctx context.Context, v auth.Viewer, which string, arg any) error {
	return postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			UPDATE notifications SET read_at = $3 WHERE org_id = $1 AND user_id = $2 AND read_at IS NULL AND `+which+` RETURNING id`,
			v.Org, v.User, s.now(), arg)
		if err != nil {
			return err
		}
		changed, err := pgx.CollectRows(rows, pgx.RowTo[id.UUID])
		if err != nil || len(changed) == 0 {
			return err
		}
		entries := make([]audit.Entry, len(changed))
		for i, key := range changed {
			entries[i] = audit.Entry{Action: "notification.read", Kind: "notification", ID: key, Fields: []string{"readAt"}}
		}
		if err := audit.Record(ctx, tx, v, entries...); err != nil {
			return err
		}
		return s.Stream.Publish(ctx, tx, v.Org, stream.Event{Kind: eventRead}, topic(v.User))
	})
}

// PreferenceInput changes how a person is told of a type; nil leaves it as it is.
type PreferenceInput struct {
	Type  Type
	InApp *bool
	Email *Email
}

// UpdateInput changes how a person is told; nil leaves a setting as it is.
type UpdateInput struct {
	Types      **[]*PreferenceInput
	QuietHours **QuietHours
	DigestHour **int
}

// Settings returns how the viewer is told.
func (s *Service) Settings(ctx context.Context) (*Settings, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	r, err := s.recipient(ctx, s.db, v.Org, v.User)
	if err != nil {
		return nil, err
	}
	if r == nil {
		return nil, fault.NotFound("person")
	}
	return &r.settings, nil
}

// Update changes how the viewer is told. Asking for mails of a type again lifts an earlier "no mail at all" of the
// viewer's own.
func (s *Service) Update(ctx context.Context, in UpdateInput) (_ *Settings, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "notice.Update")
	var problems check.Input
	types := check.NotNull(&problems, "types", in.Types)
	hour := check.NotNull(&problems, "digestHour", in.DigestHour)
	if hour != nil {
		problems.Range("digestHour", *hour, 0, 23)
	}
	if in.QuietHours != nil && *in.QuietHours != nil && (*in.QuietHours).From == (*in.QuietHours).Until {
		problems.Fail("quietHours.until", "must not be the moment at which they begin")
	}
	var changes []*PreferenceInput
	if types != nil {
		changes = *types
	}
	twice := map[Type]bool{}
	for i, c := range changes {
		field := fmt.Sprintf("types.%d.", i)
		if twice[c.Type] {
			problems.Fail(field+"type", "stands here twice")
		}
		twice[c.Type] = true
		switch {
		case c.Type == Invitation:
			problems.Fail(field+"type", "an invitation goes to who is no member yet, and has no preference")
		case c.Type == WeeklyDigest && c.InApp != nil && *c.InApp:
			problems.Fail(field+"inApp", "the weekly digest is a mail alone")
		case c.Type == WeeklyDigest && c.Email != nil && *c.Email == Immediate:
			problems.Fail(field+"email", "the weekly digest is sent once a week, or not at all")
		}
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	if err := postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		for _, c := range changes {
			if err := prefer(ctx, tx, v.Org, v.User, *c); err != nil {
				return err
			}
			if c.Email != nil && *c.Email != Off {
				if err := s.lift(ctx, tx, v.Org, v.User); err != nil {
					return err
				}
			}
		}
		if in.QuietHours != nil || hour != nil {
			var quiet *QuietHours
			if in.QuietHours != nil {
				quiet = *in.QuietHours
			}
			if err := arrange(ctx, tx, v, in.QuietHours != nil, quiet, hour); err != nil {
				return err
			}
		}
		fields := audit.Given(in)
		if len(fields) == 0 {
			return nil
		}
		return audit.Record(ctx, tx, v, audit.Entry{Action: "notification.prefer", Kind: "user", ID: v.User, Fields: fields})
	}); err != nil {
		return nil, err
	}
	return s.Settings(ctx)
}

// prefer stores what differs from the defaults, field by field, so that two changes at once are both kept.
func prefer(ctx context.Context, db postgres.DB, org, user id.UUID, c PreferenceInput) error {
	p, _ := standard(c.Type)
	_, err := db.Exec(ctx, `
		INSERT INTO notification_preferences AS p (org_id, user_id, type, in_app, email)
		VALUES ($1, $2, $3, coalesce($4::boolean, $5), coalesce($6::text, $7))
		ON CONFLICT (org_id, user_id, type) DO UPDATE SET in_app = coalesce($4::boolean, p.in_app), email = coalesce($6::text, p.email)`,
		org, user, c.Type, c.InApp, p.InApp, c.Email, p.Email)
	return err
}

func arrange(ctx context.Context, db postgres.DB, v auth.Viewer, changeQuiet bool, quiet *QuietHours, hour *int) error {
	var from, until *TimeOfDay
	if quiet != nil {
		from, until = &quiet.From, &quiet.Until
	}
	_, err := db.Exec(ctx, `
		INSERT INTO notification_settings AS s (org_id, user_id, quiet_from, quiet_until, digest_hour)
		VALUES ($1, $2, CASE WHEN $3::boolean THEN $4::int ELSE $7::int END, CASE WHEN $3 THEN $5::int ELSE $8::int END, coalesce($6::int, $9))
		ON CONFLICT (org_id, user_id) DO UPDATE SET
			quiet_from = CASE WHEN $3 THEN $4 ELSE s.quiet_from END,
			quiet_until = CASE WHEN $3 THEN $5 ELSE s.quiet_until END,
			digest_hour = coalesce($6, s.digest_hour)`,
		v.Org, v.User, changeQuiet, from, until, hour, int(standardQuiet.From), int(standardQuiet.Until), standardDigestHour)
	return err
}
