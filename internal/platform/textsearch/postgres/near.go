package pgsearch

import (
	"context"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/textsearch"
)

// missing leaves near spellings to the words that are in nothing that the filter lets through: what others have said is not to be told by what is found.
func (x *Index) missing(ctx context.Context, org id.UUID, p *plan, filter textsearch.Expr, counts map[string]int) error {
	s := &statement{}
	documents := "SELECT d.* FROM search_documents d WHERE d.org_id = " + s.arg(org.String()) + "::text::uuid AND d.generation = " + live + " AND d.words @@ "
	visible := "true"
	if filter != nil {
		visible = x.filter(s, filter)
	}
	var asked []*leaf
	var each []string
	for _, l := range p.leaves {
		if !l.fuzzy || !p.counted(l, counts) {
			continue
		}
		asked = append(asked, l)
		anywhere := *l
		anywhere.letter = ""
		// Planned for all that has the word, and so by the index; read as far as the first that is seen.
		each = append(each, "EXISTS (WITH d AS MATERIALIZED ("+documents+s.arg(p.tsquery(&anywhere))+"::tsquery) SELECT FROM d WHERE "+visible+")")
	}
	if len(asked) == 0 {
		return nil
	}
	var there []bool
	if err := x.db.QueryRow(ctx, "SELECT ARRAY["+strings.Join(each, ", ")+"]", append([]any{pgx.QueryExecModeExec}, s.args...)...).Scan(&there); err != nil {
		return err
	}
	for i, l := range asked {
		l.fuzzy = !there[i]
	}
	return nil
}

// counted says whether any document of the organization may have the word.
func (p *plan) counted(l *leaf, counts map[string]int) bool {
	return slices.ContainsFunc(p.alternatives(l), func(lexemes []string) bool {
		return !slices.ContainsFunc(lexemes, func(lexeme string) bool { return counts[lexeme] == 0 })
	})
}

const maxNear = 12 // near spellings of a word

// nearly finds the words that are spelled nearly as those that may be. Who mistypes rarely does so in the first letter, and so not all
// the organization's words are compared.
func (x *Index) nearly(ctx context.Context, org id.UUID, p *plan) error {
	var fuzzy []*leaf
	var from, to []string
	var shortest, longest []int32
	for _, l := range p.leaves {
		if !l.fuzzy {
			continue
		}
		letters := []rune(l.words[0])
		fuzzy = append(fuzzy, l)
		first := p.prefix + "=" + string(letters[0])
		from, to = append(from, first), append(to, first+"\U0010ffff")
		t := textsearch.Tolerance(len(letters))
		extra := len([]rune(p.prefix)) + 1
		shortest, longest = append(shortest, int32(len(letters)-t+extra)), append(longest, int32(len(letters)+t+extra))
	}
	if len(fuzzy) == 0 {
		return nil
	}
	rows, err := x.db.Query(ctx, `
		SELECT u.ord, w.word, w.documents FROM unnest($2::text[], $3::text[], $4::int[], $5::int[]) WITH ORDINALITY u(low, high, shortest, longest, ord)
		JOIN search_words w ON w.org_id = $1 AND w.generation = `+live+` AND w.word >= u.low COLLATE "C" AND w.word < u.high COLLATE "C"
			AND char_length(w.word) BETWEEN u.shortest AND u.longest`, org, from, to, shortest, longest)
	if err != nil {
		return err
	}
	type candidate struct {
		word            string
		edits, document int
	}
	found := make([][]candidate, len(fuzzy))
	var ord, documents int
	var word string
	if _, err := pgx.ForEachRow(rows, []any{&ord, &word, &documents}, func() error {
		word := strings.TrimPrefix(word, p.prefix+"=")
		mine := []rune(fuzzy[ord-1].words[0])
		most := textsearch.Tolerance(len(mine))
		if n := edits(mine, []rune(word), most); n > 0 && n <= most && textsearch.Telling(word) {
			found[ord-1] = append(found[ord-1], candidate{word, n, documents})
		}
		return nil
	}); err != nil {
		return err
	}
	for i, candidates := range found {
		slices.SortFunc(candidates, func(a, b candidate) int {
			if a.edits != b.edits {
				return a.edits - b.edits
			}
			if a.document != b.document {
				return b.document - a.document
			}
			return strings.Compare(a.word, b.word)
		})
		for _, c := range candidates[:min(len(candidates), maxNear)] {
			fuzzy[i].near = append(fuzzy[i].near, c.word)
		}
	}
	return nil
}

// nearQuery are the near spellings of a leaf, each as a tsquery.
func (p *plan) nearQuery(l *leaf) []string {
	var either []string
	mark := ""
	if l.letter != "" {
		mark = ":" + l.letter
	}
	for _, w := range l.near {
		either = append(either, quote(p.prefix+"="+w)+mark)
	}
	return either
}
