package analytics

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/coaching/conversation"
	"github.com/rapporthq/rapport/internal/coaching/goal"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/cache"
	"github.com/rapporthq/rapport/internal/platform/check"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
)

// Service computes series.
type Service struct {
	db      *pgxpool.Pool
	goals   *goal.Service
	answers *cache.Answers
}

// NewService returns a Service over db. What it has computed is kept in answers; nil keeps nothing.
func NewService(db *pgxpool.Pool, goals *goal.Service, answers *cache.Answers) *Service {
	return &Service{db: db, goals: goals, answers: answers}
}

// Series computes the series that a query asks for, of what the viewer may see. Who may see none of it gets a series without
// values: it is not there.
func (s *Service) Series(ctx context.Context, q Query) (_ *Series, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "analytics.Series(%s)", q.Metric)
	m, ok := metrics[q.Metric]
	if !ok {
		return nil, fmt.Errorf("nobody has said how %s is measured", q.Metric)
	}
	var problems check.Input
	problems.Time("from", q.From)
	problems.Time("to", q.To)
	if q.To.Before(q.From) {
		problems.Fail("to", "must not be before from")
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	out := &Series{Metric: q.Metric, Unit: m.unit, Interval: q.Interval}
	if m.from == measures {
		version := conversation.DefinitionVersion
		out.DefinitionVersion = &version
	}
	zone, state, err := s.zone(ctx, v, m.from.tables)
	if err != nil {
		return nil, err
	}
	out.TimeZone = zone.String()
	edges := q.Interval.edges(q.From, q.To, zone, q.CompareTo == PreviousPeriod)
	buckets := len(edges) - 1
	first := 0 // of the period asked for
	if q.CompareTo == PreviousPeriod {
		buckets /= 2
		first = buckets
	}
	if err := bounded(buckets, 1); err != nil {
		return nil, err
	}
	o := observed{metric: m, viewer: v, edges: edges, zone: zone, state: state}
	if m.from == pursued {
		if o.goals, err = s.goals.Pursued(ctx); err != nil {
			return nil, err
		}
	}
	cells, err := s.cells(ctx, o, q)
	if err != nil {
		return nil, err
	}
	groups := map[id.UUID]*Group{}
	for _, c := range cells {
		if c.Bucket >= first {
			out.LeftOut += c.LeftOut
		}
		if groups[c.Group] == nil {
			groups[c.Group] = &Group{by: q.GroupBy, key: c.Group}
		}
	}
	if q.GroupBy == All && len(groups) == 0 {
		groups[id.UUID{}] = &Group{by: All}
	}
	if err := bounded(buckets, len(groups)); err != nil {
		return nil, err
	}
	var programme []Distribution
	if q.CompareTo == Programme {
		if programme, err = s.programme(ctx, o, q); err != nil {
			return nil, err
		}
	}
	for _, g := range groups {
		for b := range buckets {
			at := first + b
			p := &Point{StartsAt: edges[at], EndsAt: edges[at+1]}
			switch q.CompareTo {
			case PreviousPeriod:
				p.Previous = &Previous{StartsAt: edges[b], EndsAt: edges[b+1]}
			case Programme:
				p.Programme = &programme[b]
			}
			g.Points = append(g.Points, p)
		}
		out.Groups = append(out.Groups, g)
	}
	for _, c := range cells {
		points := groups[c.Group].Points
		if c.Bucket >= first {
			points[c.Bucket-first].Value, points[c.Bucket-first].N = c.Value, c.N
		} else {
			points[c.Bucket].Previous.Value, points[c.Bucket].Previous.N = c.Value, c.N
		}
	}
	slices.SortFunc(out.Groups, func(a, b *Group) int { return slices.Compare(a.key[:], b.key[:]) })
	return out, nil
}

func bounded(buckets, groups int) error {
	if n := buckets * groups; n > MaxPoints {
		return fault.Invalid("interval", "%d intervals of %d series are %d points, at most %d are answered: ask for a shorter time, longer intervals, or fewer by filter",
			buckets, groups, n, MaxPoints)
	}
	return nil
}

// zone is the viewer's, and the state that tables are in, in one statement.
func (s *Service) zone(ctx context.Context, v auth.Viewer, tables []string) (zone *time.Location, state string, err error) {
	var name string
	err = s.db.QueryRow(ctx, `SELECT time_zone, `+cache.StateOf("$2", "$3")+` FROM users WHERE id = $1`, v.User, v.Org, tables).Scan(&name, &state)
	if err != nil {
		return nil, "", err
	}
	zone, err = time.LoadLocation(name)
	return zone, state, err
}

// cell is an interval of a group in which something was observed.
type cell struct {
	Bucket, N, LeftOut int
	Group              id.UUID
	Value              *float64
}

// kept is what compute computes by a statement of what was observed, or has computed before.
func kept[T any](ctx context.Context, s *Service, o observed, sql string, args []any, compute func(context.Context) (T, error)) (T, error) {
	if len(o.from.tables) == 0 {
		return compute(ctx)
	}
	return cache.Through(ctx, s.answers, cache.Question{Org: o.viewer.Org, State: o.state, Of: []any{sql, args}}, compute)
}

// cells measures each interval of each group. What belongs to no engagement is in none of theirs.
func (s *Service) cells(ctx context.Context, o observed, q Query) ([]cell, error) {
	group := map[GroupBy]string{All: "'00000000-0000-0000-0000-000000000000'::uuid", ByPerson: "client_id", ByCoach: "coach_id", ByEngagement: "engagement_id"}[q.GroupBy]
	sql, args := o.query(q.Filter)
	sql = `SELECT bucket, ` + group + `, ` + string(o.of) + `, count(value), count(*) FILTER (WHERE other)
		FROM (` + sql + `) o WHERE ` + group + ` IS NOT NULL GROUP BY 1, 2`
	return kept(ctx, s, o, sql, args, func(ctx context.Context) (cells []cell, err error) {
		rows, err := s.db.Query(ctx, sql, args...)
		if err != nil {
			return nil, err
		}
		var c cell
		_, err = pgx.ForEachRow(rows, []any{&c.Bucket, &c.Group, &c.Value, &c.N, &c.LeftOut}, func() error {
			cells = append(cells, c)
			c.Value = nil
			return nil
		})
		return cells, err
	})
}

// programme is the distribution in each interval of all that the viewer may see, whosever series is asked for: of the
// filter only the coaches count. Of sums it is one of people.
func (s *Service) programme(ctx context.Context, o observed, q Query) ([]Distribution, error) {
	var coaches Filter
	if q.Filter != nil {
		coaches.CoachIds = q.Filter.CoachIds
	}
	sql, args := o.query(&coaches)
	values := `SELECT bucket, client_id, value, CASE WHEN value IS NULL THEN 0 ELSE 1 END AS n FROM (` + sql + `) o`
	if o.of == total {
		values = `SELECT bucket, client_id, sum(value) AS value, count(value) AS n FROM (` + sql + `) o GROUP BY 1, 2`
	}
	sql = `SELECT bucket, count(value), sum(n)::int, count(DISTINCT client_id) FILTER (WHERE value IS NOT NULL),
			percentile_cont('{0.1, 0.25, 0.5, 0.75, 0.9}'::float8[]) WITHIN GROUP (ORDER BY value)
		FROM (` + values + `) x GROUP BY 1`
	return kept(ctx, s, o, sql, args, func(ctx context.Context) ([]Distribution, error) { return s.distributions(ctx, o, sql, args) })
}

// distributions are those of the intervals, by a statement.
func (s *Service) distributions(ctx context.Context, o observed, sql string, args []any) ([]Distribution, error) {
	rows, err := s.db.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	tooFew := TooFew
	if o.from.of == sessions.of {
		tooFew = TooFewSessions
	}
	all := make([]Distribution, len(o.edges)-1)
	for i := range all {
		all[i].Suppressed = &tooFew
	}
	var bucket, n, observations, people int
	var p []*float64
	_, err = pgx.ForEachRow(rows, []any{&bucket, &n, &observations, &people, &p}, func() error {
		switch {
		case observations < minObserved:
		case people < minPeople:
			reason := TooFewPeople
			all[bucket].Suppressed = &reason
		default:
			count := n
			all[bucket] = Distribution{P10: p[0], P25: p[1], Median: p[2], P75: p[3], P90: p[4], N: &count}
		}
		p = nil
		return nil
	})
	return all, err
}

// observed is what a metric observes in the intervals, as far as the viewer may see it.
type observed struct {
	metric
	viewer auth.Viewer
	edges  []time.Time
	zone   *time.Location
	state  string       // of the tables, before anything was read of them
	goals  []*goal.Goal // if the metric is of those pursued
}

// query selects a row for each observation: bucket, client_id, coach_id, engagement_id, value, and whether it was measured by
// another definition, whose values do not compare.
func (o observed) query(f *Filter) (sql string, args []any) {
	args = []any{o.viewer.Org, o.viewer.User, o.edges, o.edges[0], o.edges[len(o.edges)-1]}
	arg := func(value any) string {
		args = append(args, value)
		return "$" + strconv.Itoa(len(args))
	}
	from, value, other := o.from.from, o.value, "false"
	where := []string{o.from.where}
	if o.from == pursued {
		from = o.pursued(arg)
		where = append(where, "$1::uuid IS NOT NULL AND $2::uuid IS NOT NULL")
	} else {
		where = append(where, o.from.scope(o.viewer).Where())
	}
	if o.from == measures {
		version := arg(conversation.DefinitionVersion)
		value = "CASE WHEN m.definition_version = " + version + " THEN " + value + " END"
		other = "m.definition_version <> " + version
		where = append(where, transcript.Counts(o.viewer, "m.session_id", "m.transcript_id"))
	}
	if f != nil && f.ClientIds != nil {
		where = append(where, o.from.of+".client_id = ANY("+arg(f.ClientIds)+")")
	}
	if f != nil && f.CoachIds != nil {
		where = append(where, o.from.of+".coach_id = ANY("+arg(f.CoachIds)+")")
	}
	if f != nil && f.EngagementIds != nil {
		where = append(where, o.from.of+".engagement_id = ANY("+arg(f.EngagementIds)+")")
	}
	at := o.from.at
	if strings.Contains(at, "%[1]s") {
		at = fmt.Sprintf(at, arg(o.zone.String()))
	}
	where = append(where, at+" >= $4", at+" < $5")
	return fmt.Sprintf("SELECT width_bucket(%s, $3::timestamptz[]) - 1 AS bucket, %[2]s.client_id, %[2]s.coach_id, %[2]s.engagement_id, %s AS value, %s AS other FROM %s WHERE %s",
		at, o.from.of, value, other, from, strings.Join(where, " AND ")), args
}

// pursued are the goals that have been loaded, as rows.
func (o observed) pursued(arg func(any) string) string {
	var clients, coaches []id.UUID
	var engagements []*id.UUID
	var progress []string
	for _, g := range o.goals {
		clients, coaches, progress = append(clients, g.ClientID.UUID), append(coaches, g.CoachID.UUID), append(progress, string(*g.Progress()))
		var e *id.UUID
		if g.EngagementID != nil {
			e = &g.EngagementID.UUID
		}
		engagements = append(engagements, e)
	}
	return fmt.Sprintf("unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::text[]) AS pursued (client_id, coach_id, engagement_id, progress)",
		arg(clients), arg(coaches), arg(engagements), arg(progress))
}
