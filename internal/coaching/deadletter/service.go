package deadletter

import (
	"bytes"
	"context"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/page"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// Service is the use cases around work that was given up.
type Service struct {
	db    *pgxpool.Pool
	table page.Table[DeadLetter]
}

// NewService returns a Service over db. Of jobs that no About speaks of nobody learns what they are about.
func NewService(db *pgxpool.Pool, all ...About) *Service { return &Service{db: db, table: table(all)} }

// List pages through what was given up, latest first; for others than owners and admins it is empty.
func (s *Service) List(ctx context.Context, f *Filter, args page.Args) (*page.Connection[DeadLetter], error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	w, err := args.Window()
	if err != nil {
		return nil, err
	}
	return page.List(ctx, s.db, v, s.table, scope(v), f.where(), latestFirst, w)
}

// ByIDs returns those of the dead letters that the viewer may see.
func (s *Service) ByIDs(ctx context.Context, ids []id.UUID) (map[id.UUID]*DeadLetter, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.ByIDs(ctx, s.db, v, s.table, scope(v), ids)
}

// Replay gives jobs all their attempts again, from now on, and returns how many: all, or none with an error.
func (s *Service) Replay(ctx context.Context, in Input) (*int, error) {
	return s.settle(ctx, "deadletter.replay", in, jobs.Replay)
}

// Discard forgets jobs, and returns how many: all, or none with an error. What was FAILED for them stays so.
func (s *Service) Discard(ctx context.Context, in Input) (*int, error) {
	return s.settle(ctx, "deadletter.discard", in, jobs.Discard)
}

func (s *Service) settle(ctx context.Context, action string, in Input, how func(context.Context, pgx.Tx, id.UUID, ...id.UUID) error) (_ *int, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "%s", action)
	if n := len(in.Ids); n < 1 || n > page.MaxSize {
		return nil, fault.Invalid("ids", "must be 1 to %d, got %d", page.MaxSize, n)
	}
	ids := make([]id.UUID, len(in.Ids))
	for i, key := range in.Ids {
		ids[i] = key.UUID
	}
	slices.SortFunc(ids, func(a, b id.UUID) int { return bytes.Compare(a[:], b[:]) })
	ids = slices.Compact(ids)
	found, err := s.ByIDs(ctx, ids)
	if err != nil {
		return nil, err
	}
	if len(found) < len(ids) {
		return nil, fault.NotFound("dead letter")
	}
	entries := make([]audit.Entry, len(ids))
	for i, key := range ids {
		entries[i] = audit.Entry{Action: action, Kind: "deadletter", ID: key}
	}
	if err := postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		if err := audit.Record(ctx, tx, v, entries...); err != nil {
			return err
		}
		return how(ctx, tx, v.Org, ids...)
	}); err != nil {
		return nil, err
	}
	n := len(ids)
	return &n, nil
}
