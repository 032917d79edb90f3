package notice

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// Limits are how many mails leave; 0 is any number.
type Limits struct {
	Person       int // of one organization to one person, within 24 hours
	Organization int // of one organization to all, within an hour of the clock
}

// ofPerson is how many mails a person may have got before the given one is too many. A digest is the way out, so it is never too many; what
// ends at a time, as a reminder does, would be too late in it, and has twice the room. 0 is any number.
func (l Limits) ofPerson(d delivery) int {
	switch {
	case d.user == nil, d.typ == dailyDigest, d.typ == WeeklyDigest:
		return 0
	case d.until != nil:
		return 2 * l.Person
	}
	return l.Person
}

// ofOrganization is the same for all mails of an organization. The last tenth is for those that invite: they are few, and somebody waits.
func (l Limits) ofOrganization(d delivery) int {
	if d.invitation != nil {
		return l.Organization
	}
	return l.Organization - l.Organization/10
}

// admit says whether a mail may be sent now. One that is too many for a person goes into the next digest; one that is too many
// for an organization waits for the next hour, which the job is told by the error. A mail that was admitted is so for all its attempts.
func (s *Service) admit(ctx context.Context, d delivery) (admitted bool, err error) {
	now := s.now()
	hour := now.Truncate(time.Hour)
	var wait time.Duration
	if err := postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		admitted, wait = false, 0
		// One at a time: two that count at once would both be the last that may.
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('mails ' || $1::text, 0))`, d.org); err != nil {
			return err
		}
		var toPerson, ofOrganization int
		if err := tx.QueryRow(ctx, `
			SELECT d.admitted_at IS NOT NULL,
				(SELECT count(*) FROM email_deliveries x WHERE x.org_id = $1 AND x.user_id = d.user_id AND x.admitted_at > $3),
				(SELECT count(*) FROM email_deliveries x WHERE x.org_id = $1 AND x.admitted_at >= $4)
			FROM email_deliveries d WHERE d.org_id = $1 AND d.id = $2`,
			d.org, d.id, now.Add(-24*time.Hour), hour).Scan(&admitted, &toPerson, &ofOrganization); err != nil || admitted {
			return err
		}
		if most := s.Limits.ofPerson(d); most > 0 && toPerson >= most {
			if _, err := tx.Exec(ctx, `UPDATE notifications SET email = 'DIGEST', delivery_id = NULL WHERE org_id = $1 AND delivery_id = $2`, d.org, d.id); err != nil {
				return err
			}
			return finish(ctx, tx, d.org, d.id, Suppressed, reasonDigest, now)
		}
		if most := s.Limits.ofOrganization(d); most > 0 && ofOrganization >= most {
			wait = hour.Add(time.Hour).Sub(now)
			_, err := tx.Exec(ctx, `UPDATE email_deliveries SET reason = $3 WHERE org_id = $1 AND id = $2`, d.org, d.id, reasonLimited)
			return err
		}
		admitted = true
		_, err := tx.Exec(ctx, `UPDATE email_deliveries SET admitted_at = $3, reason = NULL WHERE org_id = $1 AND id = $2`, d.org, d.id, now)
		return err
	}); err != nil {
		return false, err
	}
	if wait > 0 {
		return false, jobs.Snooze(wait)
	}
	return admitted, nil
}
