package pgsearch

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/textsearch"
)

// leaf is a Word or a Phrase.
type leaf struct {
	text          string   // as the query has it
	words, elided []string // as they are indexed in most languages, and in those that elide
	letter        string   // of the field, "" for any
	prefix, fuzzy bool

	near []string // words that are spelled nearly so
	idf  float64
}

func (l *leaf) phrase() bool { return len(l.words) > 1 }

type op int

const (
	opAll op = iota
	opAny
	opNot
	opWords
	opFilter
)

// node is an Expr without what is left out of it.
type node struct {
	op     op
	kids   []*node
	least  int
	leaf   *leaf
	filter textsearch.Expr
}

// plan is a query, and what has been looked up for it.
type plan struct {
	prefix    string
	root      *node
	leaves    []*leaf // in the order of the query
	scored    []*leaf // those that count: not under a Not
	languages []string
	stems     known
}

// read makes nodes of e, nil if it is left out.
func (x *Index) read(p *plan, e textsearch.Expr, counts bool) *node {
	switch e := e.(type) {
	case textsearch.Word:
		return x.readWords(p, e.Text, leaf{text: e.Text, letter: x.letter(e.Field), prefix: e.Prefix, fuzzy: e.Fuzzy}, counts)
	case textsearch.Phrase:
		return x.readWords(p, e.Text, leaf{letter: x.letter(e.Field)}, counts)
	case textsearch.Terms, textsearch.Between:
		return &node{op: opFilter, filter: e}
	case textsearch.All:
		n := &node{op: opAll}
		for _, k := range e {
			if kid := x.read(p, k, counts); kid != nil {
				n.kids = append(n.kids, kid)
			}
		}
		if len(e) > 0 && len(n.kids) == 0 {
			return nil
		}
		return n
	case textsearch.Any:
		n := &node{op: opAny, least: max(e.AtLeast, 1)}
		for _, k := range e.Of {
			if kid := x.read(p, k, counts); kid != nil {
				n.kids = append(n.kids, kid)
			} else {
				n.least = max(n.least-1, 1)
			}
		}
		if len(e.Of) > 0 && len(n.kids) == 0 {
			return nil
		}
		return n
	case textsearch.Not:
		kid := x.read(p, e.Of, false)
		if kid == nil {
			return nil
		}
		return &node{op: opNot, kids: []*node{kid}}
	}
	return nil
}

func (x *Index) letter(field string) string {
	if field == "" {
		return ""
	}
	return string(x.weight[field])
}

func (x *Index) readWords(p *plan, text string, l leaf, counts bool) *node {
	l.words = words(text, false)
	if len(l.words) == 0 {
		return nil
	}
	if elided := words(text, true); !slices.Equal(elided, l.words) {
		l.elided = elided
	}
	p.leaves = append(p.leaves, &l)
	if counts {
		p.scored = append(p.scored, &l)
	}
	return &node{op: opWords, leaf: &l}
}

// learn finds out what forms the query's words have in the languages that there are in the organization.
func (x *Index) learn(ctx context.Context, org id.UUID, p *plan) error {
	if len(p.leaves) == 0 {
		return nil
	}
	// The languages there are, each found by a step through the index.
	rows, err := x.db.Query(ctx, `
		WITH RECURSIVE g AS (SELECT `+live+` AS id), l AS (
			(SELECT d.language, g.id FROM g, LATERAL (SELECT language FROM search_documents WHERE org_id = $1 AND generation = g.id ORDER BY language LIMIT 1) d)
			UNION ALL
			SELECT n.language, l.id FROM l, LATERAL (SELECT language FROM search_documents WHERE org_id = $1 AND generation = l.id AND language > l.language ORDER BY language LIMIT 1) n
		) SELECT language FROM l WHERE language <> ''`, org)
	if err != nil {
		return err
	}
	if p.languages, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
		return err
	}
	wanted := map[string]map[string]bool{}
	for _, language := range p.languages {
		wanted[language] = map[string]bool{}
		for _, l := range p.leaves {
			for _, w := range l.in(language) {
				wanted[language][w] = true
			}
		}
	}
	p.stems, err = x.stems.learn(ctx, wanted)
	return err
}

// look finds out how rare the query's words are in the organization, and near spellings of those that are in nothing that the filter lets through. What a cursor
// remembers stays as it was.
func (x *Index) look(ctx context.Context, org id.UUID, p *plan, filter textsearch.Expr, remembered *cursor) error {
	if len(p.leaves) == 0 {
		return nil
	}
	if remembered != nil {
		for i, l := range p.leaves {
			l.idf, l.near = remembered.IDF[i], remembered.Near[i]
		}
		return nil
	}
	counts, err := x.documents(ctx, org, p)
	if err != nil {
		return err
	}
	p.rarity(counts)
	if err := x.missing(ctx, org, p, filter, counts); err != nil {
		return err
	}
	return x.nearly(ctx, org, p)
}

// in are the words as they are indexed in the language.
func (l *leaf) in(language string) []string {
	if l.elided != nil && elides[language] {
		return l.elided
	}
	return l.words
}

// documents counts those of the organization that have the words of the query; all of them under "".
func (x *Index) documents(ctx context.Context, org id.UUID, p *plan) (map[string]int, error) {
	ask := []string{""}
	for _, l := range p.leaves {
		for _, alternative := range p.alternatives(l) {
			ask = append(ask, alternative...)
		}
	}
	slices.Sort(ask)
	rows, err := x.db.Query(ctx, `SELECT word, documents FROM search_words WHERE org_id = $1 AND generation = `+live+` AND word = ANY($2)`, org, slices.Compact(ask))
	if err != nil {
		return nil, err
	}
	counts := map[string]int{}
	var word string
	var n int
	_, err = pgx.ForEachRow(rows, []any{&word, &n}, func() error { counts[word] = n; return nil })
	return counts, err
}

// rarity computes the inverse document frequency of each word: log(1 + all / those that have it), as BM25 does.
func (p *plan) rarity(counts map[string]int) {
	for _, l := range p.scored {
		for at := range l.words {
			most := 0
			for _, alternative := range p.alternatives(l) {
				if at < len(alternative) {
					most = max(most, counts[alternative[at]])
				}
			}
			// Whole thousandths: a cursor brings them back as they were.
			l.idf += math.Round(1000*math.Log(1+float64(counts[""]+1)/float64(most+1))) / 1000
		}
	}
}

// alternatives are the sequences of lexemes by which a leaf is found, the exact ones last.
func (p *plan) alternatives(l *leaf) [][]string {
	var all [][]string
	if !l.prefix {
		for _, language := range p.languages {
			var stemmed []string
			for _, w := range l.in(language) {
				stem, _ := p.stems.of(language, w)
				stemmed = append(stemmed, p.prefix+language+":"+stem)
			}
			all = append(all, stemmed)
		}
	}
	exact := func(words []string) []string {
		lexemes := make([]string, len(words))
		for i, w := range words {
			lexemes[i] = p.prefix + "=" + w
		}
		return lexemes
	}
	if l.elided != nil {
		all = append(all, exact(l.elided))
	}
	return append(all, exact(l.words))
}

// tsquery of a leaf: 'en:run' | '=running'.
func (p *plan) tsquery(l *leaf) string {
	var either []string
	for _, lexemes := range p.alternatives(l) {
		var then []string
		for i, lexeme := range lexemes {
			mark := l.letter
			if l.prefix && i == len(lexemes)-1 {
				mark = "*" + mark
			}
			if mark != "" {
				mark = ":" + mark
			}
			then = append(then, quote(lexeme)+mark)
		}
		either = append(either, strings.Join(then, "<->"))
	}
	either = append(either, p.nearQuery(l)...)
	return "(" + strings.Join(either, "|") + ")"
}

// maxCombined is how large a tsquery may get that spells out which of several words are there.
const maxCombined = 120

// words writes n as a tsquery, if it is of nothing but words.
func (p *plan) words(n *node) (string, bool) {
	switch n.op {
	case opWords:
		return p.tsquery(n.leaf), true
	case opNot:
		q, ok := p.words(n.kids[0])
		return "!" + q, ok
	case opFilter:
		return "", false
	}
	if len(n.kids) == 0 {
		return "", false
	}
	var parts []string
	for _, k := range n.kids {
		q, ok := p.words(k)
		if !ok {
			return "", false
		}
		parts = append(parts, q)
	}
	switch {
	case n.op == opAll || n.least == len(parts):
		return "(" + strings.Join(parts, "&") + ")", true
	case n.least == 1:
		return "(" + strings.Join(parts, "|") + ")", true
	case n.least > len(parts) || combinations(len(parts), n.least)*n.least > maxCombined:
		return "", false
	}
	var either []string
	var pick func(from int, picked []string)
	pick = func(from int, picked []string) {
		if len(picked) == n.least {
			either = append(either, "("+strings.Join(picked, "&")+")")
			return
		}
		for i := from; i <= len(parts)-(n.least-len(picked)); i++ {
			pick(i+1, append(slices.Clip(picked), parts[i]))
		}
	}
	pick(0, nil)
	return "(" + strings.Join(either, "|") + ")", true
}

// combinations is n over k, or more than maxCombined.
func combinations(n, k int) int {
	k = min(k, n-k)
	c := 1
	for i := 1; i <= k && c <= maxCombined; i++ {
		c = c * (n - k + i) / i
	}
	return c
}

// statement is SQL under construction.
type statement struct {
	strings.Builder
	args []any
}

func (s *statement) arg(v any) string {
	s.args = append(s.args, v)
	return "$" + strconv.Itoa(len(s.args))
}

// condition writes n as SQL on search_documents d.
func (x *Index) condition(s *statement, p *plan, n *node) string {
	if q, ok := p.words(n); ok {
		return "d.words @@ " + s.arg(q) + "::tsquery"
	}
	switch n.op {
	case opFilter:
		return x.filter(s, n.filter)
	case opNot:
		return "NOT (" + x.condition(s, p, n.kids[0]) + ")"
	}
	if n.op == opAny && n.least > len(n.kids) {
		return "false"
	}
	// What is of words alone becomes one tsquery, which the index answers in one go.
	kids := n.kids
	if n.op == opAll || n.least == 1 {
		var worded []*node
		kids = nil
		for _, k := range n.kids {
			if _, ok := p.words(k); ok {
				worded = append(worded, k)
			} else {
				kids = append(kids, k)
			}
		}
		if len(worded) > 0 && len(kids) > 0 {
			kids = append([]*node{{op: n.op, least: 1, kids: worded}}, kids...)
		} else if len(worded) > 0 {
			kids = worded
		}
	}
	var parts []string
	for _, k := range kids {
		parts = append(parts, "("+x.condition(s, p, k)+")")
	}
	switch {
	case n.op == opAll && len(parts) == 0:
		return "true"
	case n.op == opAll:
		return strings.Join(parts, " AND ")
	case n.least == 1:
		return strings.Join(parts, " OR ")
	}
	some := x.condition(s, p, &node{op: opAny, least: 1, kids: n.kids})
	return fmt.Sprintf("(%s) AND %s::int >= %d", some, strings.Join(parts, "::int + "), n.least)
}

// filter writes an Expr without words.
func (x *Index) filter(s *statement, e textsearch.Expr) string {
	join := func(parts []textsearch.Expr, with string) string {
		var all []string
		for _, part := range parts {
			all = append(all, "("+x.filter(s, part)+")")
		}
		return strings.Join(all, with)
	}
	switch e := e.(type) {
	case textsearch.Terms:
		values := slices.DeleteFunc(slices.Clone(e.Values), func(v string) bool { return v != clean(v) })
		if len(values) == 0 {
			return "false"
		}
		column := map[string]string{textsearch.FieldID: "d.id", textsearch.FieldKind: "d.kind", textsearch.FieldGroup: "d.group_key"}[e.Field]
		if column != "" {
			return column + " = ANY(" + s.arg(values) + "::text[])"
		}
		field := literal(e.Field)
		if x.many(e.Field) {
			return "coalesce(d.keywords->" + field + " ?| " + s.arg(values) + "::text[], false)"
		}
		// A comparison with constants goes by a hash, however many they are.
		return "coalesce((d.keywords->>" + field + ") = ANY(" + s.arg(values) + "::text[]), false)"
	case textsearch.Between:
		parts := []string{"true"}
		if !e.From.IsZero() {
			parts = append(parts, "d.at >= "+s.arg(e.From))
		}
		if !e.To.IsZero() {
			parts = append(parts, "d.at < "+s.arg(e.To))
		}
		return strings.Join(parts, " AND ")
	case textsearch.All:
		if len(e) == 0 {
			return "true"
		}
		return join(e, " AND ")
	case textsearch.Any:
		if len(e.Of) == 0 || e.AtLeast > len(e.Of) {
			return "false"
		}
		if e.AtLeast <= 1 {
			return join(e.Of, " OR ")
		}
		return join(e.Of, "::int + ") + fmt.Sprintf("::int >= %d", e.AtLeast)
	case textsearch.Not:
		return "NOT (" + x.filter(s, e.Of) + ")"
	}
	return "true"
}

// literal writes a name of the schema as SQL.
func literal(name string) string { return "'" + strings.ReplaceAll(name, "'", "''") + "'" }

func (x *Index) many(field string) bool {
	return slices.ContainsFunc(x.schema.Keywords, func(k textsearch.Keyword) bool { return k.Name == field && k.Many })
}
