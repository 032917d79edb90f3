package org

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/check"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// Notify is the channel on which processes hear that what somebody may do has changed, so that streams that were opened
// before end.
const Notify = "memberships"

// administrator returns the viewer if they may give or take these roles: owners all, admins all but OWNER.
func administrator(ctx context.Context, roles []auth.Role) (auth.Viewer, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return v, err
	}
	if !v.Has(auth.RoleOwner, auth.RoleAdmin) {
		return v, fault.Forbidden("only an owner or an admin can do this")
	}
	if slices.Contains(roles, auth.RoleOwner) && !v.Has(auth.RoleOwner) {
		return v, fault.Forbidden("only an owner can make owners, or change one")
	}
	return v, nil
}

func distinctRoles(problems *check.Input, roles []auth.Role) []auth.Role {
	roles = slices.Compact(slices.Sorted(slices.Values(roles)))
	if len(roles) == 0 {
		problems.Fail("roles", "must not be empty: to take all of them, revoke the membership")
	}
	return roles
}

// UpdateMember changes a member's roles. Streams that the member has open end, and come back with the new ones.
func (s *Service) UpdateMember(ctx context.Context, in UpdateMemberInput) (_ *Membership, err error) {
	return s.changeMember(ctx, in.ID, "member.update", in.Roles, func(m *Membership) error {
		if m.Status != MembershipActive {
			return fault.Conflict("the membership is revoked: reinstate it first")
		}
		var problems check.Input
		m.Roles = distinctRoles(&problems, in.Roles)
		return problems.Err()
	})
}

// Revoke ends a membership: the person's tokens open nothing any more, and streams end at once. Doing it twice is doing it
// once.
func (s *Service) Revoke(ctx context.Context, in MemberInput) (*Membership, error) {
	return s.changeMember(ctx, in.ID, "member.revoke", nil, func(m *Membership) error {
		m.Status = MembershipRevoked
		return nil
	})
}

// Reinstate makes a person a member again, with the roles they had.
func (s *Service) Reinstate(ctx context.Context, in MemberInput) (*Membership, error) {
	return s.changeMember(ctx, in.ID, "member.reinstate", nil, func(m *Membership) error {
		m.Status = MembershipActive
		return nil
	})
}

// changeMember changes a membership as it is under a lock. An organization keeps an active owner: whoever takes one away waits
// for whoever takes another.
func (s *Service) changeMember(ctx context.Context, key MembershipID, action string, roles []auth.Role, change func(*Membership) error) (_ *Membership, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := page.Get(ctx, s.db, v, memberships, membershipScope(v), key.UUID, "membership"); err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "org.%s(%s)", action, key)
	if _, err := administrator(ctx, roles); err != nil {
		return nil, err
	}
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		// All owners and the member, in one order.
		rows, err := tx.Query(ctx, `
			SELECT id FROM memberships WHERE org_id = $1 AND (id = $2 OR 'OWNER' = ANY(roles) AND status = 'ACTIVE') ORDER BY id FOR UPDATE`, v.Org, key)
		if err != nil {
			return err
		}
		locked, err := pgx.CollectRows(rows, pgx.RowTo[id.UUID])
		if err != nil {
			return err
		}
		m, err := page.Get(ctx, tx, v, memberships, membershipScope(v), key.UUID, "membership")
		if err != nil {
			return err
		}
		before := *m
		if _, err := administrator(ctx, m.Roles); err != nil {
			return err
		}
		if err := change(m); err != nil {
			return err
		}
		sorted := func(roles []auth.Role) []auth.Role { return slices.Sorted(slices.Values(roles)) }
		if m.Status == before.Status && slices.Equal(sorted(m.Roles), sorted(before.Roles)) {
			return nil
		}
		owned := func(m Membership) bool {
			return m.Status == MembershipActive && slices.Contains(m.Roles, auth.RoleOwner)
		}
		if owned(before) && !owned(*m) && len(locked) < 2 {
			return fault.Conflict("the organization would have no owner: make somebody else one first").WithCode("LAST_OWNER")
		}
		if _, err := tx.Exec(ctx, `UPDATE memberships SET roles = $3, status = $4 WHERE org_id = $1 AND id = $2`, v.Org, key, m.Roles, m.Status); err != nil {
			return err
		}
		fields := []string{"status"}
		if m.Status == before.Status {
			fields = []string{"roles"}
		}
		if slices.Contains(before.Roles, auth.RoleSupervisor) && !slices.Contains(m.Roles, auth.RoleSupervisor) {
			// Who is a supervisor again later begins with nobody.
			tag, err := tx.Exec(ctx, `DELETE FROM supervisions WHERE org_id = $1 AND supervisor_id = $2`, v.Org, m.UserID)
			if err != nil {
				return err
			}
			if tag.RowsAffected() > 0 {
				fields = append(fields, "supervises")
			}
		}
		if err := audit.Record(ctx, tx, v, audit.Entry{Action: action, Kind: "member", ID: key.UUID, Fields: fields}); err != nil {
			return err
		}
		if err := linkMember(ctx, tx, v, m.UserID.UUID, ""); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `SELECT pg_notify($1, '')`, Notify)
		return err
	})
	if err != nil {
		return nil, err
	}
	return page.Get(ctx, s.db, v, memberships, membershipScope(v), key.UUID, "membership")
}

// How many supervise a coach, and whom one supervises, at most: they are read without pages.
const (
	maxSupervisors = 20
	maxSupervised  = 100
)

// Assign assigns a supervisor to a coach, and returns the coach's membership. Doing it twice is doing it once.
func (s *Service) Assign(ctx context.Context, in SupervisionInput) (*Membership, error) {
	return s.supervise(ctx, in, "supervision.assign", func(tx pgx.Tx, v auth.Viewer) (int64, error) {
		for _, who := range []struct {
			user  UserID
			role  auth.Role
			field string
		}{{in.SupervisorID, auth.RoleSupervisor, "supervisorId"}, {in.CoachID, auth.RoleCoach, "coachId"}} {
			if err := RequireActive(ctx, tx, v.Org, who.user, who.role, who.field); err != nil {
				return 0, err
			}
		}
		if in.SupervisorID == in.CoachID {
			return 0, fault.Invalid("supervisorId", "must be somebody else than the coach")
		}
		tag, err := tx.Exec(ctx, `INSERT INTO supervisions (org_id, supervisor_id, coach_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
			v.Org, in.SupervisorID, in.CoachID)
		if err != nil {
			return 0, err
		}
		var supervisors, supervised int
		if err := tx.QueryRow(ctx, `
			SELECT count(*) FILTER (WHERE coach_id = $3), count(*) FILTER (WHERE supervisor_id = $2) FROM supervisions
			WHERE org_id = $1 AND (coach_id = $3 OR supervisor_id = $2)`, v.Org, in.SupervisorID, in.CoachID).Scan(&supervisors, &supervised); err != nil {
			return 0, err
		}
		if supervisors > maxSupervisors || supervised > maxSupervised {
			return 0, fault.Conflict("a coach has at most %d supervisors, and a supervisor at most %d coaches", maxSupervisors, maxSupervised)
		}
		return tag.RowsAffected(), nil
	})
}

// Unassign ends a supervision, and returns the coach's membership. One that does not exist has ended already.
func (s *Service) Unassign(ctx context.Context, in SupervisionInput) (*Membership, error) {
	return s.supervise(ctx, in, "supervision.unassign", func(tx pgx.Tx, v auth.Viewer) (int64, error) {
		tag, err := tx.Exec(ctx, `DELETE FROM supervisions WHERE org_id = $1 AND supervisor_id = $2 AND coach_id = $3`, v.Org, in.SupervisorID, in.CoachID)
		return tag.RowsAffected(), err
	})
}

func (s *Service) supervise(ctx context.Context, in SupervisionInput, action string, change func(pgx.Tx, auth.Viewer) (int64, error)) (_ *Membership, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	coach, err := s.memberOf(ctx, v, in.CoachID)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "org.%s(%s)", action, in.CoachID)
	if _, err := administrator(ctx, nil); err != nil {
		return nil, err
	}
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		n, err := change(tx, v)
		if err != nil || n == 0 {
			return err
		}
		return audit.Record(ctx, tx, v,
			audit.Entry{Action: action, Kind: "member", ID: coach.ID.UUID, Fields: []string{"supervisors"}},
			audit.Entry{Action: action, Kind: "user", ID: in.SupervisorID.UUID, Fields: []string{"supervises"}})
	})
	if err != nil {
		return nil, err
	}
	return coach, nil
}

// memberOf returns a person's membership, if the viewer may see it.
func (s *Service) memberOf(ctx context.Context, v auth.Viewer, user UserID) (*Membership, error) {
	var of page.Filter
	of.And("m.user_id = ?", user)
	found, err := page.All(ctx, s.db, v, memberships, membershipScope(v), of, membershipsBySeniority)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fault.NotFound("membership")
	}
	return found[0], nil
}

// Supervisors returns who supervises each person, in the order of the people. They are those whose memberships the viewer has
// been shown; which of the supervisors the viewer may see is UsersByIDs' to say. Who has the role no longer supervises nobody.
func (s *Service) Supervisors(ctx context.Context, people []id.UUID) ([][]UserID, error) {
	return s.supervisions(ctx, people, "coach_id", "supervisor_id")
}

// Supervisees returns whom each person supervises, as Supervisors does.
func (s *Service) Supervisees(ctx context.Context, people []id.UUID) ([][]UserID, error) {
	return s.supervisions(ctx, people, "supervisor_id", "coach_id")
}

func (s *Service) supervisions(ctx context.Context, people []id.UUID, of, wanted string) ([][]UserID, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := s.db.Query(ctx, `
		SELECT k.ord, sv.`+wanted+` FROM unnest($2::uuid[]) WITH ORDINALITY AS k (person, ord)
		JOIN supervisions sv ON sv.org_id = $1 AND sv.`+of+` = k.person
		JOIN memberships m ON m.org_id = $1 AND m.user_id = sv.supervisor_id AND m.status = 'ACTIVE' AND 'SUPERVISOR' = ANY(m.roles)
		ORDER BY k.ord, sv.created_at, sv.`+wanted, v.Org, people)
	if err != nil {
		return nil, err
	}
	found := make([][]UserID, len(people))
	var ord int
	var user UserID
	_, err = pgx.ForEachRow(rows, []any{&ord, &user}, func() error {
		found[ord-1] = append(found[ord-1], user)
		return nil
	})
	return found, err
}

// UpdateProfile changes the viewer's own name and time zone.
func (s *Service) UpdateProfile(ctx context.Context, in UpdateProfileInput) (_ *User, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "org.UpdateProfile")
	var problems check.Input
	name := check.NotNull(&problems, "name", in.Name)
	if name != nil {
		*name = problems.Line("name", *name, 200)
	}
	zone := check.NotNull(&problems, "timeZone", in.TimeZone)
	if zone != nil {
		optionalZone(&problems, zone)
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE users SET name = coalesce($2, name), time_zone = coalesce($3, time_zone) WHERE id = $1`, v.User, name, zone); err != nil {
			return err
		}
		return audit.Record(ctx, tx, v, audit.Entry{Action: "user.update", Kind: "user", ID: v.User, Fields: audit.Given(in)})
	})
	if err != nil {
		return nil, err
	}
	return page.Get(ctx, s.db, v, users, userScope(v), v.User, "user")
}

// The rest is for the system and not for a viewer.

// Standing returns those of the viewers who are still members, with the roles that they have now.
func (s *Service) Standing(ctx context.Context, viewers []auth.Viewer) ([]auth.Viewer, error) {
	orgs, people := make([]id.UUID, len(viewers)), make([]id.UUID, len(viewers))
	for i, v := range viewers {
		orgs[i], people[i] = v.Org, v.User
	}
	rows, err := s.db.Query(ctx, `
		SELECT DISTINCT m.org_id, m.user_id, m.roles FROM unnest($1::uuid[], $2::uuid[]) AS k (org, person)
		JOIN memberships m ON m.org_id = k.org AND m.user_id = k.person AND m.status = 'ACTIVE' ORDER BY 1, 2`, orgs, people)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (v auth.Viewer, err error) {
		return v, row.Scan(&v.Org, &v.User, &v.Roles)
	})
}
