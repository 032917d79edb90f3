package note

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/check"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// Save makes the next version of a note. If the expected version is not the latest, that is a CONFLICT: nothing is saved, and
// all texts come back. Saving what is there already is saving nothing.
func (s *Service) Save(ctx context.Context, in SaveInput) (_ *Note, _ *Conflict, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer fault.Wrap(&err, "note.Save(%s)", in.ID)
	n, err := s.own(ctx, in.ID)
	if err != nil {
		return nil, nil, err
	}
	var problems check.Input
	problems.Document("body", in.Body, MaxBytes)
	var as auth.Grants
	if in.Visibility != nil && *in.Visibility != Private {
		if as, err = s.standing(ctx, n); err != nil {
			return nil, nil, err
		}
	}
	if err := s.mentionable(ctx, &problems, in.MentionIds); err != nil {
		return nil, nil, err
	}
	return s.next(ctx, v, in, as, &problems, "note.update")
}

// Restore makes the words of an earlier version the next one; who sees the note stays as it is.
func (s *Service) Restore(ctx context.Context, in RestoreInput) (_ *Note, _ *Conflict, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer fault.Wrap(&err, "note.Restore(%s)", in.VersionID)
	old, err := page.Get(ctx, s.db, v, versions, versionScope(v), in.VersionID.UUID, "version")
	if err != nil {
		return nil, nil, err
	}
	if !old.Any(auth.AsSelf) {
		return nil, nil, errNotYours
	}
	return s.next(ctx, v, SaveInput{ID: old.NoteID, ExpectedVersion: in.ExpectedVersion, Body: old.Body}, 0, &check.Input{}, "note.restore")
}

func (s *Service) next(ctx context.Context, v auth.Viewer, in SaveInput, as auth.Grants, problems *check.Input, action string) (*Note, *Conflict, error) {
	var conflict *Conflict
	err := postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		conflict = nil
		var was Note
		if err := tx.QueryRow(ctx, `SELECT id, client_id, visibility, version, body FROM notes
			WHERE org_id = $1 AND id = $2 AND author_id = $3 FOR UPDATE`, v.Org, in.ID, v.User).
			Scan(&was.ID, &was.ClientID, &was.Visibility, &was.Version, &was.Body); err != nil {
			return gone(err)
		}
		to := was.Visibility
		if in.Visibility != nil && *in.Visibility != to {
			to = *in.Visibility
			if width[to] > width[was.Visibility] {
				shareable(problems, as, to)
			}
		}
		if in.ExpectedVersion < 1 || in.ExpectedVersion > was.Version {
			problems.Fail("expectedVersion", "must be from 1 to %d, got %d", was.Version, in.ExpectedVersion)
		}
		if err := problems.Err(); err != nil {
			return err
		}
		if in.ExpectedVersion < was.Version {
			conflict = &Conflict{Yours: in.Body, Theirs: was.Body, Version: was.Version}
			if err := tx.QueryRow(ctx, `SELECT body FROM note_versions WHERE org_id = $1 AND note_id = $2 AND number = $3`,
				v.Org, in.ID, in.ExpectedVersion).Scan(&conflict.Base); err != nil {
				return err
			}
			return fault.Conflict("the note has been saved meanwhile, as version %d: nothing was overwritten", was.Version)
		}
		return save(ctx, tx, v, in, &was, to, action)
	})
	if err != nil {
		return nil, conflict, err
	}
	n, err := s.Get(ctx, in.ID)
	return n, nil, err
}

// standing is what the viewer is now to what a note is about: who has lost the client meanwhile has nothing more to share.
func (s *Service) standing(ctx context.Context, n *Note) (auth.Grants, error) {
	entity := id.Any{Prefix: "client", UUID: n.ClientID.UUID}
	if n.EngagementID != nil {
		entity = id.Any{Prefix: "engagement", UUID: n.EngagementID.UUID}
	}
	about, err := s.about(ctx, entity)
	if fault.KindOf(err) == fault.KindNotFound {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return about.Grants, nil
}

func save(ctx context.Context, tx pgx.Tx, v auth.Viewer, in SaveInput, was *Note, to Visibility, action string) error {
	var fields []string
	if in.MentionIds != nil {
		var before []org.UserID
		if err := tx.QueryRow(ctx, `SELECT ARRAY(SELECT user_id FROM note_mentions WHERE org_id = $1 AND note_id = $2)`, v.Org, in.ID).Scan(&before); err != nil {
			return err
		}
		if !sameSet(before, in.MentionIds) {
			if err := mention(ctx, tx, v, in.ID, in.MentionIds); err != nil {
				return err
			}
			fields = append(fields, "mentionIds")
		}
	}
	if to != was.Visibility {
		fields = append(fields, "visibility")
	}
	if in.Body != was.Body {
		fields = append(fields, "body")
	}
	if fields == nil {
		return nil
	}
	if to != was.Visibility || in.Body != was.Body {
		if _, err := tx.Exec(ctx, `UPDATE notes SET body = $3, visibility = $4, version = version + 1, updated_at = clock_timestamp()
			WHERE org_id = $1 AND id = $2`, v.Org, in.ID, in.Body, to); err != nil {
			return err
		}
		if width[to] < width[was.Visibility] { // what came before goes back with it, for good
			if _, err := tx.Exec(ctx, `UPDATE note_versions SET visibility = $3
				WHERE org_id = $1 AND note_id = $2 AND visibility <> 'PRIVATE' AND visibility <> $3 AND ($3 = 'PRIVATE' OR visibility = 'SHARED_WITH_ORG')`,
				v.Org, in.ID, to); err != nil {
				return err
			}
		}
		if err := keep(ctx, tx, v, in.ID); err != nil {
			return err
		}
	}
	was.Visibility = to
	return record(ctx, tx, v, was, action, fields...)
}

func sameSet(a, b []org.UserID) bool {
	for _, u := range a {
		if !slices.Contains(b, u) {
			return false
		}
	}
	for _, u := range b {
		if !slices.Contains(a, u) {
			return false
		}
	}
	return true
}
