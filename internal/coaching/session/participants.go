package session

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/coaching/consent"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/check"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/page"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// maxParticipants bounds who takes part in a session, which is read without pages.
const maxParticipants = 50

// AddParticipant adds somebody to a session: another client of the coach's, somebody with a login, or a name.
func (s *Service) AddParticipant(ctx context.Context, in AddParticipantInput) (_ *Participant, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "session.AddParticipant(%s)", in.SessionID)
	key := ParticipantID{id.New()}
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		found, err := s.lock(ctx, tx, v, in.SessionID)
		if err != nil {
			return err
		}
		if !found.Any(auth.AsCoach) {
			return fault.Forbidden("only the coach says who takes part")
		}
		var problems check.Input
		if in.Role == AsCoach {
			problems.Fail("role", "is the coach's alone")
		}
		p := Participant{Role: in.Role, UserID: in.UserID, ClientID: in.ClientID}
		if in.Name != nil {
			p.Name = problems.Line("name", *in.Name, 200)
		}
		switch {
		case in.ClientID != nil && in.UserID != nil:
			problems.Fail("userId", "cannot be combined with clientId: a client's login comes with the client")
		case in.ClientID != nil && in.Role != AsClient:
			problems.Fail("role", "must be CLIENT for a client")
		case in.ClientID != nil:
			if err := tx.QueryRow(ctx, `
				SELECT CASE WHEN $4 = '' THEN name ELSE $4 END, user_id FROM clients c
				WHERE c.org_id = $1 AND c.id = $2 AND c.archived_at IS NULL
					AND (c.coach_id = $3 OR EXISTS (SELECT FROM engagements e WHERE e.org_id = $1 AND e.client_id = c.id AND e.coach_id = $3))`,
				v.Org, in.ClientID, v.User, p.Name).Scan(&p.Name, &p.UserID); err == pgx.ErrNoRows {
				problems.Fail("clientId", "must be a client of yours who is not archived")
			} else if err != nil {
				return err
			}
		case in.UserID != nil:
			if err := tx.QueryRow(ctx, `
				SELECT CASE WHEN $3 = '' THEN u.name ELSE $3 END FROM memberships m JOIN users u ON u.id = m.user_id
				WHERE m.org_id = $1 AND m.user_id = $2 AND m.status = 'ACTIVE'`, v.Org, in.UserID, p.Name).Scan(&p.Name); err == pgx.ErrNoRows {
				problems.Fail("userId", "must be an active member of this organization")
			} else if err != nil {
				return err
			}
		case in.Name == nil:
			problems.Fail("name", "must be given for who is no client and has no login")
		}
		if err := problems.Err(); err != nil {
			return err
		}
		if err := s.fits(ctx, tx, v, found, key, &p); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
			INSERT INTO participants (id, org_id, session_id, user_id, client_id, name, role) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			key, v.Org, in.SessionID, p.UserID, p.ClientID, p.Name, p.Role); err != nil {
			return err
		}
		return audit.Record(ctx, tx, v, participantEntry("participant.create", found, key))
	})
	if err != nil {
		return nil, err
	}
	return page.Get(ctx, s.db, v, participants, innerScope(v, "p.org_id"), key.UUID, "participant")
}

// UpdateParticipant changes the name or the role of somebody in a session. The roles of its coach and its client stay.
func (s *Service) UpdateParticipant(ctx context.Context, in UpdateParticipantInput) (_ *Participant, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "session.UpdateParticipant(%s)", in.ID)
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		p, of, err := s.lockParticipant(ctx, tx, v, in.ID)
		if err != nil {
			return err
		}
		var problems check.Input
		if name := check.NotNull(&problems, "name", in.Name); name != nil {
			p.Name = problems.Line("name", *name, 200)
		}
		if role := check.NotNull(&problems, "role", in.Role); role != nil && *role != p.Role {
			switch {
			case p.belongs(of):
				problems.Fail("role", "stays what it is for the session's coach and client")
			case *role == AsCoach:
				problems.Fail("role", "is the coach's alone")
			case p.ClientID != nil:
				problems.Fail("role", "must be CLIENT for a client")
			}
			p.Role = *role
		}
		if err := problems.Err(); err != nil {
			return err
		}
		if err := s.fits(ctx, tx, v, of, in.ID, p); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE participants SET name = $3, role = $4 WHERE org_id = $1 AND id = $2`, v.Org, in.ID, p.Name, p.Role); err != nil {
			return err
		}
		return audit.Record(ctx, tx, v, participantEntry("participant.update", of, in.ID, audit.Given(in)...))
	})
	if err != nil {
		return nil, err
	}
	return page.Get(ctx, s.db, v, participants, innerScope(v, "p.org_id"), in.ID.UUID, "participant")
}

// RemoveParticipant takes somebody out of a session, and returns the session. Its coach and its client stay, and so does, while there is a
// transcript, whoever has taken a consent back: without them the conversation would be seen again. What nobody has analysed because of
// them is made up for.
func (s *Service) RemoveParticipant(ctx context.Context, in RemoveParticipantInput) (_ *Session, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "session.RemoveParticipant(%s)", in.ID)
	var of *Session
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		var p *Participant
		if p, of, err = s.lockParticipant(ctx, tx, v, in.ID); err != nil {
			return err
		}
		if p.belongs(of) {
			return fault.Conflict("a session keeps its coach and its client")
		}
		var counts bool
		if err := tx.QueryRow(ctx, `
			SELECT (EXISTS (SELECT FROM transcripts WHERE org_id = $1 AND session_id = $2)
				OR EXISTS (SELECT FROM live_sessions WHERE org_id = $1 AND session_id = $2 AND (status <> 'ENDED' OR ended_at > now() - interval '2 days'))) AND EXISTS (
				SELECT FROM consents k WHERE k.org_id = $1 AND (k.participant_id = $3 OR k.client_id = $4 AND k.participant_id IS NULL)
					AND k.withdrawn_at IS NOT NULL AND NOT k.scope = ANY($5))`, v.Org, of.ID, p.ID, p.ClientID, p.Consents).Scan(&counts); err != nil {
			return err
		}
		if counts {
			return fault.Conflict("has taken a consent back, which holds for what was written down of the session: whoever was in the conversation stays in it")
		}
		if _, err := tx.Exec(ctx, `DELETE FROM participants WHERE org_id = $1 AND id = $2`, v.Org, in.ID); err != nil {
			return err
		}
		if err := audit.Record(ctx, tx, v, participantEntry("participant.delete", of, in.ID)); err != nil {
			return err
		}
		return jobs.Enqueue(ctx, tx, jobs.Job{Org: v.Org, Kind: consent.JobFollow, Entity: of.ClientID.UUID})
	})
	if err != nil {
		return nil, err
	}
	return s.Get(ctx, of.ID)
}

// belongs says whether somebody is the session's own coach or client.
func (p *Participant) belongs(of *Session) bool {
	return p.Role == AsCoach || p.ClientID != nil && *p.ClientID == of.ClientID
}

// lockParticipant locks a participant whom the viewer may change, with the session.
func (s *Service) lockParticipant(ctx context.Context, tx pgx.Tx, v auth.Viewer, key ParticipantID) (*Participant, *Session, error) {
	p, err := page.Get(ctx, tx, v, participants, innerScope(v, "p.org_id"), key.UUID, "participant")
	if err != nil {
		return nil, nil, err
	}
	of, err := s.lock(ctx, tx, v, p.SessionID)
	if err != nil {
		return nil, nil, err
	}
	if p, err = page.Get(ctx, tx, v, participants, innerScope(v, "p.org_id"), key.UUID, "participant"); err != nil { // as it is now
		return nil, nil, err
	}
	if !of.Any(auth.AsCoach) {
		return nil, nil, fault.Forbidden("only the coach says who takes part")
	}
	return p, of, nil
}

// fits checks that there is room for a participant, and that nobody else in the session is called or is the same.
func (s *Service) fits(ctx context.Context, tx pgx.Tx, v auth.Viewer, of *Session, key ParticipantID, p *Participant) error {
	if p.ClientID != nil { // who need not be the session's
		if err := audit.RequireKept(ctx, tx, v.Org, p.ClientID.UUID); err != nil {
			return err
		}
	}
	all, err := page.AllChildren(ctx, tx, v, participants, innerScope(v, "p.org_id"), page.Filter{}, participantsInOrder, "p.session_id", []id.UUID{of.ID.UUID}, maxParticipants)
	if err != nil {
		return err
	}
	others := 0
	for _, o := range all[0] {
		if o.ID == key {
			continue
		}
		others++
		switch {
		case strings.EqualFold(o.Name, p.Name):
			taken := fault.Conflict("is the name of %s, who takes part already", o.ID).WithCode("NAME_TAKEN")
			taken.Field = "name"
			return taken
		case p.ClientID != nil && o.ClientID != nil && *o.ClientID == *p.ClientID, p.UserID != nil && o.UserID != nil && *o.UserID == *p.UserID:
			return fault.Conflict("the person takes part already: %s", o.ID)
		}
	}
	if others >= maxParticipants {
		return fault.Conflict("at most %d people take part in a session", maxParticipants)
	}
	return nil
}

func participantEntry(action string, of *Session, key ParticipantID, fields ...string) audit.Entry {
	return audit.Entry{Action: action, Kind: "participant", ID: key.UUID, ClientID: of.ClientID.UUID, Fields: fields}
}
