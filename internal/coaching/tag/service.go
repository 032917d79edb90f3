package tag

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/check"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// Kind is a kind of thing that can be tagged.
type Kind struct {
	Prefix string // of its ids
	Column string // of taggings
	// Get returns the thing, or NotFound if the viewer cannot see it.
	Get func(ctx context.Context, key id.UUID) (Taggable, error)
	// Secret says that nobody but the viewer may know that the thing is there; nil says it of none.
	Secret func(Taggable) bool
}

// Replaced is told, in the transaction, that tags of the viewer's go and one takes their place: whoever keeps ids of tags elsewhere than on
// things lets them follow.
type Replaced func(ctx context.Context, tx pgx.Tx, v auth.Viewer, gone []ID, by ID) error

// Service tags things.
type Service struct {
	db       *pgxpool.Pool
	kinds    map[string]Kind
	replaced Replaced
}

// NewService returns a Service for the given kinds of things.
func NewService(db *pgxpool.Pool, replaced Replaced, kinds ...Kind) *Service {
	s := &Service{db: db, kinds: map[string]Kind{}, replaced: replaced}
	for _, k := range kinds {
		s.kinds[k.Prefix] = k
	}
	return s
}

var tags = page.Table[Tag]{
	From:    "tags t",
	ID:      "t.id",
	Columns: "t.id, t.owner_id, t.name, t.color, t.created_at",
	Dest:    func(t *Tag) []any { return []any{&t.Grants, &t.ID, &t.OwnerID, &t.Name, &t.Color, &t.CreatedAt} },
	Key:     func(t *Tag) id.UUID { return t.ID.UUID },
}

var byName = page.Order[Tag]{Name: "tag-name", Keys: []page.Key[Tag]{
	{SQL: "lower(t.name)", Type: "text", Of: func(t *Tag) string { return strings.ToLower(t.Name) }},
	{SQL: "t.id", Type: "uuid", Of: func(t *Tag) string { return t.ID.UUID.String() }},
}}

// ByIDs returns those of the tags that the viewer may see.
func (s *Service) ByIDs(ctx context.Context, ids []id.UUID) (map[id.UUID]*Tag, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.ByIDs(ctx, s.db, v, tags, scope(v), ids)
}

// Own pages through the viewer's own tags, by name.
func (s *Service) Own(ctx context.Context, args page.Args) (*page.Connection[Tag], error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	w, err := args.Window()
	if err != nil {
		return nil, err
	}
	var own page.Filter
	own.And("t.owner_id = ?", v.User)
	return page.List(ctx, s.db, v, tags, scope(v), own, byName, w)
}

// maxAll bounds All: whoever has more tags is shown the first by name.
const maxAll = 1000

// All returns the tags that the viewer may see, by name.
func (s *Service) All(ctx context.Context) ([]*Tag, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	found, err := page.All(ctx, s.db, v, tags, scope(v), page.Filter{}, byName)
	return found[:min(len(found), maxAll)], err
}

// OnEntities returns the visible tags of each entity of one kind, by name, in the order of the entities.
func (s *Service) OnEntities(ctx context.Context, prefix string, entities []id.UUID) ([][]*Tag, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	kind, ok := s.kinds[prefix]
	if !ok {
		return nil, fmt.Errorf("tag: nothing is registered for %s", prefix)
	}
	on := tags
	on.From = attached
	return page.AllChildren(ctx, s.db, v, on, scope(v), page.Filter{}, byName, "g."+kind.Column, entities, maxOnOne)
}

// UsageCounts counts what each tag is on, in the order of the tags. The ids are of tags that the viewer has been shown as
// their own.
func (s *Service) UsageCounts(ctx context.Context, keys []id.UUID) ([]int, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := s.db.Query(ctx, `
		SELECT (SELECT count(*) FROM taggings g WHERE g.org_id = $1 AND g.tag_id = k.tag_id)
		FROM unnest($2::uuid[]) WITH ORDINALITY AS k(tag_id, ord) ORDER BY k.ord`, v.Org, keys)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int])
}

var colorPattern = regexp.MustCompile(`^#[0-9a-f]{6}$`)

func checkColor(problems *check.Input, color string) string {
	color = strings.ToLower(color)
	if !colorPattern.MatchString(color) {
		problems.Fail("color", "must be a colour like #1f6feb")
	}
	return color
}

// Add puts a tag on something, making the tag if the viewer has none of that name. Adding twice is adding once.
func (s *Service) Add(ctx context.Context, in AddInput) (_ *Tag, _ Taggable, err error) {
	v, kind, entity, err := s.target(ctx, in.EntityID)
	if err != nil {
		return nil, nil, err
	}
	defer fault.Wrap(&err, "tag.Add(%s)", in.EntityID)

	var problems check.Input
	name := problems.Line("name", in.Name, 60)
	color := "#8b949e"
	if in.Color != nil {
		color = checkColor(&problems, *in.Color)
	}
	if err := problems.Err(); err != nil {
		return nil, nil, err
	}
	var added *Tag
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		var key id.UUID
		if err := tx.QueryRow(ctx, `
			INSERT INTO tags (id, org_id, owner_id, name, color) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (org_id, owner_id, lower(name)) DO UPDATE SET name = tags.name
			RETURNING id`, id.New(), v.Org, v.User, name, color).Scan(&key); err != nil {
			return err
		}
		// Here and not afterwards, when another may have merged it away: what was done is answered as it was done.
		if added, err = page.Get(ctx, tx, v, tags, scope(v), key, "tag"); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `
			INSERT INTO taggings (id, org_id, tag_id, `+kind.Column+`) VALUES ($1, $2, $3, $4)
			ON CONFLICT DO NOTHING`, id.New(), v.Org, key, in.EntityID.UUID)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		var on int
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM taggings g WHERE g.org_id = $1 AND g.`+kind.Column+` = $2`, v.Org, in.EntityID.UUID).Scan(&on); err != nil {
			return err
		}
		if on > maxOnOne {
			return fault.Conflict("at most %d tags are on one thing", maxOnOne)
		}
		return audit.Record(ctx, tx, v, entry("tag.add", v, kind, in.EntityID, entity))
	})
	if err != nil {
		return nil, nil, err
	}
	return added, entity, nil
}

// Remove takes a tag off something. A tag that is not on it is already off.
func (s *Service) Remove(ctx context.Context, in RemoveInput) (_ Taggable, err error) {
	v, kind, entity, err := s.target(ctx, in.EntityID)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "tag.Remove(%s)", in.EntityID)
	var problems check.Input
	name := problems.Line("name", in.Name, 60)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			DELETE FROM taggings g USING tags t
			WHERE t.org_id = $1 AND t.owner_id = $2 AND lower(t.name) = lower($3)
			  AND g.org_id = $1 AND g.tag_id = t.id AND g.`+kind.Column+` = $4`,
			v.Org, v.User, name, in.EntityID.UUID)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		return audit.Record(ctx, tx, v, entry("tag.remove", v, kind, in.EntityID, entity))
	})
	return entity, err
}

// entry is a line of the audit trail about what is tagged. Of what is secret it tells as of a change of the viewer's own.
func entry(action string, v auth.Viewer, kind Kind, on id.Any, thing Taggable) audit.Entry {
	if kind.Secret != nil && kind.Secret(thing) {
		return audit.Entry{Action: action, Kind: "user", ID: v.User, Fields: []string{"tags"}}
	}
	return audit.Entry{Action: action, Kind: on.Prefix, ID: on.UUID, ClientID: thing.AboutClient(), Fields: []string{"tags"}}
}

// target finds what is to be tagged: visible, and the viewer's to coach.
func (s *Service) target(ctx context.Context, entity id.Any) (auth.Viewer, Kind, Taggable, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return v, Kind{}, nil, err
	}
	kind, ok := s.kinds[entity.Prefix]
	if !ok {
		return v, Kind{}, nil, fault.Invalid("entityId", "is no client, session, insight or note")
	}
	thing, err := kind.Get(ctx, entity.UUID)
	if err != nil {
		return v, kind, nil, err
	}
	if !thing.Granted().Any(auth.AsCoach) {
		return v, kind, nil, fault.Forbidden("only the coach can tag this")
	}
	return v, kind, thing, nil
}
