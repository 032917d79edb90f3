package theme

import (
	"context"
	"fmt"
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

// maxMerged is how many themes are merged at a time.
const maxMerged = 50

// RenameInput says what a theme is called; without a Label, by its topic again.
type RenameInput struct {
	ID    ID
	Label *string
}

// MergeInput says which themes are one.
type MergeInput struct {
	IntoID ID
	Ids    []ID
}

// SplitInput names a theme that is to stand by itself.
type SplitInput struct{ ID ID }

// Rename says what a theme is called. What it is called already changes nothing.
func (s *Service) Rename(ctx context.Context, in RenameInput) (_ *Theme, err error) {
	defer fault.Wrap(&err, "theme.Rename(%s)", in.ID)
	return s.change(ctx, in.ID, func(ctx context.Context, tx pgx.Tx, v auth.Viewer, t *Theme) (ID, error) {
		var problems check.Input
		var label *string
		if in.Label != nil {
			line := problems.Line("label", *in.Label, maxTopic)
			label = &line
		}
		if err := problems.Err(); err != nil {
			return t.ID, err
		}
		done, err := tx.Exec(ctx, `UPDATE themes SET label = $3, updated_at = now() WHERE org_id = $1 AND id = $2 AND label IS DISTINCT FROM $3`, v.Org, t.ID, label)
		if err != nil || done.RowsAffected() == 0 {
			return t.ID, err
		}
		return t.ID, audit.Record(ctx, tx, v, entry("theme.rename", t, "label"))
	})
}

// Merge says that themes are one: the others now count for the first. Each keeps what it was, so that Split can undo it. A theme that is part
// of another stands for all that it is part of, whoever has merged it meanwhile; merging what is one changes nothing.
func (s *Service) Merge(ctx context.Context, in MergeInput) (_ *Theme, err error) {
	defer fault.Wrap(&err, "theme.Merge(%s)", in.IntoID)
	return s.change(ctx, in.IntoID, func(ctx context.Context, tx pgx.Tx, v auth.Viewer, into *Theme) (ID, error) {
		var problems check.Input
		if len(in.Ids) == 0 || len(in.Ids) > maxMerged {
			problems.Fail("ids", "must be from 1 to %d, got %d", maxMerged, len(in.Ids))
			return into.ID, problems.Err()
		}
		keys := make([]id.UUID, len(in.Ids))
		for i, key := range in.Ids {
			keys[i] = key.UUID
		}
		others, err := page.ByIDs(ctx, tx, v, themes(v), scope(), keys)
		if err != nil {
			return into.ID, err
		}
		root := into.root()
		var gone []id.UUID
		entries := []audit.Entry{entry("theme.merge", into)}
		entries[0].ID = root.UUID
		for i, key := range in.Ids {
			field := fmt.Sprintf("ids.%d", i)
			switch t := others[key.UUID]; {
			case key == in.IntoID:
				problems.Fail(field, "is the theme that the others are merged into")
			case slices.Contains(in.Ids[:i], key):
				problems.Fail(field, "is named twice")
			case t == nil || t.CoachID != into.CoachID:
				problems.Fail(field, "is no theme of yours")
			case t.ClientID != into.ClientID:
				problems.Fail(field, "is a theme of another client")
			case t.root() != root && !slices.Contains(gone, t.root().UUID):
				gone = append(gone, t.root().UUID)
				e := entry("theme.merge", t, "mergedInto")
				e.ID = t.root().UUID
				entries = append(entries, e)
			}
		}
		if err := problems.Err(); err != nil || gone == nil {
			return root, err
		}
		// What was merged into them before goes with them, so that whoever looks has one step to go.
		if _, err := tx.Exec(ctx, `
			UPDATE themes SET merged_into_id = CASE WHEN id <> $2 THEN $2 END, updated_at = now()
			WHERE org_id = $1 AND (id = $2 OR id = ANY($3) OR merged_into_id = ANY($3))`, v.Org, root, gone); err != nil {
			return root, err
		}
		return root, audit.Record(ctx, tx, v, entries...)
	})
}

// Split has a theme that was merged stand by itself again, with its insights. One that does stays as it is.
func (s *Service) Split(ctx context.Context, in SplitInput) (_ *Theme, err error) {
	defer fault.Wrap(&err, "theme.Split(%s)", in.ID)
	return s.change(ctx, in.ID, func(ctx context.Context, tx pgx.Tx, v auth.Viewer, t *Theme) (ID, error) {
		if t.MergedIntoID == nil {
			return t.ID, nil
		}
		if _, err := tx.Exec(ctx, `
			UPDATE themes SET merged_into_id = CASE WHEN id <> $2 THEN merged_into_id END, updated_at = now() WHERE org_id = $1 AND id IN ($2, $3)`,
			v.Org, t.ID, t.MergedIntoID); err != nil {
			return t.ID, err
		}
		return t.ID, audit.Record(ctx, tx, v, entry("theme.split", t, "mergedInto"))
	})
}

// change has do change a theme, as its coach, while nobody else merges any of the same client, and returns the theme that do names.
func (s *Service) change(ctx context.Context, key ID, do func(context.Context, pgx.Tx, auth.Viewer, *Theme) (ID, error)) (*Theme, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	var changed ID
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		t, err := page.Get(ctx, tx, v, themes(v), scope(), key.UUID, "theme")
		if err != nil {
			return err
		}
		if !t.Any(auth.AsCoach) {
			return fault.Forbidden("only its coach can change a theme")
		}
		if err := hold(ctx, tx, v.Org, t.ClientID, t.CoachID.UUID); err != nil {
			return err
		}
		if t, err = page.Get(ctx, tx, v, themes(v), scope(), key.UUID, "theme"); err != nil { // as it is now
			return err
		}
		changed, err = do(ctx, tx, v, t)
		return err
	})
	if err != nil {
		return nil, err
	}
	return page.Get(ctx, s.db, v, themes(v), scope(), changed.UUID, "theme")
}

// root is the theme that t counts for.
func (t *Theme) root() ID {
	if t.MergedIntoID != nil {
		return *t.MergedIntoID
	}
	return t.ID
}

func entry(action string, t *Theme, fields ...string) audit.Entry {
	return audit.Entry{Action: action, Kind: "theme", ID: t.ID.UUID, ClientID: t.ClientID.UUID, Fields: fields}
}
