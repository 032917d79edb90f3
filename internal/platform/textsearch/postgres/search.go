package pgsearch

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/textsearch"
)

// cursor is a place in what a query finds. It carries what the first page has learned of the query's words, because scores
// depend on it: so a document keeps its place while others come and go.
type cursor struct {
	Of    string     `json:"q"` // a hash of query and order
	Score int64      `json:"s,omitempty"`
	At    time.Time  `json:"t,omitzero"`
	ID    string     `json:"i"`
	IDF   []float64  `json:"w,omitempty"`
	Near  [][]string `json:"n,omitempty"`
}

const maxCursor = 64 << 10

// maxIDF is more than a phrase of a whole query's words can have.
const maxIDF = 1e6

func (c cursor) String() string {
	raw, _ := json.Marshal(c) // always marshals
	return base64.RawURLEncoding.EncodeToString(raw)
}

func readCursor(text, of string, leaves int) (*cursor, error) {
	var c cursor
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(text) > maxCursor || json.Unmarshal(raw, &c) != nil || c.Of != of || len(c.IDF) != leaves || len(c.Near) != leaves || c.ID != clean(c.ID) {
		return nil, textsearch.ErrCursor
	}
	if slices.ContainsFunc(c.IDF, func(w float64) bool { return w < 0 || w > maxIDF }) {
		return nil, textsearch.ErrCursor
	}
	for _, near := range c.Near {
		if len(near) > maxNear || slices.ContainsFunc(near, func(w string) bool { return w != clean(w) || len(w) > maxWord }) {
			return nil, textsearch.ErrCursor
		}
	}
	return &c, nil
}

// fingerprint names a query and its order.
func fingerprint(q textsearch.Expr, order textsearch.Order) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %#v", order, q))
	return hex.EncodeToString(sum[:8])
}

// Search implements textsearch.Index.
func (x *Index) Search(ctx context.Context, org id.UUID, r textsearch.Request) (_ textsearch.Result, err error) {
	defer fault.Wrap(&err, "pgsearch.Search(%s)", org)
	if err := x.schema.CheckRequest(r); err != nil {
		return textsearch.Result{}, err
	}
	r.Order = cmp.Or(r.Order, textsearch.ByScore)
	p := &plan{prefix: prefixOf(org)}
	p.root = x.read(p, textsearch.OnlyNearly(r.Query, textsearch.Nearly(r.Query)), true)
	of := fingerprint(r.Query, r.Order)
	var after *cursor
	if r.After != "" {
		if after, err = readCursor(r.After, of, len(p.leaves)); err != nil {
			return textsearch.Result{}, err
		}
	}
	if err := x.learn(ctx, org, p); err != nil {
		return textsearch.Result{}, unavailable(ctx, err)
	}
	if err := x.look(ctx, org, p, r.Filter, after); err != nil {
		return textsearch.Result{}, unavailable(ctx, err)
	}
	found, err := x.find(ctx, org, r, p, after)
	if err != nil {
		return textsearch.Result{}, unavailable(ctx, err)
	}
	if r.GroupBy == "" && !r.Once {
		place := cursor{Of: of}
		for _, l := range p.leaves {
			place.IDF, place.Near = append(place.IDF, l.idf), append(place.Near, l.near)
		}
		for _, h := range found.hits {
			place.ID, place.Score, place.At = h.ID, h.score, time.Time{}
			if r.Order != textsearch.ByScore {
				place.Score, place.At = 0, h.at
			}
			h.Cursor = place.String()
		}
	}
	result := textsearch.Result{Total: found.total, Facets: found.facets, Query: textsearch.OnlyNearly(r.Query, p.spelled())}
	if result.More = len(found.hits) > r.Size; result.More {
		found.hits = found.hits[:r.Size]
	}
	for _, h := range found.hits {
		for _, a := range h.also {
			h.Also = append(h.Also, a.Hit)
		}
		result.Hits = append(result.Hits, h.Hit)
	}
	return result, nil
}

// spelled are the words that near spellings were found of, as the query has them.
func (p *plan) spelled() (words []string) {
	for _, l := range p.leaves {
		if l.near != nil {
			words = append(words, l.text)
		}
	}
	return words
}

type hit struct {
	textsearch.Hit
	score int64 // in millionths
	at    time.Time
	also  []*hit
}

type found struct {
	hits   []*hit
	total  int
	facets map[string][]textsearch.Bucket
}

// score writes how well d meets the query, in millionths: the sum over the words that count of how often they are in d, with
// diminishing returns, times how rare they are; less in a long text. A word that is only spelled nearly so counts half.
func (x *Index) score(s *statement, p *plan) string {
	if len(p.scored) == 0 {
		return "0::bigint"
	}
	heaviest := 0.0
	for _, t := range x.schema.Texts {
		heaviest = max(heaviest, t.Weight)
	}
	weights := []string{"0", "0", "0", "0"} // D, C, B, A
	for i, t := range x.schema.Texts {
		weights[3-i] = fmt.Sprint(t.Weight / heaviest)
	}
	rank := func(q string, of int) string {
		// ts_rank divides by the number of lexemes, which depends on how many languages there are.
		return fmt.Sprintf("%d * ts_rank('{%s}', d.words, %s::tsquery)", of, strings.Join(weights, ","), s.arg(q))
	}
	var sum []string
	for _, l := range p.scored {
		plain := *l
		plain.near = nil
		q := p.tsquery(&plain)
		term := ""
		switch {
		case l.phrase():
			term = "CASE WHEN d.words @@ " + s.arg(q) + "::tsquery THEN 1 ELSE 0 END"
		case l.near != nil:
			term = "greatest(" + rank(q, len(p.alternatives(l))) + ", 0.5 * " + rank(strings.Join(p.nearQuery(l), "|"), 1) + ")"
		default:
			term = rank(q, len(p.alternatives(l)))
		}
		sum = append(sum, fmt.Sprintf("%.3f * %s", l.idf, term))
	}
	return "(1e6 * (" + strings.Join(sum, " + ") + ") / (1 + ln(1 + d.length) / 8))::bigint"
}

// find runs the search: one pass over what matches, of which page, count and facets are made.
func (x *Index) find(ctx context.Context, org id.UUID, r textsearch.Request, p *plan, after *cursor) (_ *found, err error) {
	s := &statement{}
	organization := s.arg(org.String()) + "::text::uuid"
	score := "0::bigint"
	if r.Order == textsearch.ByScore && r.Size > 0 {
		score = x.score(s, p)
	}
	fmt.Fprintf(s, "WITH m AS MATERIALIZED (SELECT d.id, d.kind, d.group_key, d.at, d.keywords, %s AS score", score)
	// With facets what is narrowed away is looked at, too, and marked.
	fields := make([]string, 0, len(r.Narrow))
	for field := range r.Narrow {
		fields = append(fields, field)
	}
	slices.Sort(fields)
	narrowed := "true"
	for i, field := range fields {
		fmt.Fprintf(s, ", (%s) AS n%d", x.filter(s, r.Narrow[field]), i)
		narrowed += fmt.Sprintf(" AND n%d", i)
	}
	fmt.Fprintf(s, " FROM search_documents d WHERE d.org_id = %s AND d.generation = %s", organization, live)
	if p.root != nil {
		fmt.Fprintf(s, " AND (%s)", x.condition(s, p, p.root))
	}
	if r.Filter != nil {
		fmt.Fprintf(s, " AND (%s)", x.filter(s, r.Filter))
	}
	if r.GroupBy != "" {
		fmt.Fprintf(s, " AND %s IS NOT NULL", x.column(r.GroupBy))
	}
	if len(r.Facets) == 0 {
		for _, field := range fields {
			fmt.Fprintf(s, " AND (%s)", x.filter(s, r.Narrow[field]))
		}
	}
	s.WriteString(") ")

	// Each part gives rows of the same columns; ord keeps the order within a part.
	var parts []string
	const hitColumns = "id, kind, group_key, score, at"
	order := map[textsearch.Order]string{textsearch.ByScore: "score DESC, id", textsearch.Newest: "at DESC, id", textsearch.Oldest: "at, id"}[r.Order]
	switch {
	case r.Size == 0:
	case r.GroupBy != "":
		key := x.column(r.GroupBy)
		parts = append(parts, fmt.Sprintf(`SELECT 'hit', best, %s, key, place FROM (
			SELECT *, dense_rank() OVER (ORDER BY top DESC, topid) AS best FROM (
				SELECT m.*, %s AS key, row_number() OVER w AS place, first_value(score) OVER w AS top, first_value(id) OVER w AS topid
				FROM m WHERE %s WINDOW w AS (PARTITION BY %s ORDER BY score DESC, id)) k WHERE place <= %d) g WHERE best <= %d`,
			hitColumns, key, narrowed, key, r.PerGroup+1, r.Size+1))
	default:
		beyond := ""
		if after != nil {
			last := s.arg(after.ID) + "::text COLLATE \"C\""
			switch r.Order {
			case textsearch.ByScore:
				sc := s.arg(after.Score)
				beyond = fmt.Sprintf(" AND (score < %s OR score = %s AND id > %s)", sc, sc, last)
			case textsearch.Newest:
				at := s.arg(after.At)
				beyond = fmt.Sprintf(" AND (at < %s OR at = %s AND id > %s)", at, at, last)
			default:
				at := s.arg(after.At)
				beyond = fmt.Sprintf(" AND (at > %s OR at = %s AND id > %s)", at, at, last)
			}
		}
		parts = append(parts, fmt.Sprintf(`SELECT 'hit', row_number() OVER (ORDER BY %s), %s, '', 1 FROM (
			SELECT * FROM m WHERE %s%s ORDER BY %s LIMIT %d) h`, order, hitColumns, narrowed, beyond, order, r.Size+1))
	}
	const none = "NULL, NULL, NULL, NULL::bigint, NULL::timestamptz"
	if r.Total {
		parts = append(parts, fmt.Sprintf(`SELECT 'total', count(*), %s, '', 0 FROM m WHERE %s`, none, narrowed))
	}
	for _, f := range r.Facets {
		others := "true"
		for i, field := range fields {
			if field != f.Field {
				others += fmt.Sprintf(" AND n%d", i)
			}
		}
		from, value, by := "m", x.column(f.Field), "n DESC, v"
		switch {
		case f.Field == textsearch.FieldTime:
			value, by = fmt.Sprintf("to_char(date_trunc('%s', at AT TIME ZONE 'UTC'), 'YYYY-MM-DD')", strings.ToLower(string(f.Every))), "v DESC"
		case x.many(f.Field):
			from, value = "m, jsonb_array_elements_text(m.keywords->"+literal(f.Field)+") k(v)", "k.v"
		}
		if f.Only != nil {
			only := slices.DeleteFunc(slices.Clone(f.Only), func(v string) bool { return v != clean(v) })
			others += " AND " + value + " = ANY(" + s.arg(append([]string{}, only...)) + "::text[])"
		}
		parts = append(parts, fmt.Sprintf(`SELECT %s, n, %s, v, row_number() OVER (ORDER BY %s) FROM (
			SELECT %s COLLATE "C" AS v, count(*) AS n FROM %s WHERE %s AND %s IS NOT NULL GROUP BY 1 ORDER BY %s LIMIT %d) f`,
			literal("facet:"+f.Field), none, by, value, from, others, value, by, f.Size))
	}
	out := &found{facets: map[string][]textsearch.Bucket{}}
	for _, f := range r.Facets {
		out.facets[f.Field] = []textsearch.Bucket{}
	}
	if len(parts) == 0 {
		return out, nil
	}
	s.WriteString("SELECT * FROM (" + strings.Join(parts, " UNION ALL ") + ") a(part, n, id, kind, group_key, score, at, key, ord) ORDER BY part, CASE WHEN part = 'hit' THEN n ELSE 0 END, ord")

	// Planned with its values: lists are compared by a hash only if they are known, and each query is another.
	rows, err := x.db.Query(ctx, s.String(), append([]any{pgx.QueryExecModeExec}, s.args...)...)
	if err != nil {
		return nil, err
	}
	var part, key string
	var n, ord int
	var hitID, kind, group *string
	var points *int64
	var at *time.Time
	_, err = pgx.ForEachRow(rows, []any{&part, &n, &hitID, &kind, &group, &points, &at, &key, &ord}, func() error {
		switch field, facet := strings.CutPrefix(part, "facet:"); {
		case facet:
			out.facets[field] = append(out.facets[field], textsearch.Bucket{Value: key, Count: n})
		case part == "total":
			out.total = n
		default:
			h := &hit{Hit: textsearch.Hit{ID: *hitID, Kind: *kind, Group: *group, Score: float64(*points) / 1e6, Key: key}, score: *points, at: *at}
			if ord > 1 {
				h.Key = ""
				best := out.hits[len(out.hits)-1]
				best.also = append(best.also, h)
			} else {
				out.hits = append(out.hits, h)
			}
		}
		return nil
	})
	if h, ok := out.facets[textsearch.FieldTime]; ok {
		slices.Reverse(h)
	}
	return out, err
}

// column is the value of a field of a row of m.
func (x *Index) column(field string) string {
	switch field {
	case textsearch.FieldKind:
		return "kind"
	case textsearch.FieldGroup:
		return "group_key"
	}
	return "(keywords->>" + literal(field) + ")"
}

// Suggest implements textsearch.Index.
func (x *Index) Suggest(ctx context.Context, org id.UUID, r textsearch.SuggestRequest) (_ []textsearch.Suggestion, err error) {
	defer fault.Wrap(&err, "pgsearch.Suggest(%s)", org)
	if err := x.schema.CheckSuggest(r); err != nil {
		return nil, err
	}
	prefix := strings.Join(textsearch.Words(r.Prefix), " ")
	if prefix == "" {
		return nil, nil
	}
	s := &statement{}
	organization := s.arg(org.String()) + "::text::uuid"
	low, high := s.arg(prefix), s.arg(prefix+"\U0010ffff")
	where := "true"
	if r.Filter != nil {
		where = x.filter(s, r.Filter)
	}
	fmt.Fprintf(s, `
		SELECT min(c.text), min(d.kind) FROM search_completions c
		JOIN search_documents d ON d.org_id = %[1]s AND d.generation = c.generation AND d.id = c.document_id
		WHERE c.org_id = %[1]s AND c.generation = %[2]s AND c.rest >= %[3]s::text COLLATE "C" AND c.rest < %[4]s::text COLLATE "C" AND (%[5]s)
		GROUP BY lower(c.text) ORDER BY count(DISTINCT d.id) DESC, lower(c.text) LIMIT %[6]d`, organization, live, low, high, where, r.Size)
	rows, err := x.db.Query(ctx, s.String(), append([]any{pgx.QueryExecModeExec}, s.args...)...)
	if err != nil {
		return nil, unavailable(ctx, err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowToStructByPos[textsearch.Suggestion])
	return got, unavailable(ctx, err)
}
