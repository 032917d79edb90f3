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
	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/check"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
)

// Service computes series.
type Service struct{ db *pgxpool.Pool }

// NewService returns a Service over db.
func NewService(db *pgxpool.Pool) *Service { return &Service{db: db} }

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
	zone, err := s.zone(ctx, v)
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
	cells, err := s.cells(ctx, v, m, q, edges)
	if err != nil {
		return nil, err
	}
	groups := map[id.UUID]*Group{}
	for _, c := range cells {
		if c.bucket >= first {
			out.LeftOut += c.leftOut
		}
		if groups[c.group] == nil {
			groups[c.group] = &Group{by: q.GroupBy, key: c.group}
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
		if programme, err = s.programme(ctx, v, m, q, edges); err != nil {
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
		points := groups[c.group].Points
		if c.bucket >= first {
			points[c.bucket-first].Value, points[c.bucket-first].N = c.value, c.n
		} else {
			points[c.bucket].Previous.Value, points[c.bucket].Previous.N = c.value, c.n
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

// zone is the viewer's.
func (s *Service) zone(ctx context.Context, v auth.Viewer) (*time.Location, error) {
	var name string
	if err := s.db.QueryRow(ctx, `SELECT time_zone FROM users WHERE id = $1`, v.User).Scan(&name); err != nil {
		return nil, err
	}
	return time.LoadLocation(name)
}

// cell is an interval of a group that has sessions.
type cell struct {
	bucket, n, leftOut int
	group              id.UUID
	value              *float64
}

// cells measures each interval of each group.
func (s *Service) cells(ctx context.Context, v auth.Viewer, m metric, q Query, edges []time.Time) (cells []cell, err error) {
	of := "avg"
	if m.sum {
		of = "sum"
	}
	group := map[GroupBy]string{All: "NULL::uuid", ByPerson: "s.client_id", ByCoach: "s.coach_id", ByEngagement: "s.engagement_id"}[q.GroupBy]
	b := observations(v, m, q.Filter, edges)
	rows, err := s.db.Query(ctx, `SELECT bucket, coalesce(key, '00000000-0000-0000-0000-000000000000'), `+of+`(value), count(value), count(*) FILTER (WHERE other)
		FROM (SELECT `+group+` AS key, `+b.columns+`) o GROUP BY 1, 2`, b.args...)
	if err != nil {
		return nil, err
	}
	var c cell
	_, err = pgx.ForEachRow(rows, []any{&c.bucket, &c.group, &c.value, &c.n, &c.leftOut}, func() error {
		cells = append(cells, c)
		c.value = nil
		return nil
	})
	return cells, err
}

// programme is the distribution in each interval of all that the viewer may see, whosever series is asked for: of the
// filter only the coaches count. Of sums it is one of people.
func (s *Service) programme(ctx context.Context, v auth.Viewer, m metric, q Query, edges []time.Time) ([]Distribution, error) {
	var coaches Filter
	if q.Filter != nil {
		coaches.CoachIds = q.Filter.CoachIds
	}
	b := observations(v, m, &coaches, edges)
	values := `SELECT bucket, client_id, value, CASE WHEN value IS NULL THEN 0 ELSE 1 END AS n FROM (SELECT ` + b.columns + `) o`
	if m.sum {
		values = `SELECT bucket, client_id, sum(value) AS value, count(value) AS n FROM (SELECT ` + b.columns + `) o GROUP BY 1, 2`
	}
	rows, err := s.db.Query(ctx, `SELECT bucket, count(value), sum(n)::int, count(DISTINCT client_id) FILTER (WHERE value IS NOT NULL),
			percentile_cont('{0.1, 0.25, 0.5, 0.75, 0.9}'::float8[]) WITHIN GROUP (ORDER BY value)
		FROM (`+values+`) x GROUP BY 1`, b.args...)
	if err != nil {
		return nil, err
	}
	tooFew := TooFewSessions
	all := make([]Distribution, len(edges)-1)
	for i := range all {
		all[i].Suppressed = &tooFew
	}
	var bucket, n, sessions, people int
	var p []*float64
	_, err = pgx.ForEachRow(rows, []any{&bucket, &n, &sessions, &people, &p}, func() error {
		switch {
		case sessions < minSessions:
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

// built is the rest of a SELECT with its arguments.
type built struct {
	columns string
	args    []any
}

// observations selects one row for each session in the intervals that the viewer may see: bucket, client_id, value, and
// whether it was measured by another definition, whose values do not compare.
func observations(v auth.Viewer, m metric, f *Filter, edges []time.Time) built {
	b := built{args: []any{v.Org, v.User, edges, edges[0], edges[len(edges)-1]}}
	arg := func(value any) string {
		b.args = append(b.args, value)
		return "$" + strconv.Itoa(len(b.args))
	}
	scope, value, other, where := "", m.value, "false", []string{"s.archived_at IS NULL", "s.starts_at >= $4", "s.starts_at < $5"}
	switch m.from {
	case measures:
		version := arg(conversation.DefinitionVersion)
		scope = insight.CoachScope(v, "m.org_id").Where()
		value = "CASE WHEN m.definition_version = " + version + " THEN " + value + " END"
		other = "m.definition_version <> " + version
		where = append(where, transcript.Counts(v, "m.session_id", "m.transcript_id"))
	case sessions:
		scope = session.Scope(v).Where()
	}
	if f != nil && f.ClientIds != nil {
		where = append(where, "s.client_id = ANY("+arg(f.ClientIds)+")")
	}
	if f != nil && f.CoachIds != nil {
		where = append(where, "s.coach_id = ANY("+arg(f.CoachIds)+")")
	}
	if f != nil && f.EngagementIds != nil {
		where = append(where, "s.engagement_id = ANY("+arg(f.EngagementIds)+")")
	}
	b.columns = fmt.Sprintf("width_bucket(s.starts_at, $3::timestamptz[]) - 1 AS bucket, s.client_id, %s AS value, %s AS other FROM %s WHERE %s AND %s",
		value, other, m.from, scope, strings.Join(where, " AND "))
	return b
}
