package notice

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/mail"
	"github.com/rapporthq/rapport/internal/platform/page"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// Reason says why a mail was not sent after all, or what became of it: one of these, or why the address gets none.
type Reason string

const (
	reasonNoMember   Reason = "NO_MEMBER"   // the person has left
	reasonNoMailer   Reason = "NO_MAILER"   // nothing here can send mails
	reasonPreference Reason = "PREFERENCE"  // turned off meanwhile
	reasonLate       Reason = "LATE"        // it is no news any more
	reasonNothing    Reason = "NOTHING"     // there is nothing to tell, or nothing that the person may see
	reasonProvider   Reason = "PROVIDER"    // whoever sends knows that the address wants none
	reasonRejected   Reason = "REJECTED"    // the message or the address is wrong
	reasonGaveUp     Reason = "UNREACHABLE" // every attempt has failed

	reasonBouncedOnce Reason = "BOUNCED_ONCE" // it came back, and the next may arrive

	reasonDigest  Reason = "DIGEST"  // the person has got enough: the next digest tells it
	reasonLimited Reason = "LIMITED" // the organization has sent enough: it waits
)

// delivery is a mail to be sent.
type delivery struct {
	id, org    id.UUID
	user       *id.UUID // to whom; nil for an invitation
	invitation *id.UUID
	typ        Type
	until      *time.Time
}

// Deliver handles JobDeliver: it sends a mail, as it is to be told now. A process that dies between the sending and the
// note that it was sent sends once more under the same id, of which mail.Sender makes one mail.
func (s *Service) Deliver(ctx context.Context, job jobs.Job) (err error) {
	defer fault.Wrap(&err, "notice.Deliver(%s)", job.Entity)
	d := delivery{id: job.Entity, org: job.Org}
	err = s.db.QueryRow(ctx, `
		SELECT d.user_id, d.invitation_id, d.type, (SELECT n.until FROM notifications n WHERE n.org_id = $1 AND n.delivery_id = d.id LIMIT 1)
		FROM email_deliveries d WHERE d.org_id = $1 AND d.id = $2 AND d.state = 'QUEUED'`, d.org, d.id).
		Scan(&d.user, &d.invitation, &d.typ, &d.until)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // sent, or gone
	}
	if err != nil {
		return err
	}
	if d.invitation != nil {
		return s.deliverInvitation(ctx, d)
	}
	r, err := s.recipient(ctx, s.db, d.org, *d.user)
	if err != nil {
		return err
	}
	if why := s.refuse(d, r); why != "" {
		return s.end(ctx, d, Suppressed, why)
	}
	if quiet := quietUntil(s.now(), r.settings.QuietHours, r.zone); !quiet.IsZero() {
		return jobs.Snooze(quiet.Sub(s.now()))
	}
	if admitted, err := s.admit(ctx, d); !admitted || err != nil {
		return err
	}
	m, err := s.compose(auth.WithViewer(ctx, r.viewer), d, r)
	if err != nil {
		return err
	}
	if m == nil {
		return s.end(ctx, d, Suppressed, reasonNothing)
	}
	return s.send(ctx, d, *m)
}

// send sends a mail, and notes what has become of it.
func (s *Service) send(ctx context.Context, d delivery, m mail.Message) error {
	m.Org, m.Type = d.org, string(d.typ)
	switch err := s.Sender.Send(ctx, m); {
	case err == nil:
		return s.end(ctx, d, Sent, "")
	case errors.Is(err, mail.ErrSuppressed):
		return s.end(ctx, d, Suppressed, reasonProvider)
	case errors.Is(err, mail.ErrRejected):
		return jobs.Permanent(errors.Join(err, s.end(ctx, d, Failed, reasonRejected)), "MAIL_REJECTED")
	case fault.KindOf(err) == fault.KindLimited:
		return jobs.Snooze(time.Minute)
	default:
		return err
	}
}

// refuse says why a mail is not to be sent, "" if it is.
func (s *Service) refuse(d delivery, r *recipient) Reason {
	switch {
	case r == nil || !r.active:
		return reasonNoMember
	case s.Sender == nil:
		return reasonNoMailer
	case r.settings.EmailSuppression != nil:
		return Reason(*r.settings.EmailSuppression)
	case d.typ != dailyDigest && r.email(d.typ) == Off:
		return reasonPreference
	case d.typ != dailyDigest && d.until != nil && !s.now().Before(*d.until):
		return reasonLate // of a digest it is one thing of many
	}
	return ""
}

// end notes what has become of a mail.
func (s *Service) end(ctx context.Context, d delivery, state DeliveryState, reason Reason) error {
	return finish(ctx, s.db, d.org, d.id, state, reason, s.now())
}

func finish(ctx context.Context, db postgres.DB, org, key id.UUID, state DeliveryState, reason Reason, at time.Time) error {
	_, err := db.Exec(ctx, `
		UPDATE email_deliveries SET state = $3, reason = nullif($4, ''), finished_at = $5, admitted_at = CASE WHEN $3 <> 'SUPPRESSED' THEN admitted_at END
		WHERE org_id = $1 AND id = $2 AND state = 'QUEUED'`, org, key, state, reason, at)
	return err
}

// DeliverDied notes that no attempt could send a mail.
func (s *Service) DeliverDied(ctx context.Context, tx pgx.Tx, job jobs.Job) error {
	return finish(ctx, tx, job.Org, job.Entity, Failed, reasonGaveUp, s.now())
}

const (
	inDigest = 30                 // as many are told in one digest; how many more there are is said
	week     = 7 * 24 * time.Hour // what the weekly digest looks ahead
)

// compose writes the mail with the eyes of the viewer in ctx; nil if there is nothing that they may see.
func (s *Service) compose(ctx context.Context, d delivery, r *recipient) (*mail.Message, error) {
	l := letter{Type: d.typ, Name: r.address.Name, Organization: r.organization, Preferences: s.Pages.Preferences()}
	told, more, err := s.told(ctx, d, r)
	if err != nil {
		return nil, err
	}
	for _, n := range told {
		l.Items = append(l.Items, item{Line: headline(n.Type, n.subject, r.zone), URL: s.page(n)})
	}
	l.More = more
	if d.typ == WeeklyDigest {
		ahead, err := s.Agenda(ctx, s.now(), s.now().Add(week))
		if err != nil {
			return nil, err
		}
		for _, a := range ahead {
			l.Items = append(l.Items, item{Line: headline(SessionReminder, a, r.zone), URL: a.URL})
		}
		if l.Unread, err = s.UnreadCount(ctx); err != nil {
			return nil, err
		}
	}
	if len(l.Items) == 0 && l.Unread == 0 {
		return nil, nil
	}
	if l.Unsubscribe, err = s.unsubscribeURL(ctx, d.org, *d.user, d.typ); err != nil {
		return nil, err
	}
	return l.write(d.id, r.address, map[string]string{"List-Unsubscribe": "<" + l.Unsubscribe + ">", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"})
}

// tale is a notification with what its recipient may know of it.
type tale struct {
	*Notification
	subject Subject
}

// told are the notifications of a mail that its recipient may see and still wants, and how many more there are.
func (s *Service) told(ctx context.Context, d delivery, r *recipient) (tales []tale, more int, err error) {
	var of page.Filter
	of.And("nt.delivery_id = ?", d.id)
	if d.typ == dailyDigest {
		of.And("nt.read_at IS NULL") // who has read it in the app knows
	}
	found, err := page.All(ctx, s.db, r.viewer, notifications, s.mailScope(r.viewer), of, newestFirst)
	if err != nil {
		return nil, 0, err
	}
	var about []About
	for _, n := range found {
		if r.email(n.Type) == Off {
			continue
		}
		if len(tales) == inDigest {
			more++
			continue
		}
		tales = append(tales, tale{Notification: n})
		about = append(about, About{n.Type, n.Subject})
	}
	seen, err := s.describe(ctx, about)
	if err != nil {
		return nil, 0, err
	}
	kept := tales[:0]
	for _, n := range tales {
		if subject, ok := seen[n.Subject]; ok && !slices.Contains(subject.Moot, n.Type) && !s.late(n.until, subject) {
			n.subject = subject
			kept = append(kept, n)
		}
	}
	return kept, more, nil
}

// late says whether something is no news any more: what was to begin has begun, or has been moved, which is told by itself.
func (s *Service) late(until *time.Time, of Subject) bool {
	return until != nil && (!s.now().Before(*until) || of.At != nil && !of.At.Equal(*until))
}

func (s *Service) page(n tale) string {
	if n.subject.URL != "" {
		return n.subject.URL
	}
	return s.Pages.Thing(n.Subject)
}
