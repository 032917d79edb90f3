package pgsearch

import (
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/textsearch"
)

// fragment is about how many bytes a highlight has.
const fragment = 240

// Highlight implements textsearch.Index.
func (x *Index) Highlight(ctx context.Context, org id.UUID, query textsearch.Expr, most int, documents []string) (_ map[string][]textsearch.Highlight, err error) {
	defer fault.Wrap(&err, "pgsearch.Highlight(%s)", org)
	if err := x.schema.CheckHighlight(query, most, documents); err != nil {
		return nil, err
	}
	p := &plan{prefix: prefixOf(org)}
	p.root = x.read(p, textsearch.OnlyNearly(query, textsearch.Nearly(query)), true)
	if len(p.scored) == 0 || len(documents) == 0 {
		return map[string][]textsearch.Highlight{}, nil
	}
	if err := x.learn(ctx, org, p); err != nil {
		return nil, unavailable(ctx, err)
	}
	if err := x.nearly(ctx, org, p); err != nil {
		return nil, unavailable(ctx, err)
	}
	all, err := x.mark(ctx, org, p, most, documents)
	return all, unavailable(ctx, err)
}

func (x *Index) mark(ctx context.Context, org id.UUID, p *plan, most int, documents []string) (map[string][]textsearch.Highlight, error) {
	rows, err := x.db.Query(ctx, `SELECT id, language, texts FROM search_documents WHERE org_id = $1 AND generation = `+live+` AND id = ANY($2)`, org, documents)
	if err != nil {
		return nil, err
	}
	type document struct {
		ID, Language string
		Texts        map[string]string
	}
	docs, err := pgx.CollectRows(rows, pgx.RowToStructByPos[document])
	if err != nil {
		return nil, err
	}
	wanted := map[string]map[string]bool{}
	for _, d := range docs {
		if wanted[d.Language] == nil {
			wanted[d.Language] = map[string]bool{}
		}
		for _, text := range d.Texts {
			for _, w := range words(text, elides[d.Language]) {
				wanted[d.Language][w] = true
			}
		}
	}
	stems, err := x.stems.learn(ctx, wanted)
	if err != nil {
		return nil, err
	}
	all := map[string][]textsearch.Highlight{}
	for _, d := range docs {
		var pieces []piece
		for i, field := range x.schema.Texts {
			pieces = append(pieces, cut(field.Name, i, d.Texts[field.Name], p.matches(string('A'+rune(i)), d.Language, stems, d.Texts[field.Name]))...)
		}
		slices.SortStableFunc(pieces, func(a, b piece) int { return b.kinds - a.kinds })
		pieces = pieces[:min(len(pieces), most)]
		slices.SortStableFunc(pieces, func(a, b piece) int {
			if a.order != b.order {
				return a.order - b.order
			}
			return a.from - b.from
		})
		for _, piece := range pieces {
			all[d.ID] = append(all[d.ID], piece.Highlight)
		}
	}
	return all, nil
}

// match is a place in a text that a leaf of the query was found at.
type match struct{ start, end, leaf int }

// matches finds the leaves of the query in a text, by the same lexemes as the index does.
func (p *plan) matches(letter, language string, stems known, text string) []match {
	type place struct {
		textsearch.Token
		lexemes []string
	}
	var places []place
	for _, t := range textsearch.Tokens(text) {
		for _, w := range parts(t.Word, elides[language]) {
			l := place{t, []string{p.prefix + "=" + w}}
			if stem, ok := stems.of(language, w); ok {
				l.lexemes = append(l.lexemes, p.prefix+language+":"+stem)
			}
			places = append(places, l)
		}
	}
	var found []match
	for n, l := range p.scored {
		if l.letter != "" && l.letter != letter {
			continue
		}
		alternatives := p.alternatives(l)
		for _, w := range l.near {
			alternatives = append(alternatives, []string{p.prefix + "=" + w})
		}
		for i := range places {
			for _, lexemes := range alternatives {
				if i+len(lexemes) > len(places) {
					continue
				}
				all := true
				for j, lexeme := range lexemes {
					if l.prefix && j == len(lexemes)-1 {
						all = all && strings.HasPrefix(places[i+j].lexemes[0], lexeme)
					} else {
						all = all && slices.Contains(places[i+j].lexemes, lexeme)
					}
				}
				if all {
					found = append(found, match{places[i].Start, places[i+len(lexemes)-1].End, n})
					break
				}
			}
		}
	}
	slices.SortStableFunc(found, func(a, b match) int { return a.start - b.start })
	return found
}

// piece is a fragment and how many of the query's leaves are in it.
type piece struct {
	textsearch.Highlight
	order, from, kinds int
}

// cut makes pieces around matches, which do not overlap.
func cut(field string, order int, text string, matches []match) []piece {
	var pieces []piece
	last := 0
	for i := 0; i < len(matches); {
		from, to := window(text, matches[i].start)
		from = max(from, last)
		p := piece{order: order, from: from}
		p.Field = field
		leaves := map[int]bool{}
		at := from
		for ; i < len(matches) && matches[i].start < to; i++ {
			m := matches[i]
			leaves[m.leaf] = true
			if m.end <= at { // inside of a phrase that is marked
				continue
			}
			m.start, to = max(m.start, at), max(to, m.end)
			if m.start > at {
				p.Segments = append(p.Segments, textsearch.Segment{Text: text[at:m.start]})
			}
			p.Segments = append(p.Segments, textsearch.Segment{Text: text[m.start:m.end], Match: true})
			at = m.end
		}
		if to > at {
			p.Segments = append(p.Segments, textsearch.Segment{Text: text[at:to]})
		}
		p.kinds, last = len(leaves), to
		pieces = append(pieces, p)
	}
	return pieces
}

// window is the part of a text around a place, from word to word. Of a short text it is all.
func window(text string, place int) (from, to int) {
	if len(text) <= fragment*3/2 {
		return 0, len(text)
	}
	from = max(0, place-fragment/3)
	to = min(len(text), from+fragment)
	from = max(0, to-fragment)
	for from > 0 && !utf8.RuneStart(text[from]) {
		from--
	}
	for to < len(text) && !utf8.RuneStart(text[to]) {
		to++
	}
	if blank := strings.IndexAny(text[from:place], " \n\t"); from > 0 && blank >= 0 && blank < 30 {
		from += blank + 1
	}
	if blank := strings.LastIndexAny(text[place:to], " \n\t"); to < len(text) && blank > 0 && to-place-blank < 30 {
		to = place + blank
	}
	return from, to
}
