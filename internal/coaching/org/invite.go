package org

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/coaching/notice"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/check"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// invitationValid is how long an invitation can be accepted.
const invitationValid = 7 * 24 * time.Hour

// Invitations pages through the invitations, latest first; for others than owners and admins there are none.
func (s *Service) Invitations(ctx context.Context, args page.Args) (*page.Connection[Invitation], error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	w, err := args.Window()
	if err != nil {
		return nil, err
	}
	return page.List(ctx, s.db, v, invitations, invitationScope(v), page.Filter{}, latestInvitationFirst, w)
}

// InvitationsByIDs returns those of the invitations that the viewer may see.
func (s *Service) InvitationsByIDs(ctx context.Context, ids []id.UUID) (map[id.UUID]*Invitation, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.ByIDs(ctx, s.db, v, invitations, invitationScope(v), ids)
}

// Invite lets the person behind an address become a member, and has them told by mail. The token is theirs: it is returned once, for
// where no mail arrives, and only its hash kept.
func (s *Service) Invite(ctx context.Context, in InviteInput) (_ Invited, err error) {
	v, err := administrator(ctx, in.Roles)
	if err != nil {
		return Invited{}, err
	}
	defer fault.Wrap(&err, "org.Invite")
	var problems check.Input
	email := problems.Email("email", in.Email)
	roles := distinctRoles(&problems, in.Roles)
	if err := problems.Err(); err != nil {
		return Invited{}, err
	}
	key, token := InvitationID{id.New()}, rand.Text()
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		var status MembershipStatus
		err := tx.QueryRow(ctx, `SELECT m.status FROM memberships m JOIN users u ON u.id = m.user_id WHERE m.org_id = $1 AND lower(u.email) = lower($2)`,
			v.Org, email).Scan(&status)
		switch {
		case err == nil && status == MembershipActive:
			return fault.Invalid("email", "belongs to a member already").WithCode("ALREADY_MEMBER")
		case err == nil:
			return fault.Invalid("email", "belongs to somebody whose membership was revoked: reinstate it").WithCode("ALREADY_MEMBER")
		case !errors.Is(err, pgx.ErrNoRows):
			return err
		}
		tag, err := tx.Exec(ctx, `
			INSERT INTO invitations (id, org_id, email, roles, token_hash, invited_by, expires_at)
			VALUES ($1, $2, $3, $4, $5, $6, now() + $7::interval) ON CONFLICT DO NOTHING`,
			key, v.Org, email, roles, hash(token), v.User, invitationValid)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return fault.Invalid("email", "is invited already: resend that invitation, or revoke it first").WithCode("ALREADY_INVITED")
		}
		if err := notice.Invite(ctx, tx, v.Org, key.UUID); err != nil {
			return err
		}
		return audit.Record(ctx, tx, v, audit.Entry{Action: "invitation.create", Kind: "invitation", ID: key.UUID})
	})
	if err != nil {
		return Invited{}, err
	}
	return s.invited(ctx, v, key, token)
}

// Resend makes a new token for an invitation that nobody has accepted, valid anew, and mails it again; the old ones are void.
func (s *Service) Resend(ctx context.Context, in InvitationInput) (_ Invited, err error) {
	v, i, err := s.myInvitation(ctx, in.ID)
	if err != nil {
		return Invited{}, err
	}
	defer fault.Wrap(&err, "org.Resend(%s)", in.ID)
	if _, err := administrator(ctx, i.Roles); err != nil {
		return Invited{}, err
	}
	token := rand.Text()
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		if err := changeInvitation(ctx, tx, v, in.ID, "invitation.resend", `
			UPDATE invitations SET token_hash = $3, mailed_hashes = '{}', expires_at = now() + $4::interval
			WHERE org_id = $1 AND id = $2 AND accepted_at IS NULL AND revoked_at IS NULL`, hash(token), invitationValid); err != nil {
			return err
		}
		return notice.Invite(ctx, tx, v.Org, in.ID.UUID)
	})
	if err != nil {
		return Invited{}, err
	}
	return s.invited(ctx, v, in.ID, token)
}

// RevokeInvitation makes an invitation void.
func (s *Service) RevokeInvitation(ctx context.Context, in InvitationInput) (_ *Invitation, err error) {
	v, _, err := s.myInvitation(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "org.RevokeInvitation(%s)", in.ID)
	if err := postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		return changeInvitation(ctx, tx, v, in.ID, "invitation.revoke", `
			UPDATE invitations SET revoked_at = now() WHERE org_id = $1 AND id = $2 AND accepted_at IS NULL AND revoked_at IS NULL`)
	}); err != nil {
		return nil, err
	}
	return page.Get(ctx, s.db, v, invitations, invitationScope(v), in.ID.UUID, "invitation")
}

func (s *Service) myInvitation(ctx context.Context, key InvitationID) (auth.Viewer, *Invitation, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return v, nil, err
	}
	i, err := page.Get(ctx, s.db, v, invitations, invitationScope(v), key.UUID, "invitation")
	return v, i, err
}

func changeInvitation(ctx context.Context, tx pgx.Tx, v auth.Viewer, key InvitationID, action, statement string, args ...any) error {
	tag, err := tx.Exec(ctx, statement, append([]any{v.Org, key}, args...)...)
	if err != nil {
		return err
	}
	if tag.RowsAffected() == 0 {
		return fault.Conflict("the invitation was accepted or revoked")
	}
	return audit.Record(ctx, tx, v, audit.Entry{Action: action, Kind: "invitation", ID: key.UUID})
}

// Mailed is what the mail of an invitation is made of.
type Mailed struct {
	Email        string
	Organization string
	By           string // who invites; "" if they have left
	Until        time.Time
	Token        string
}

// ForMail makes a token for a mail that is about to leave, for the system and not for a viewer, and keeps its hash; nil if the
// invitation cannot be accepted. Each attempt to send has a token of its own, and the last of them hold, for nobody knows which of the
// attempts has arrived. So no token is kept until a mail is sent, and none after.
func (s *Service) ForMail(ctx context.Context, organization id.UUID, key InvitationID) (_ *Mailed, err error) {
	defer fault.Wrap(&err, "org.ForMail(%s)", key)
	m := Mailed{Token: rand.Text()}
	err = s.db.QueryRow(ctx, `
		UPDATE invitations i SET mailed_hashes = i.mailed_hashes[greatest(cardinality(i.mailed_hashes) - 48, 1):] || $3::bytea
		FROM organizations o
		WHERE i.org_id = $1 AND i.id = $2 AND o.id = i.org_id AND i.accepted_at IS NULL AND i.revoked_at IS NULL AND i.expires_at > now()
		RETURNING i.email, o.name, i.expires_at, coalesce((SELECT u.name FROM memberships m JOIN users u ON u.id = m.user_id
			WHERE m.org_id = i.org_id AND m.user_id = i.invited_by AND m.status = 'ACTIVE'), '')`, organization, key, hash(m.Token)).
		Scan(&m.Email, &m.Organization, &m.Until, &m.By)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return &m, err
}

func (s *Service) invited(ctx context.Context, v auth.Viewer, key InvitationID, token string) (Invited, error) {
	i, err := page.Get(ctx, s.db, v, invitations, invitationScope(v), key.UUID, "invitation")
	return Invited{Invitation: i, Token: &token}, err
}

func hash(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

// Accept makes the signed-in person a member, who need not be anybody here yet. From then on they act as that member.
//
// A token alone is not enough: mails are forwarded, and who invites sees the token, too. The identity provider must vouch that the
// person has the invited address. So nobody becomes somebody else by it, in this organization or another.
func (s *Service) Accept(ctx context.Context, in AcceptInput) (_ *Membership, err error) {
	c, err := auth.ClaimsFrom(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "org.Accept")
	var problems check.Input
	name := problems.LineOrNil("name", in.Name, 200)
	zone := optionalZone(&problems, in.TimeZone)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	var v auth.Viewer
	key := MembershipID{id.New()}
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		var invitation InvitationID
		var email string
		err := tx.QueryRow(ctx, `
			SELECT id, org_id, email, roles FROM invitations
			WHERE (token_hash = $1 OR mailed_hashes @> ARRAY[$1::bytea]) AND accepted_at IS NULL AND revoked_at IS NULL AND expires_at > now() FOR UPDATE`, hash(strings.TrimSpace(in.Token))).
			Scan(&invitation, &v.Org, &email, &v.Roles)
		if errors.Is(err, pgx.ErrNoRows) {
			return fault.Invalid("token", "is of no invitation that can be accepted: it was accepted, revoked, replaced by a newer one, or has expired").WithCode("INVITATION_INVALID")
		} else if err != nil {
			return err
		}
		if v.User, err = s.person(ctx, tx, c, email, name, zone); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `INSERT INTO memberships (id, org_id, user_id, roles) VALUES ($1, $2, $3, $4) ON CONFLICT (org_id, user_id) DO NOTHING`,
			key, v.Org, v.User, v.Roles)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return fault.Conflict("you belong to the organization already, or did: ask an owner or an admin to reinstate you").WithCode("ALREADY_MEMBER")
		}
		if _, err := tx.Exec(ctx, `UPDATE invitations SET accepted_at = now() WHERE org_id = $1 AND id = $2`, v.Org, invitation); err != nil {
			return err
		}
		if slices.Contains(v.Roles, auth.RoleClient) {
			if err := linkMember(ctx, tx, v, v.User, email); err != nil {
				return err
			}
		}
		return audit.Record(ctx, tx, v,
			audit.Entry{Action: "invitation.accept", Kind: "invitation", ID: invitation.UUID},
			audit.Entry{Action: "member.join", Kind: "member", ID: key.UUID})
	})
	if err != nil {
		return nil, err
	}
	auth.Become(ctx, v)
	return page.Get(ctx, s.db, v, memberships, membershipScope(v), key.UUID, "membership")
}

// person finds or makes the user whom claims name, if the address is theirs.
func (s *Service) person(ctx context.Context, tx pgx.Tx, c auth.Claims, email string, name *string, zone string) (user id.UUID, err error) {
	var known string
	err = tx.QueryRow(ctx, `SELECT u.id, u.email FROM user_identities i JOIN users u ON u.id = i.user_id WHERE i.issuer = $1 AND i.subject = $2`,
		c.Issuer, c.Subject).Scan(&user, &known)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return user, err
	}
	if !strings.EqualFold(c.Email, email) && !strings.EqualFold(known, email) {
		return user, fault.Invalid("token", "is of an invitation for another e-mail address than the one you have signed in with").WithCode("OTHER_ADDRESS")
	}
	if err == nil {
		return user, nil
	}
	if name == nil {
		name = &email
	}
	if err := tx.QueryRow(ctx, `
		INSERT INTO users (id, email, name, time_zone) VALUES ($1, $2, $3, $4)
		ON CONFLICT (lower(email)) DO UPDATE SET email = users.email RETURNING id`, id.New(), email, *name, zone).Scan(&user); err != nil {
		return user, err
	}
	_, err = tx.Exec(ctx, `INSERT INTO user_identities (issuer, subject, user_id) VALUES ($1, $2, $3)`, c.Issuer, c.Subject, user)
	return user, err
}

func optionalZone(problems *check.Input, zone *string) string {
	if zone == nil {
		return "UTC"
	}
	problems.Zone("timeZone", *zone)
	return *zone
}
