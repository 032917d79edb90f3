package notice

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/mail"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// suppressionOf is the SQL query for why the address in a column gets no mail of the organization $1.
func suppressionOf(column string) string {
	return "SELECT x.reason FROM mail_suppressions x WHERE x.org_id = $1 AND x.lifted_at IS NULL AND x.address = sha256(convert_to(lower(" + column + "), 'UTF8'))"
}

// hashOf is how an address is written down.
func hashOf(address string) []byte {
	sum := sha256.Sum256([]byte(strings.ToLower(address)))
	return sum[:]
}

// Suppress says that an address gets no mail of some organizations any more, because of what happened at that time, and returns those for
// which this is new. What is known already stays, and so does what was lifted since. A word of the address's owner gives way to a
// bounce or a complaint, which the owner cannot take back.
func Suppress(ctx context.Context, db postgres.DB, orgs []id.UUID, address string, why Suppression, at time.Time) ([]id.UUID, error) {
	rows, err := db.Query(ctx, `
		INSERT INTO mail_suppressions AS s (org_id, address, reason, created_at) SELECT o, $2, $3, $4 FROM unnest($1::uuid[]) o ORDER BY o
		ON CONFLICT (org_id, address) DO UPDATE SET reason = excluded.reason, created_at = excluded.created_at, lifted_at = NULL
		WHERE CASE WHEN s.lifted_at IS NULL THEN s.reason = 'UNSUBSCRIBED' ELSE s.lifted_at < $4 END
		RETURNING s.org_id`, orgs, hashOf(address), why, at)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[id.UUID])
}

// lift takes back what a person has said of all mails. A bounce or a complaint stays: it is not theirs to take back here.
func (s *Service) lift(ctx context.Context, db postgres.DB, org, user id.UUID) error {
	_, err := db.Exec(ctx, `
		DELETE FROM mail_suppressions x USING users u
		WHERE u.id = $2 AND x.org_id = $1 AND x.reason = 'UNSUBSCRIBED' AND x.address = sha256(convert_to(lower(u.email), 'UTF8'))`, org, user)
	return err
}

// Hear notes what has become of a mail that was sent, for the system and not for a viewer. Where nothing arrives at an address, or its
// owner complains, it gets no more mails: of any organization, for all of them send as one. Doing it twice is doing it once, in
// any order.
func (s *Service) Hear(ctx context.Context, o mail.Outcome) (err error) {
	defer fault.Wrap(&err, "notice.Hear(%s of %s)", o.What, o.Message)
	state, reason := CameBack, Reason(o.What)
	var why Suppression
	switch o.What {
	case mail.Bounced:
		why = Bounced
	case mail.BouncedOnce:
		reason = reasonBouncedOnce
	case mail.Complained:
		state, why = CalledSpam, Complained
	case mail.Refused:
		state, reason = Failed, reasonRejected
	}
	return postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		var key id.UUID
		if key.UnmarshalText([]byte(o.Message)) == nil {
			// A worker may be about to note that it has sent the mail: what is known by now stays. A bounce for good comes after one for once.
			if _, err := tx.Exec(ctx, `
				UPDATE email_deliveries SET state = $3, reason = $4, finished_at = coalesce(finished_at, $5)
				WHERE org_id = $1 AND id = $2 AND (state IN ('QUEUED', 'SENT') OR state = 'BOUNCED' AND reason = $6 AND $4 <> $6)`,
				o.Org, key, state, reason, s.now(), reasonBouncedOnce); err != nil {
				return err
			}
		}
		if why == "" {
			return nil
		}
		homes, err := homes(ctx, tx, o.Org, o.Address)
		if err != nil {
			return err
		}
		spared, err := Suppress(ctx, tx, homes, o.Address, why, o.At)
		if err != nil {
			return err
		}
		return record(ctx, tx, "notification.suppress", spared, o.Address)
	})
}

// homes are the organizations that may send mails to an address: of its members, of whom they have invited, and the one that has just done so.
func homes(ctx context.Context, db postgres.DB, org id.UUID, address string) ([]id.UUID, error) {
	rows, err := db.Query(ctx, `
		SELECT o.id FROM organizations o
		WHERE o.id = $1
		   OR o.id IN (SELECT m.org_id FROM users u JOIN memberships m ON m.user_id = u.id WHERE lower(u.email) = lower($2))
		   OR o.id IN (SELECT i.org_id FROM invitations i WHERE lower(i.email) = lower($2) AND i.accepted_at IS NULL AND i.revoked_at IS NULL)
		ORDER BY o.id`, org, address)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[id.UUID])
}

// Unsuppress lets an address get mails again that has bounced, or whose owner has complained, for the system and not for a viewer: whoever
// runs the program knows better. It returns the organizations for which that changes something. What the owner wanted stays.
func Unsuppress(ctx context.Context, db *pgxpool.Pool, address string, at time.Time) (orgs []id.UUID, err error) {
	defer fault.Wrap(&err, "notice.Unsuppress")
	err = postgres.InTx(ctx, db, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			UPDATE mail_suppressions SET lifted_at = $2 WHERE address = $1 AND lifted_at IS NULL AND reason <> 'UNSUBSCRIBED' RETURNING org_id`,
			hashOf(address), at)
		if err != nil {
			return err
		}
		if orgs, err = pgx.CollectRows(rows, pgx.RowTo[id.UUID]); err != nil {
			return err
		}
		return record(ctx, tx, "notification.unsuppress", orgs, address)
	})
	return orgs, err
}

// record writes into the trail of each organization what was done about an address: by its member's id, where it is one's.
func record(ctx context.Context, db postgres.DB, action string, orgs []id.UUID, address string) error {
	var user id.UUID
	var member []id.UUID // of which of them
	err := db.QueryRow(ctx, `
		SELECT u.id, ARRAY(SELECT m.org_id FROM memberships m WHERE m.user_id = u.id AND m.org_id = ANY($2)) FROM users u WHERE lower(u.email) = lower($1)`,
		address, orgs).Scan(&user, &member)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	for _, org := range orgs {
		entry := audit.Entry{Action: action, Kind: "org", ID: org, Fields: []string{"emailSuppression"}}
		if slices.Contains(member, org) {
			entry.Kind, entry.ID = "user", user
		}
		if err := audit.RecordSystem(ctx, db, org, entry); err != nil {
			return err
		}
	}
	return nil
}
