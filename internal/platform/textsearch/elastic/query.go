package elastic

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/rapporthq/rapport/internal/platform/textsearch"
)

// filter is a condition that nothing is measured by.
func (x *Index) filter(e textsearch.Expr) object {
	q, _, none := x.translate(e)
	if none {
		return object{"match_all": object{}}
	}
	return q
}

// translate makes a condition a query. scored says that it measures something; none, that it is as if it were left out.
func (x *Index) translate(e textsearch.Expr) (q object, scored, none bool) {
	everything, nothing := object{"match_all": object{}}, object{"match_none": object{}}
	switch e := e.(type) {
	case textsearch.Word:
		words := textsearch.Words(e.Text)
		if len(words) == 0 {
			return nil, false, true
		}
		return x.word(e, words), true, false
	case textsearch.Phrase:
		if len(textsearch.Words(e.Text)) == 0 {
			return nil, false, true
		}
		return object{"multi_match": object{"type": "phrase", "query": e.Text, "fields": x.fields(e.Field)}}, true, false
	case textsearch.Terms:
		if len(e.Values) == 0 {
			return nothing, false, false
		}
		return object{"terms": object{x.field(e.Field): e.Values}}, false, false
	case textsearch.Between:
		limits := object{}
		if !e.From.IsZero() {
			limits["gte"] = ceiling(e.From)
		}
		if !e.To.IsZero() {
			limits["lt"] = ceiling(e.To)
		}
		if len(limits) == 0 {
			return everything, false, false
		}
		return object{"range": object{"at": limits}}, false, false
	case textsearch.All:
		var must, filter []any
		for _, part := range e {
			q, scored, none := x.translate(part)
			switch {
			case none:
			case scored:
				must = append(must, q)
			default:
				filter = append(filter, q)
			}
		}
		if len(must)+len(filter) == 0 {
			return everything, false, false
		}
		b := object{}
		if len(must) > 0 {
			b["must"] = must
		}
		if len(filter) > 0 {
			b["filter"] = filter
		}
		return object{"bool": b}, len(must) > 0, false
	case textsearch.Any:
		var should []any
		var last object
		measured := false
		for _, part := range e.Of {
			q, scored, none := x.translate(part)
			if none {
				continue
			}
			last = q
			if scored {
				q = object{"bool": object{"must": []any{q, object{"match_all": object{"boost": eachCounts}}}}}
			} else {
				q = object{"bool": object{"filter": []any{q}}} // it holds, and counts nothing
			}
			measured = measured || scored
			should = append(should, q)
		}
		if len(should) == 1 && e.AtLeast <= 1 && measured {
			return last, true, false
		}
		least := max(e.AtLeast, 1)
		if least > len(should) {
			return nothing, false, false
		}
		return object{"bool": object{"should": should, "minimum_should_match": least}}, measured, false
	case textsearch.Not:
		q, _, none := x.translate(e.Of)
		if none {
			return nil, false, true
		}
		return object{"bool": object{"must_not": []any{q}}}, false, false
	}
	return everything, false, false
}

// ceiling is a time in microseconds, the next if it lies between two.
func ceiling(t time.Time) int64 {
	us := t.UnixMicro()
	if t.After(time.UnixMicro(us)) {
		us++
	}
	return us
}

// fields are those that words are looked for in, in every language: a document has only that of its own.
func (x *Index) fields(name string) []string {
	var fields []string
	for _, t := range x.schema.Texts {
		if name == "" || name == t.Name {
			fields = append(fields, "t."+t.Name+".*^"+strconv.FormatFloat(t.Weight, 'g', -1, 64))
		}
	}
	return fields
}

// eachCounts is what each of alternatives that holds counts beside how well it does: who half remembers a moment finds what has most
// of the words before what has one of them often.
const eachCounts = 1.0

func (x *Index) word(w textsearch.Word, words []string) object {
	var ways []any
	switch {
	case w.Prefix:
		ways = x.prefix(w, words) // and no other forms of it
	case w.Field == "" && len(words) == 1 && !unparted(words[0]):
		ways = x.inAnyField(w.Text)
	default:
		ways = []any{object{"multi_match": object{"type": "phrase", "query": w.Text, "fields": x.fields(w.Field)}}}
	}
	if w.Fuzzy && !w.Prefix && len(words) == 1 && textsearch.Telling(words[0]) && !unparted(words[0]) {
		ways = append(ways, x.nearly(w, words[0])...)
	}
	if len(ways) == 1 {
		return ways[0].(object)
	}
	return object{"dis_max": object{"queries": ways}}
}

// inAnyField looks for a word in all fields of a language as if they were one, in which it is as rare as it is in all of them. Else a
// word in one of the few documents that have a title would seem to be a common one.
func (x *Index) inAnyField(text string) (ways []any) {
	least := slices.MinFunc(x.schema.Texts, func(a, b textsearch.Text) int { return cmp.Compare(a.Weight, b.Weight) }).Weight
	for _, l := range append(knownLanguages(), other) {
		var fields []string
		for _, t := range x.schema.Texts {
			fields = append(fields, "t."+t.Name+"."+l+"^"+strconv.FormatFloat(t.Weight/least, 'g', -1, 64)) // they must be at least 1
		}
		ways = append(ways, object{"combined_fields": object{"query": text, "fields": fields}})
	}
	return ways
}

// unparted says whether a text is in a script that does not part its words.
func unparted(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool {
		return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar)
	})
}

// prefix looks for the beginning of a word. Of scripts that do not part their words, and of several words, the last is completed only
// to the most frequent ones.
func (x *Index) prefix(w textsearch.Word, words []string) []any {
	if len(words) > 1 || unparted(words[0]) {
		return []any{object{"multi_match": object{"type": "phrase_prefix", "query": w.Text, "fields": x.fields(w.Field), "analyzer": "fold", "max_expansions": 200}}}
	}
	var ways []any
	for _, t := range x.schema.Texts {
		if w.Field != "" && w.Field != t.Name {
			continue
		}
		for _, l := range append(knownLanguages(), other) {
			ways = append(ways, object{"prefix": object{"t." + t.Name + "." + l: object{"value": words[0], "boost": t.Weight}}})
		}
	}
	return ways
}
