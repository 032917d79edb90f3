package privacy

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/personal"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/event"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// Erase handles JobErase: it erases a client from every store.
//
// First the client's consents end and the login is noted, in one transaction: from then on nothing new can be taken in. Then what is found by
// the conversations goes, and these themselves, transcript by transcript; then what the domains keep, store by store and in small pieces; then the person's names in
// what the practice has written about others; then the client's own row and the login, if it is nothing but this client; at last what was copied for searching. Each piece counts itself on the request in its own transaction. Whatever stops it, it goes on with what is
// left, for it looks for what is there and keeps no place.
func (s *Service) Erase(ctx context.Context, job jobs.Job) (err error) {
	defer fault.Wrap(&err, "privacy.Erase(%s)", job.Entity)
	r, ok, err := s.running(ctx, job)
	if err != nil || !ok {
		return err
	}
	login, err := s.close(ctx, job.Org, r)
	if err != nil {
		return err
	}
	if err := postgres.InTx(ctx, s.db, func(tx pgx.Tx) error { return audit.Settle(ctx, tx, job.Org, r.ClientID.UUID) }); err != nil {
		return err
	}
	if err := s.copies(ctx, job.Org); err != nil {
		return err
	}
	called, err := s.named(ctx, job.Org, r, login)
	if err != nil {
		return err
	}
	receipt := func(tx pgx.Tx, counts map[string]int) error {
		return add(ctx, tx, "data_requests", job.Org, r.ID.UUID, counts)
	}
	rows, err := s.db.Query(ctx, `SELECT t.id FROM transcripts t WHERE t.org_id = $1 AND `+personal.Heard+` ORDER BY t.id`, job.Org, r.ClientID, login)
	if err != nil {
		return err
	}
	spoken, err := pgx.CollectRows(rows, pgx.RowTo[transcript.ID])
	if err != nil {
		return err
	}
	for _, store := range s.stores {
		if store.Before {
			if err := s.empty(ctx, job.Org, r, login, store, receipt); err != nil {
				return fmt.Errorf("%s: %w", store.Table, err)
			}
		}
	}
	for _, key := range spoken {
		if err := s.remove(ctx, job.Org, key, receipt); err != nil {
			return err
		}
	}
	for _, store := range s.stores {
		if store.Table == client.Personal[0].Table { // by it, and the client's own row after it, the names are found
			if err := s.mask(ctx, job.Org, called, receipt); err != nil {
				return err
			}
			if s.mails != nil {
				if err := s.mails.Forget(called.in); err != nil {
					return err
				}
			}
		}
		if err := s.empty(ctx, job.Org, r, login, store, receipt); err != nil {
			return fmt.Errorf("%s: %w", store.Table, err)
		}
	}
	if login != nil {
		if err := s.login(ctx, job.Org, *login, receipt); err != nil {
			return fmt.Errorf("login: %w", err)
		}
	}
	if err := s.search.Follow(ctx, job.Org); err != nil {
		return err
	}
	return postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		return s.complete(ctx, tx, job.Org, r, "privacy.erase", event.News{Type: "client.erased", Subject: r.ClientID, Data: event.Data{"clientId": r.ClientID}})
	})
}

// close ends the client's consents, so that nothing new is taken in, and notes the login if it is nothing but this client.
func (s *Service) close(ctx context.Context, organization id.UUID, r *Request) (login *id.UUID, err error) {
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		if err := free(ctx, tx, organization, r.ClientID); err != nil {
			return jobs.Permanent(err, "LEGAL_HOLD")
		}
		if _, err := tx.Exec(ctx, `UPDATE consents SET withdrawn_at = now() WHERE org_id = $1 AND client_id = $2 AND withdrawn_at IS NULL`, organization, r.ClientID); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `
			UPDATE data_requests r SET login_id = coalesce(r.login_id, (
				SELECT m.user_id FROM clients c JOIN memberships m ON m.org_id = c.org_id AND m.user_id = c.user_id
				WHERE c.org_id = $1 AND c.id = r.client_id AND m.roles = '{CLIENT}'
				AND NOT EXISTS (SELECT FROM clients o WHERE o.org_id = $1 AND o.user_id = c.user_id AND o.id <> c.id)))
			WHERE r.org_id = $1 AND r.id = $2 RETURNING login_id`, organization, r.ID).Scan(&login)
	})
	return login, err
}

// copies removes the copies that were made, whosever they are: the client may have a part in others' conversations, and be named in anything.
// Those who asked for one can ask again. A copy that is being made finds the erasure (Copy).
func (s *Service) copies(ctx context.Context, organization id.UUID) error {
	// Locked, for one that is about to be completed counts.
	rows, err := s.db.Query(ctx, `
		SELECT id FROM data_requests
		WHERE org_id = $1 AND kind = 'EXPORT' AND (status IN ('RUNNING', 'FAILED') OR completed_at > now() - interval '2 days') ORDER BY id FOR UPDATE`, organization)
	if err != nil {
		return err
	}
	made, err := pgx.CollectRows(rows, pgx.RowTo[id.UUID])
	if err != nil {
		return err
	}
	for _, key := range made {
		if err := s.files.Delete(ctx, copyKey(organization, key)); err != nil {
			return err
		}
	}
	_, err = s.db.Exec(ctx, `UPDATE data_requests SET transcript_ids = NULL WHERE org_id = $1 AND id = ANY($2)`, organization, made)
	return err
}

// batch is how many rows go in one transaction.
const batch = 1000

// empty takes out of one store what it keeps of the client.
func (s *Service) empty(ctx context.Context, organization id.UUID, r *Request, login *id.UUID, store personal.Store, receipt func(pgx.Tx, map[string]int) error) error {
	which := ` x WHERE x.org_id = $1 AND $2::uuid IS NOT NULL AND ($3::uuid IS NULL OR true) AND (` + store.Of + `)`
	change := `DELETE FROM ` + store.Table
	if store.Clear != "" {
		which += ` AND ` + store.Dirty
		change = `UPDATE ` + store.Table
	}
	secret := "false"
	if store.Secret != "" {
		secret = "(" + store.Secret + ")"
	}
	set := ""
	if store.Clear != "" {
		set = ` SET ` + store.Clear
	}
	for {
		var n int
		err := postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
			var told int
			if err := tx.QueryRow(ctx, `WITH gone AS (`+change+` x`+set+` WHERE x.ctid = ANY(ARRAY(SELECT x.ctid FROM `+store.Table+which+
				fmt.Sprintf(` LIMIT %d FOR UPDATE)) RETURNING %s AS secret) SELECT count(*), count(*) FILTER (WHERE NOT secret) FROM gone`, batch, secret),
				organization, r.ClientID, login).Scan(&n, &told); err != nil || told == 0 {
				return err
			}
			return receipt(tx, map[string]int{store.Table: told})
		})
		if err != nil || n == 0 {
			return err
		}
	}
}

// login erases who the client signed in as: the membership ends, and a person who belongs nowhere else is nobody any more. The rows stay,
// because others refer to them.
func (s *Service) login(ctx context.Context, organization, user id.UUID, receipt func(pgx.Tx, map[string]int) error) error {
	return postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		counts := map[string]int{}
		tag, err := tx.Exec(ctx, `UPDATE memberships SET status = 'REVOKED' WHERE org_id = $1 AND user_id = $2 AND status <> 'REVOKED'`, organization, user)
		if err != nil {
			return err
		}
		if n := int(tag.RowsAffected()); n > 0 {
			counts["memberships"] = n
		}
		var elsewhere bool
		err = tx.QueryRow(ctx, `
			SELECT EXISTS (SELECT FROM memberships m WHERE m.user_id = u.id AND m.org_id <> $1) FROM users u WHERE u.id = $2 FOR UPDATE`, organization, user).Scan(&elsewhere)
		if errors.Is(err, pgx.ErrNoRows) || elsewhere {
			return receipt(tx, counts)
		} else if err != nil {
			return err
		}
		if tag, err = tx.Exec(ctx, `DELETE FROM user_identities WHERE user_id = $1`, user); err != nil {
			return err
		}
		if n := int(tag.RowsAffected()); n > 0 {
			counts["user_identities"] = n
		}
		nobody := "erased-" + user.String() + "@erased.invalid"
		if tag, err = tx.Exec(ctx, `UPDATE users SET name = $3, email = $2, time_zone = 'UTC' WHERE id = $1 AND email <> $2`, user, nobody, erasedPerson); err != nil {
			return err
		}
		if n := int(tag.RowsAffected()); n > 0 {
			counts["users"] = n
		}
		return receipt(tx, counts)
	})
}
