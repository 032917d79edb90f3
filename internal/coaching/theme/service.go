package theme

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
)

// Service groups insights by what they are about.
type Service struct{ db *pgxpool.Pool }

// NewService returns a Service over db.
func NewService(db *pgxpool.Pool) *Service { return &Service{db: db} }

var _ insight.Themes = (*Service)(nil)

// Of implements insight.Themes. Topics of one Key are one theme of a coach's conversations with a client.
func (s *Service) Of(ctx context.Context, tx pgx.Tx, ref session.Ref, topic string) (*id.UUID, error) {
	key := Key(topic)
	if key == "" {
		return nil, nil
	}
	var of id.UUID
	// Changed, and not looked up: so it is locked, and is there when an insight refers to it, whoever forgets the last of its others.
	err := tx.QueryRow(ctx, `
		INSERT INTO themes (id, org_id, client_id, coach_id, key, topic) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (org_id, client_id, coach_id, key) DO UPDATE SET key = themes.key RETURNING id`,
		id.New(), ref.Org, ref.ClientID, ref.CoachID, key, shown(topic)).Scan(&of)
	return &of, err
}

// Hold implements insight.Themes.
func (s *Service) Hold(ctx context.Context, tx pgx.Tx, ref session.Ref) error {
	return hold(ctx, tx, ref.Org, ref.ClientID, ref.CoachID.UUID)
}

// hold locks the themes of a coach's conversations with a client, always in the same order: until the transaction ends none is merged,
// and none gets an insight or loses its last.
func hold(ctx context.Context, tx pgx.Tx, organization id.UUID, with client.ID, coach id.UUID) error {
	_, err := tx.Exec(ctx, `SELECT FROM themes WHERE org_id = $1 AND client_id = $2 AND coach_id = $3 ORDER BY id FOR UPDATE`, organization, with, coach)
	return err
}

// ByIDs returns those of the themes that the viewer may see.
func (s *Service) ByIDs(ctx context.Context, ids []id.UUID) (map[id.UUID]*Theme, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.ByIDs(ctx, s.db, v, themes(v), scope(), ids)
}

// OfClient returns the first of a client's themes that the viewer may see: those that came up in the most sessions.
func (s *Service) OfClient(ctx context.Context, key client.ID, first int) ([]*Theme, error) {
	w, err := page.Args{First: &first}.Window()
	if err != nil {
		return nil, err
	}
	pages, err := s.OfClients(ctx, []id.UUID{key.UUID}, nil, nil, w)
	if err != nil {
		return nil, err
	}
	return pages[0].Nodes(), nil
}

// OfClients returns a page of each client's themes, in the order of the clients.
func (s *Service) OfClients(ctx context.Context, clients []id.UUID, f *Filter, o *OrderBy, w page.Window) ([]*page.Connection[Theme], error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.Children(ctx, s.db, v, themes(v), scope(), f.where(), o.order(), w, "t.client_id", clients)
}

// CountOfClients counts what OfClients pages through.
func (s *Service) CountOfClients(ctx context.Context, clients []id.UUID, f *Filter) ([]int, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.CountChildren(ctx, s.db, v, themes(v), scope(), f.where(), "t.client_id", clients)
}

// Merged returns the themes that were merged into each theme, by label, in the order of the themes.
func (s *Service) Merged(ctx context.Context, into []id.UUID) ([][]*Theme, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.AllChildren(ctx, s.db, v, themes(v), scope(), page.Filter{}, byLabel, "t.merged_into_id", into, maxMerged)
}

// OfInsights returns the theme that each insight counts for, by the insight's id: not one that was merged, but what it was merged into. The
// ids are of insights that the viewer has been shown.
func (s *Service) OfInsights(ctx context.Context, insights []id.UUID) (map[id.UUID]*Theme, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	of := themes(v)
	of.From = "insights o JOIN themes own ON own.org_id = $1 AND own.id = o.theme_id JOIN themes t ON t.org_id = $1 AND t.id = coalesce(own.merged_into_id, own.id)" + seen(v)
	rows, err := page.AllChildren(ctx, s.db, v, of, scope(), page.Filter{}, byLabel, "o.id", insights, 1)
	if err != nil {
		return nil, err
	}
	found := make(map[id.UUID]*Theme, len(insights))
	for i, row := range rows {
		for _, t := range row {
			found[insights[i]] = t
		}
	}
	return found, nil
}

// Trends returns the trend of each theme over the sessions of its coach and client of which the viewer sees an insight, in the order of
// the themes. The ids are of themes that the viewer has been shown.
func (s *Service) Trends(ctx context.Context, keys []id.UUID) ([]*Trend, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	_, listed := insight.Shown(v)
	rows, err := s.db.Query(ctx, `
		WITH asked AS MATERIALIZED (
			SELECT k.id, k.ord, t.client_id, t.coach_id FROM unnest($3::uuid[]) WITH ORDINALITY AS k(id, ord) JOIN themes t ON t.org_id = $1 AND t.id = k.id
		), looked AS MATERIALIZED ( -- once for all themes of a client
			SELECT s.client_id, s.coach_id, s.id, s.starts_at, array_agg(g.id) || array_agg(g.merged_into_id) AS themes
			FROM (SELECT DISTINCT client_id, coach_id FROM asked) w
			JOIN sessions s ON s.org_id = $1 AND s.client_id = w.client_id AND s.coach_id = w.coach_id
			JOIN insights i ON i.org_id = $1 AND i.session_id = s.id
			LEFT JOIN themes g ON g.org_id = $1 AND g.id = i.theme_id AND i.status <> 'DISMISSED'
			WHERE `+listed+`
			GROUP BY s.client_id, s.coach_id, s.id, s.starts_at
		)
		SELECT a.ord, array_agg(coalesce(a.id = ANY(array_remove(l.themes, NULL)), false) ORDER BY l.starts_at, l.id)
		FROM asked a JOIN looked l ON l.client_id = a.client_id AND l.coach_id = a.coach_id
		GROUP BY a.ord ORDER BY a.ord`, v.Org, v.User, keys)
	if err != nil {
		return nil, err
	}
	trends := make([]*Trend, len(keys))
	var ord int
	var came []bool
	_, err = pgx.ForEachRow(rows, []any{&ord, &came}, func() error {
		trends[ord-1] = TrendOf(came)
		return nil
	})
	return trends, err
}
