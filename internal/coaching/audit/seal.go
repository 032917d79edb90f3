package audit

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// A seal covers a stretch of an organization's rows, which it numbers. Its hash covers the hash of the seal before it and
// the digest of each of its rows in order, and a digest covers the row's number and all its content. So whoever changes,
// removes, adds or moves a row must make anew every seal from there on, and the last one's hash is not what was
// written down elsewhere.
//
// The head of a chain, in a row of its own, says with which seal and number it ends. So a chain whose end is cut off is not a
// shorter one.
//
// What waits for a number is every row that has none, not every row after the last one: a transaction that commits late
// brings rows that are older than sealed ones, and they are sealed with the next.

// row is what a digest covers.
type row struct {
	id      id.UUID
	at      time.Time
	actor   *id.UUID
	request string
	action  string
	kind    string
	entity  id.UUID
	client  *id.UUID
	fields  []string
}

const rowColumns = "id, at, actor_id, request_id, action, kind, entity_id, client_id, fields"

func (r *row) dest() []any {
	return []any{&r.id, &r.at, &r.actor, &r.request, &r.action, &r.kind, &r.entity, &r.client, &r.fields}
}

// digest is the hash of a row at its place in the chain. Each part is written with its length, so that no two rows are
// written alike.
func (r *row) digest(org id.UUID, seq int64) [32]byte {
	var b []byte
	part := func(p []byte) {
		b = binary.BigEndian.AppendUint32(b, uint32(len(p)))
		b = append(b, p...)
	}
	optional := func(u *id.UUID) {
		if u == nil {
			part(nil)
			return
		}
		part(u[:])
	}
	part([]byte("rapport audit row 1"))
	part(org[:])
	b = binary.BigEndian.AppendUint64(b, uint64(seq))
	part(r.id[:])
	b = binary.BigEndian.AppendUint64(b, uint64(r.at.UnixMicro()))
	optional(r.actor)
	part([]byte(r.request))
	part([]byte(r.action))
	part([]byte(r.kind))
	part(r.entity[:])
	optional(r.client)
	b = binary.BigEndian.AppendUint32(b, uint32(len(r.fields)))
	for _, f := range r.fields {
		part([]byte(f))
	}
	return sha256.Sum256(b)
}

// seal is a row of audit_seals.
type seal struct {
	number      int64
	first, last int64
	previous    []byte
	hash        []byte
	at          time.Time
}

// chain is the hash of a seal over digests in order.
func (s seal) chain(org id.UUID, digests [][]byte) []byte {
	h := sha256.New()
	h.Write([]byte("rapport audit seal 1"))
	h.Write(org[:])
	for _, n := range []int64{s.number, s.first, s.last, s.at.UnixMicro()} {
		_ = binary.Write(h, binary.BigEndian, n) // a hash takes everything
	}
	h.Write(s.previous)
	for _, d := range digests {
		h.Write(d)
	}
	return h.Sum(nil)
}

// origin is what the first seal follows.
var origin = make([]byte, sha256.Size)

// Sealer puts rows into their organizations' chains. Any number of processes may have one.
type Sealer struct {
	db  *pgxpool.Pool
	log *slog.Logger
	// told is when the log last held the end of an organization's chain.
	told map[id.UUID]time.Time
}

// NewSealer returns a Sealer over db. The hash of the last seal of each organization goes to log now and then: kept
// elsewhere, it tells whether the chain was made anew.
func NewSealer(db *pgxpool.Pool, log *slog.Logger) *Sealer {
	return &Sealer{db: db, log: log, told: map[id.UUID]time.Time{}}
}

const (
	sealEvery = time.Second
	sealMost  = 5000 // rows of a seal: a place to begin verifying from
	tellEvery = 10 * time.Minute
)

// Run seals until ctx ends.
func (s *Sealer) Run(ctx context.Context) error {
	every := time.NewTicker(sealEvery)
	defer every.Stop()
	for {
		if _, err := s.Seal(ctx); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "cannot seal the audit trail", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-every.C:
		}
	}
}

// Seal seals what is committed and not sealed, of every organization, and returns how many rows. What another process is
// sealing at the moment is left to it.
func (s *Sealer) Seal(ctx context.Context) (sealed int, err error) {
	// From one organization to the next along the index: there may be many rows of each.
	rows, err := s.db.Query(ctx, `
		WITH RECURSIVE waiting AS (
			(SELECT org_id FROM audit_events WHERE seq IS NULL ORDER BY org_id LIMIT 1)
			UNION ALL
			SELECT (SELECT e.org_id FROM audit_events e WHERE e.seq IS NULL AND e.org_id > w.org_id ORDER BY e.org_id LIMIT 1)
			FROM waiting w WHERE w.org_id IS NOT NULL)
		SELECT org_id FROM waiting WHERE org_id IS NOT NULL ORDER BY org_id`)
	if err != nil {
		return 0, err
	}
	orgs, err := pgx.CollectRows(rows, pgx.RowTo[id.UUID])
	if err != nil {
		return 0, err
	}
	var problems []error
	for _, org := range orgs {
		for {
			n, err := s.sealOne(ctx, org)
			sealed += n
			if err != nil {
				problems = append(problems, fmt.Errorf("seal %s: %w", org, err)) // one organization holds up no other
			}
			if err != nil || n < sealMost {
				break
			}
		}
	}
	return sealed, errors.Join(problems...)
}

func (s *Sealer) sealOne(ctx context.Context, org id.UUID) (n int, err error) {
	var done seal
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		n = 0
		var mine bool
		if err := tx.QueryRow(ctx, `SELECT pg_try_advisory_xact_lock(hashtextextended('audit ' || $1::text, 0))`, org).Scan(&mine); err != nil || !mine {
			return err
		}
		next := seal{number: 1, first: 1, previous: origin}
		var last seal
		// From the head, so that what is cut off the end leaves a gap for good; from a seal after it, if a release that knows no heads set one.
		err := tx.QueryRow(ctx, `
			(SELECT number, last_seq, hash FROM audit_seals WHERE org_id = $1 ORDER BY number DESC LIMIT 1)
			UNION ALL SELECT number, seq, hash FROM audit_heads WHERE org_id = $1 ORDER BY number DESC LIMIT 1`, org).
			Scan(&last.number, &last.last, &last.hash)
		switch {
		case err == nil:
			next.number, next.first, next.previous = last.number+1, last.last+1, last.hash
		case !errors.Is(err, pgx.ErrNoRows):
			return err
		}
		rows, err := tx.Query(ctx, `SELECT `+rowColumns+` FROM audit_events WHERE org_id = $1 AND seq IS NULL ORDER BY at, id LIMIT $2`, org, sealMost)
		if err != nil {
			return err
		}
		found, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (x row, err error) { return x, r.Scan(x.dest()...) })
		if err != nil || len(found) == 0 {
			return err
		}
		next.last = next.first + int64(len(found)) - 1
		next.at = time.Now().UTC().Truncate(time.Microsecond)
		ids, seqs, digests := make([]id.UUID, len(found)), make([]int64, len(found)), make([][]byte, len(found))
		for i := range found {
			ids[i], seqs[i] = found[i].id, next.first+int64(i)
			d := found[i].digest(org, seqs[i])
			digests[i] = d[:]
		}
		if _, err := tx.Exec(ctx, `
			UPDATE audit_events e SET seq = n.seq, digest = n.digest
			FROM unnest($2::uuid[], $3::bigint[], $4::bytea[]) AS n (id, seq, digest) WHERE e.org_id = $1 AND e.id = n.id`,
			org, ids, seqs, digests); err != nil {
			return err
		}
		next.hash = next.chain(org, digests)
		if _, err := tx.Exec(ctx, `
			INSERT INTO audit_seals (org_id, number, first_seq, last_seq, previous, hash, sealed_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			org, next.number, next.first, next.last, next.previous, next.hash, next.at); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
			INSERT INTO audit_heads (org_id, number, seq, hash) VALUES ($1, $2, $3, $4)
			ON CONFLICT (org_id) DO UPDATE SET number = excluded.number, seq = excluded.seq, hash = excluded.hash`,
			org, next.number, next.last, next.hash); err != nil {
			return err
		}
		n, done = len(found), next
		return nil
	})
	if err == nil && n > 0 && time.Since(s.told[org]) > tellEvery {
		s.told[org] = time.Now()
		s.log.InfoContext(ctx, "audit trail sealed", "org", org.String(), "seal", done.number, "events", done.last, "hash", hex.EncodeToString(done.hash))
	}
	return n, err
}
