package audit

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// MaxVerified is how many rows one call verifies at most; it ends with a seal, so that the next can go on from there.
const MaxVerified = 100_000

const mostProblems = 20

// SealInput names a seal that was found whole before, and its hash then.
type SealInput struct {
	Number int
	Hash   string
}

// Seal is the end of a stretch of the chain. Number and hash, kept elsewhere, tell later whether anything before it has
// changed.
type Seal struct {
	Number int64
	Hash   string // hexadecimal
}

func (s Seal) String() string { return fmt.Sprintf("%d:%s", s.Number, s.Hash) }

// ParseSeal reads what String writes.
func ParseSeal(s string) (*Seal, error) {
	number, hash, _ := strings.Cut(s, ":")
	n, err := strconv.Atoi(number)
	if err != nil {
		return nil, errNoSeal
	}
	return (&SealInput{Number: n, Hash: hash}).anchor()
}

var errNoSeal = fault.Invalid("since", "is no seal: give the number and the hash of a seal that was verified before")

func (in *SealInput) anchor() (*Seal, error) {
	if in == nil {
		return nil, nil
	}
	if raw, err := hex.DecodeString(in.Hash); err != nil || len(raw) != len(origin) || in.Number < 1 {
		return nil, errNoSeal
	}
	return &Seal{Number: int64(in.Number), Hash: in.Hash}, nil
}

// ProblemKind is what is wrong with the chain at one place.
type ProblemKind string

// The kinds.
const (
	Tampered  ProblemKind = "TAMPERED"  // the row is not what was sealed
	Missing   ProblemKind = "MISSING"   // there is no row of that number
	Inserted  ProblemKind = "INSERTED"  // the row has a number that no seal gave it, or that another has
	Reordered ProblemKind = "REORDERED" // the row was sealed under another number
	Broken    ProblemKind = "BROKEN"    // the seal is not what follows the seal before it, or not over these rows
)

// Problem is one place where the chain does not hold.
type Problem struct {
	Kind     ProblemKind
	Seal     int64
	Sequence *int64 // nil where the seal as a whole is meant
	Message  string
}

// Verification is what came of verifying a stretch of the chain.
type Verification struct {
	CheckedEvents int
	Problems      []*Problem // at most 20; the first is where the chain is broken first
	Last          *Seal      // the last seal that was looked at; nil if there is none
	Complete      bool       // nothing is sealed after it
	UnsealedCount int        // rows that wait for their seal, a second or two
}

// Whole says that nothing is wrong.
func (v *Verification) Whole() bool { return len(v.Problems) == 0 }

func (v *Verification) add(kind ProblemKind, in int64, seq *int64, format string, args ...any) {
	if len(v.Problems) < mostProblems {
		v.Problems = append(v.Problems, &Problem{Kind: kind, Seal: in, Sequence: seq, Message: fmt.Sprintf(format, args...)})
	}
}

// Verify checks an organization's chain from the beginning, or from after a seal that was found whole before: whether that
// seal is still what it was, each seal follows the one before it, each row is what was sealed, and the chain goes as far as it
// has gone. It stops after the
// seal with which limit rows are reached.
func Verify(ctx context.Context, db postgres.DB, org id.UUID, after *Seal, limit int) (*Verification, error) {
	v := &Verification{Problems: []*Problem{}, Last: after}
	last := seal{hash: origin}
	if after != nil {
		err := db.QueryRow(ctx, `SELECT number, last_seq, hash FROM audit_seals WHERE org_id = $1 AND number = $2`, org, after.Number).
			Scan(&last.number, &last.last, &last.hash)
		switch {
		case err == pgx.ErrNoRows:
			v.add(Missing, after.Number, nil, "the seal that was verified before is gone")
			v.Complete = true
			return v, nil
		case err != nil:
			return nil, err
		case hex.EncodeToString(last.hash) != after.Hash:
			v.add(Broken, after.Number, nil, "the seal is not the one that was verified before: the chain up to it was made anew")
		}
	}
	// Before the seals: what is sealed meanwhile comes after it.
	var head seal
	if err := db.QueryRow(ctx, `SELECT number, seq, hash FROM audit_heads WHERE org_id = $1`, org).Scan(&head.number, &head.last, &head.hash); err != nil && err != pgx.ErrNoRows {
		return nil, err
	}
	for seen := 0; v.CheckedEvents < limit && seen < limit; seen++ {
		s, err := sealAfter(ctx, db, org, last.number)
		if err == pgx.ErrNoRows {
			break
		} else if err != nil {
			return nil, err
		}
		before := len(v.Problems)
		if err := v.check(ctx, db, org, last, s); err != nil {
			return nil, err
		}
		if s.number == head.number && len(v.Problems) == before && (s.last != head.last || !bytes.Equal(s.hash, head.hash)) {
			v.add(Broken, s.number, nil, "the seal is not the one that the chain ended with when it was set")
		}
		last = s
		v.Last = &Seal{Number: s.number, Hash: hex.EncodeToString(s.hash)}
	}
	// What has a number after the last seal has it from nobody.
	_, err := sealAfter(ctx, db, org, last.number)
	if err != nil && err != pgx.ErrNoRows {
		return nil, err
	}
	if v.Complete = err == pgx.ErrNoRows; v.Complete {
		rows, err := db.Query(ctx, `SELECT seq FROM audit_events WHERE org_id = $1 AND seq > $2
			AND NOT EXISTS (SELECT FROM audit_seals s WHERE s.org_id = $1 AND s.last_seq >= seq) ORDER BY seq LIMIT $3`, org, last.last, mostProblems)
		if err != nil {
			return nil, err
		}
		beyond, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil {
			return nil, err
		}
		for _, seq := range beyond {
			v.add(Inserted, last.number, &seq, "number %d stands after the last seal: the row was inserted, or seals are gone", seq)
		}
		switch {
		case head.number > last.number:
			v.add(Missing, last.number+1, nil, "the chain is cut off: seals %d to %d are gone, with which the rows with numbers %d to %d were sealed",
				last.number+1, head.number, last.last+1, head.last)
		case head.number == 0 && last.number > 0:
			v.add(Missing, last.number, nil, "what says where the chain ends is gone")
		}
	}
	err = db.QueryRow(ctx, `SELECT count(*) FROM audit_events WHERE org_id = $1 AND seq IS NULL`, org).Scan(&v.UnsealedCount)
	return v, err
}

func sealAfter(ctx context.Context, db postgres.DB, org id.UUID, number int64) (s seal, err error) {
	return s, db.QueryRow(ctx, `
		SELECT number, first_seq, last_seq, previous, hash, sealed_at FROM audit_seals
		WHERE org_id = $1 AND number > $2 ORDER BY number LIMIT 1`, org, number).
		Scan(&s.number, &s.first, &s.last, &s.previous, &s.hash, &s.at)
}

// check looks at one seal and its rows.
func (v *Verification) check(ctx context.Context, db postgres.DB, org id.UUID, before, s seal) error {
	if s.number != before.number+1 {
		v.add(Missing, before.number+1, nil, "seal %d follows seal %d: those between are gone", s.number, before.number)
	} else if !bytes.Equal(s.previous, before.hash) {
		v.add(Broken, s.number, nil, "the seal does not follow the one before it")
	}
	if s.last-s.first >= sealMost {
		v.add(Broken, s.number, nil, "the seal claims the numbers %d to %d, more than a seal covers", s.first, s.last)
		return nil
	}
	if s.first != before.last+1 {
		v.add(Broken, s.number, nil, "the seal begins with number %d and the one before ends with %d", s.first, before.last)
	}
	rows, err := db.Query(ctx, `SELECT seq, digest, `+rowColumns+` FROM audit_events WHERE org_id = $1 AND seq BETWEEN $2 AND $3 ORDER BY seq, id`,
		org, s.first, s.last)
	if err != nil {
		return err
	}
	next := s.first
	problems := len(v.Problems)
	var digests [][]byte
	var seq int64
	var stored []byte
	var r row
	_, err = pgx.ForEachRow(rows, append([]any{&seq, &stored}, r.dest()...), func() error {
		v.CheckedEvents++
		at := seq
		if seq < next {
			v.add(Inserted, s.number, &at, "there are two rows with number %d", seq)
			return nil
		}
		for ; next < seq; next++ {
			missing := next
			v.add(Missing, s.number, &missing, "the row with number %d is gone", next)
		}
		next++
		is := r.digest(org, seq)
		digests = append(digests, is[:])
		if !bytes.Equal(is[:], stored) {
			if was := r.sealedAs(org, s, stored); was > 0 {
				v.add(Reordered, s.number, &at, "the row with number %d was sealed as number %d", seq, was)
			} else {
				v.add(Tampered, s.number, &at, "the row with number %d is not what was sealed", seq)
			}
		}
		r = row{}
		return nil
	})
	if err != nil {
		return err
	}
	for ; next <= s.last; next++ {
		missing := next
		v.add(Missing, s.number, &missing, "the row with number %d is gone", next)
	}
	// Whoever changes a row may change its digest, too; but not the seal's hash without all that follow.
	if len(v.Problems) == problems && !bytes.Equal(s.chain(org, digests), s.hash) {
		v.add(Broken, s.number, nil, "the rows with numbers %d to %d are not those that were sealed", s.first, s.last)
	}
	return nil
}

// sealedAs is the number within a seal under which a row has the digest; 0 if none.
func (r *row) sealedAs(org id.UUID, s seal, digest []byte) int64 {
	for seq := s.first; seq <= s.last; seq++ {
		if d := r.digest(org, seq); bytes.Equal(d[:], digest) {
			return seq
		}
	}
	return 0
}
