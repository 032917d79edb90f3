package notice

import (
	"context"
	"time"

	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/mail"
)

// Invited is what a mail that invites says, and to whom.
type Invited struct {
	Email        string
	Organization string
	By           string // who invites; "" if nobody does any more
	Until        time.Time
	URL          string // by which the invitation is accepted
}

// Invitations looks an invitation up for a mail that is about to leave, for the system and not for a viewer, and makes what accepts it. It
// returns nil if the invitation cannot be accepted any more.
type Invitations func(ctx context.Context, org, invitation id.UUID) (*Invited, error)

// deliverInvitation sends a mail that invites. What accepts the invitation is made here, at each attempt anew, and is in the mail alone.
func (s *Service) deliverInvitation(ctx context.Context, d delivery) error {
	if s.Sender == nil {
		return s.end(ctx, d, Suppressed, reasonNoMailer)
	}
	var why *Suppression
	if err := s.db.QueryRow(ctx, `SELECT (`+suppressionOf("i.email")+`) FROM invitations i WHERE i.org_id = $1 AND i.id = $2`, d.org, *d.invitation).Scan(&why); err != nil {
		return err
	}
	if why != nil {
		return s.end(ctx, d, Suppressed, Reason(*why))
	}
	if admitted, err := s.admit(ctx, d); !admitted || err != nil {
		return err
	}
	i, err := s.Invitations(ctx, d.org, *d.invitation)
	if err != nil {
		return err
	}
	if i == nil {
		return s.end(ctx, d, Suppressed, reasonLate)
	}
	l := letter{Type: Invitation, Organization: i.Organization, By: line(i.By), Until: i.Until.UTC().Format("Monday, 2 January 2006, 15:04 MST"), Address: i.Email,
		Items: []item{{Line: headline(Invitation, Subject{Title: i.Organization}, time.UTC), URL: i.URL}}}
	m, err := l.write(d.id, mail.Address{Email: i.Email}, nil)
	if err != nil {
		return err
	}
	return s.send(ctx, d, *m)
}
