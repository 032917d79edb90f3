package tag

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/check"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

const (
	maxMerged = 50 // tags at a time
	maxOnOne  = 40 // tags on one thing: they are read without pages
)

// Update gives a tag another name or colour. Two names that differ in case alone are one.
func (s *Service) Update(ctx context.Context, in UpdateInput) (updated *Tag, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "tag.Update(%s)", in.ID)
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		t, err := s.lockOwn(ctx, tx, v, in.ID)
		if err != nil {
			return err
		}
		var problems check.Input
		if name := check.NotNull(&problems, "name", in.Name); name != nil {
			t.Name = problems.Line("name", *name, 60)
		}
		if color := check.NotNull(&problems, "color", in.Color); color != nil {
			t.Color = checkColor(&problems, *color)
		}
		if err := problems.Err(); err != nil {
			return err
		}
		// Asked first, and not the index: an error would end the transaction before the other tag is known. The index stands
		// behind it for who makes a tag of that name at this very moment.
		var other ID
		err = tx.QueryRow(ctx, `SELECT id FROM tags WHERE org_id = $1 AND owner_id = $2 AND lower(name) = lower($3) AND id <> $4`,
			v.Org, v.User, t.Name, in.ID).Scan(&other)
		if err == nil {
			return taken("is the name of %s: merge the two, if they are one", other)
		}
		if err != pgx.ErrNoRows {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE tags SET name = $3, color = $4 WHERE org_id = $1 AND id = $2`, v.Org, in.ID, t.Name, t.Color); err != nil {
			if postgres.Violates(err, "tags_name") {
				return taken("is the name of another of your tags").Because(err)
			}
			return err
		}
		// Here and not afterwards, when another may have merged it away, as in Add and Merge.
		if updated, err = page.Get(ctx, tx, v, tags, scope(v), in.ID.UUID, "tag"); err != nil {
			return err
		}
		return audit.Record(ctx, tx, v, audit.Entry{Action: "tag.update", Kind: "tag", ID: in.ID.UUID, Fields: audit.Given(in)})
	})
	return updated, err
}

// Merge puts one tag in the place of others, which go. What had several of them has the one, once, and what was kept by them is kept by
// the one (Replaced).
func (s *Service) Merge(ctx context.Context, in MergeInput) (merged *Tag, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "tag.Merge(%s)", in.IntoID)
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		// All at once and in one order, whichever way others merge the same tags; what they have merged away is not there.
		if _, err := tx.Exec(ctx, `SELECT FROM tags WHERE org_id = $1 AND owner_id = $2 AND (id = $3 OR id = ANY($4)) ORDER BY id FOR UPDATE`,
			v.Org, v.User, in.IntoID, in.Ids); err != nil {
			return err
		}
		into, err := s.lockOwn(ctx, tx, v, in.IntoID)
		if err != nil {
			return err
		}
		var problems check.Input
		if len(in.Ids) == 0 || len(in.Ids) > maxMerged {
			problems.Fail("ids", "must be from 1 to %d, got %d", maxMerged, len(in.Ids))
			return problems.Err()
		}
		keys := make([]id.UUID, len(in.Ids))
		for i, key := range in.Ids {
			keys[i] = key.UUID
		}
		own, err := page.ByIDs(ctx, tx, v, tags, scope(v), keys)
		if err != nil {
			return err
		}
		for i, key := range in.Ids {
			field := fmt.Sprintf("ids.%d", i)
			switch t := own[key.UUID]; {
			case key == in.IntoID:
				problems.Fail(field, "is the tag that the others are merged into")
			case slices.Contains(in.Ids[:i], key):
				problems.Fail(field, "is named twice")
			case t == nil || t.OwnerID != into.OwnerID:
				problems.Fail(field, "is no tag of yours")
			}
		}
		if err := problems.Err(); err != nil {
			return err
		}
		var columns []string
		for _, k := range s.kinds {
			columns = append(columns, k.Column)
		}
		things := strings.Join(slices.Sorted(slices.Values(columns)), ", ")
		// Whatever kind of thing it is on: of each the first, unless the tag is on it already.
		if _, err := tx.Exec(ctx, `
			INSERT INTO taggings (id, org_id, tag_id, `+things+`, created_at)
			SELECT gen_random_uuid(), $1, $2, `+things+`, min(created_at) FROM taggings WHERE org_id = $1 AND tag_id = ANY($3)
			GROUP BY `+things+`
			ON CONFLICT DO NOTHING`, v.Org, in.IntoID, keys); err != nil {
			return err
		}
		if err := s.replaced(ctx, tx, v, in.Ids, in.IntoID); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM tags WHERE org_id = $1 AND id = ANY($2)`, v.Org, keys); err != nil { // and their taggings with them
			return err
		}
		entries := []audit.Entry{{Action: "tag.merge", Kind: "tag", ID: in.IntoID.UUID}}
		for _, key := range keys {
			entries = append(entries, audit.Entry{Action: "tag.delete", Kind: "tag", ID: key})
		}
		if merged, err = page.Get(ctx, tx, v, tags, scope(v), in.IntoID.UUID, "tag"); err != nil {
			return err
		}
		return audit.Record(ctx, tx, v, entries...)
	})
	return merged, err
}

// Delete deletes a tag, and takes it off everything. It returns the tag as it was.
func (s *Service) Delete(ctx context.Context, in DeleteInput) (was *Tag, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "tag.Delete(%s)", in.ID)
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		if was, err = s.lockOwn(ctx, tx, v, in.ID); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM tags WHERE org_id = $1 AND id = $2`, v.Org, in.ID); err != nil {
			return err
		}
		return audit.Record(ctx, tx, v, audit.Entry{Action: "tag.delete", Kind: "tag", ID: in.ID.UUID})
	})
	return was, err
}

// lockOwn locks a tag of the viewer's.
func (s *Service) lockOwn(ctx context.Context, tx pgx.Tx, v auth.Viewer, key ID) (*Tag, error) {
	if _, err := tx.Exec(ctx, `SELECT FROM tags WHERE org_id = $1 AND owner_id = $2 AND id = $3 FOR UPDATE`, v.Org, v.User, key); err != nil {
		return nil, err
	}
	t, err := page.Get(ctx, tx, v, tags, scope(v), key.UUID, "tag")
	if err != nil {
		return nil, err
	}
	if !t.Any(auth.AsCoach) {
		return nil, fault.Forbidden("only its owner can change a tag")
	}
	return t, nil
}

func taken(format string, args ...any) *fault.Error {
	e := fault.Conflict(format, args...).WithCode("NAME_TAKEN")
	e.Field = "name"
	return e
}
