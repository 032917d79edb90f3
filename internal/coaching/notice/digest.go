package notice

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// sweepLimit is how many digests one sweep begins of each kind; the rest is for the next.
const sweepLimit = 500

// moments are, for each pair of zone and hour that somebody wants digests in, when it was that hour there last.
type moments struct {
	zones []string
	hours []int
	at    []time.Time
	days  []time.Time // the local days of them
}

func (m *moments) add(zone string, hour int, at time.Time) {
	y, mo, d := at.In(location(zone)).Date()
	m.zones, m.hours, m.at = append(m.zones, zone), append(m.hours, hour), append(m.at, at)
	m.days = append(m.days, time.Date(y, mo, d, 0, 0, 0, 0, time.UTC))
}

// Due and made are one statement, so that of several processes that sweep at once each digest is one's: the period is unique.
const (
	dailySQL = `
WITH due AS (
	SELECT DISTINCT n.org_id, n.user_id, z.at, z.day
	FROM notifications n
	JOIN memberships m ON m.org_id = n.org_id AND m.user_id = n.user_id AND m.status = 'ACTIVE'
	JOIN users u ON u.id = n.user_id
	LEFT JOIN notification_settings s ON s.org_id = n.org_id AND s.user_id = n.user_id
	JOIN unnest($1::text[], $2::int[], $3::timestamptz[], $4::date[]) AS z (zone, hour, at, day)
		ON z.zone = u.time_zone AND z.hour = coalesce(s.digest_hour, $5)
	WHERE n.email = 'DIGEST' AND n.delivery_id IS NULL AND n.read_at IS NULL AND n.created_at <= z.at
	ORDER BY n.org_id, n.user_id LIMIT $7
), made AS (
	INSERT INTO email_deliveries (id, org_id, user_id, type, period, created_at)
	SELECT gen_random_uuid(), org_id, user_id, 'DAILY_DIGEST', day, $6 FROM due
	ON CONFLICT (org_id, user_id, type, period) DO NOTHING
	RETURNING id, org_id, user_id
), claimed AS (
	UPDATE notifications n SET delivery_id = made.id FROM made JOIN due ON due.org_id = made.org_id AND due.user_id = made.user_id
	WHERE n.org_id = made.org_id AND n.user_id = made.user_id
	  AND n.email = 'DIGEST' AND n.delivery_id IS NULL AND n.read_at IS NULL AND n.created_at <= due.at
)
SELECT id, org_id FROM made`

	weeklySQL = `
INSERT INTO email_deliveries (id, org_id, user_id, type, period, created_at)
SELECT gen_random_uuid(), m.org_id, m.user_id, 'WEEKLY_DIGEST', z.day, $6
FROM memberships m
JOIN users u ON u.id = m.user_id
LEFT JOIN notification_settings s ON s.org_id = m.org_id AND s.user_id = m.user_id
LEFT JOIN notification_preferences p ON p.org_id = m.org_id AND p.user_id = m.user_id AND p.type = 'WEEKLY_DIGEST'
JOIN unnest($1::text[], $2::int[], $3::timestamptz[], $4::date[]) AS z (zone, hour, at, day)
	ON z.zone = u.time_zone AND z.hour = coalesce(s.digest_hour, $5)
WHERE m.status = 'ACTIVE' AND m.created_at < z.at AND coalesce(p.email, 'DIGEST') <> 'OFF'
  AND NOT EXISTS (SELECT FROM email_deliveries d WHERE d.org_id = m.org_id AND d.user_id = m.user_id AND d.type = 'WEEKLY_DIGEST' AND d.period = z.day)
ORDER BY m.org_id, m.user_id LIMIT $7
ON CONFLICT (org_id, user_id, type, period) DO NOTHING
RETURNING id, org_id`
)

// SweepDigests begins the digests whose hour has come, for the system and not for a viewer, and returns how many. Any number
// of processes may sweep at once.
func (s *Service) SweepDigests(ctx context.Context) (begun int, err error) {
	defer fault.Wrap(&err, "notice.SweepDigests")
	rows, err := s.db.Query(ctx, `
		SELECT DISTINCT u.time_zone, coalesce(s.digest_hour, $1)
		FROM memberships m JOIN users u ON u.id = m.user_id
		LEFT JOIN notification_settings s ON s.org_id = m.org_id AND s.user_id = m.user_id
		WHERE m.status = 'ACTIVE' ORDER BY 1, 2`, standardDigestHour)
	if err != nil {
		return 0, err
	}
	var daily, weekly moments
	var zone string
	var hour int
	if _, err := pgx.ForEachRow(rows, []any{&zone, &hour}, func() error {
		daily.add(zone, hour, lastMoment(s.now(), hour, false, location(zone)))
		// One that could not be sent on its day is not sent on another: it speaks of the week that begins.
		if monday := lastMoment(s.now(), hour, true, location(zone)); s.now().Sub(monday) < 24*time.Hour {
			weekly.add(zone, hour, monday)
		}
		return nil
	}); err != nil {
		return 0, err
	}
	for _, digest := range []struct {
		sql string
		moments
	}{{dailySQL, daily}, {weeklySQL, weekly}} {
		if len(digest.zones) == 0 {
			continue
		}
		if err := postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
			rows, err := tx.Query(ctx, digest.sql, digest.zones, digest.hours, digest.at, digest.days, standardDigestHour, s.now(), sweepLimit)
			if err != nil {
				return err
			}
			var work []jobs.Job
			var key, org id.UUID
			if _, err := pgx.ForEachRow(rows, []any{&key, &org}, func() error {
				work = append(work, jobs.Job{Org: org, Kind: JobDeliver, Entity: key})
				return nil
			}); err != nil {
				return err
			}
			begun += len(work)
			return jobs.Enqueue(ctx, tx, work...)
		}); err != nil {
			return begun, err
		}
	}
	return begun, nil
}

// keepFor is how long notifications and the log of mails are kept.
const keepFor = 180 * 24 * time.Hour

// Prune removes what is older than is kept.
func (s *Service) Prune(ctx context.Context) (err error) {
	defer fault.Wrap(&err, "notice.Prune")
	for _, table := range []string{"notifications", "email_deliveries"} {
		if _, err := s.db.Exec(ctx, `
			DELETE FROM `+table+` WHERE id IN (SELECT id FROM `+table+` WHERE created_at < $1 ORDER BY created_at LIMIT 5000)`,
			s.now().Add(-keepFor)); err != nil {
			return err
		}
	}
	return nil
}
