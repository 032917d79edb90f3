package elastic

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/textsearch"
)

// stemmers are those of the languages whose forms of words are known.
var stemmers = map[string]string{
	"da": "danish", "de": "german", "en": "porter2", "es": "spanish", "fi": "finnish", "fr": "french", "it": "italian", "nl": "dutch",
	"no": "norwegian", "pt": "portuguese", "ru": "russian", "sv": "swedish",
}

// other is the field of texts in a language that is not known.
const other = "xx"

func knownLanguages() []string { return slices.Sorted(maps.Keys(stemmers)) }

// language is the field for texts of a language.
func language(tag string) string {
	base, _, _ := strings.Cut(strings.ToLower(strings.ReplaceAll(tag, "_", "-")), "-")
	if base == "nb" || base == "nn" {
		base = "no"
	}
	if _, ok := stemmers[base]; ok {
		return base
	}
	return other
}

// definition is what an index is made of.
func (x *Index) definition(aliases object, replicas int, refresh time.Duration) object {
	interval := any("-1")
	if refresh > 0 {
		interval = refresh.String()
	}
	return object{
		"aliases": aliases,
		"settings": object{
			"number_of_shards": x.options.Shards, "number_of_replicas": replicas, "refresh_interval": interval,
			"max_terms_count": textsearch.MaxTerms, "max_inner_result_window": textsearch.MaxSize + 1, "analysis": analysis(),
		},
		"mappings": object{
			"dynamic": "strict", "_routing": object{"required": true}, "_meta": object{"layout": x.layout()}, "properties": x.properties(), "dynamic_templates": byLanguage(),
		},
	}
}

// layout identifies what documents are made into: an index of another one has to be made anew.
func (x *Index) layout() string {
	text, err := json.Marshal([]any{x.properties(), byLanguage(), analysis()})
	if err != nil {
		panic(err) // maps and texts
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

func (x *Index) properties() object {
	keyword := object{"type": "keyword"}
	texts, keywords := object{}, object{}
	for _, t := range x.schema.Texts {
		texts[t.Name] = object{"type": "object", "dynamic": true} // see byLanguage
	}
	for _, k := range x.schema.Keywords {
		keywords[k.Name] = keyword
	}
	return object{
		"org": keyword, "id": keyword, "kind": keyword, "group": keyword,
		"version": object{"type": "long"},
		"at":      object{"type": "long"},                 // microseconds, for order and ranges
		"day":     object{"type": "date", "index": false}, // for histograms
		"t":       object{"properties": texts},
		"k":       object{"properties": keywords},
		"complete": object{"type": "nested", "properties": object{
			"key":  keyword, // in lower case
			"text": object{"type": "keyword", "index": false},
			"word": object{"type": "text", "analyzer": "begin", "search_analyzer": "begun", "norms": false},
		}},
	}
}

// byLanguage are the fields that a text has in each language. An index has those of a language from its first document on: a search
// looks through all that there are, and most practices speak one or two of them.
func byLanguage() (templates []object) {
	for _, l := range append(knownLanguages(), other) {
		analyzer := l
		if l == other {
			analyzer = "fold"
		}
		templates = append(templates, object{"text_" + l: object{"path_match": "t.*." + l, "match_mapping_type": "string", "mapping": object{"type": "text", "analyzer": analyzer}}})
	}
	return templates
}

const longestBegin = 20 // letters of a word that a completion is found by

// analysis are the ways in which texts become words. Every way folds characters exactly as textsearch.Fold does, and keeps a word
// beside its stem, so that the very word counts more and beginnings of words can be looked for.
func analysis() object {
	filters := object{
		"begin":    object{"type": "edge_ngram", "min_gram": 1, "max_gram": longestBegin},
		"begun":    object{"type": "truncate", "length": longestBegin},
		"of_owner": object{"type": "stemmer", "language": "possessive_english"},
		"articles": object{"type": "elision", "articles": []string{
			"l", "m", "t", "qu", "n", "s", "j", "d", "c", "jusqu", "quoiqu", "lorsqu", "puisqu", "un", "all", "dall", "dell", "nell", "sull", "coll", "pell", "gl", "agl", "dagl", "degl", "negl", "sugl", "v",
		}},
		"once": object{"type": "remove_duplicates"},
	}
	analyzer := func(filter ...string) object {
		return object{"type": "custom", "tokenizer": "standard", "char_filter": []string{"fold"}, "filter": append([]string{"lowercase"}, filter...)}
	}
	analyzers := object{"fold": analyzer(), "begin": analyzer("begin"), "begun": analyzer("begun")}
	for l, stemmer := range stemmers {
		filters[l] = object{"type": "stemmer", "language": stemmer}
		before := []string{}
		switch l {
		case "en":
			before = []string{"of_owner"}
		case "fr", "it":
			before = []string{"articles"}
		}
		analyzers[l] = analyzer(append(before, "keyword_repeat", l, "once")...)
	}
	return object{
		"char_filter": object{"fold": object{"type": "mapping", "mappings": folding()}},
		"filter":      filters,
		"analyzer":    analyzers,
	}
}

// joiners are characters that Elasticsearch's tokenizer sees inside of words or numbers, and textsearch.Words between them.
const joiners = "_.,:;·\u0387\u0589\u05f4\u060c\u060d\u066c\u07f8\u2024\u2027\u202f\u203f\u2040\u2044\u2054\ufe10\ufe13\ufe14\ufe33\ufe34\ufe4d\ufe4e\ufe4f\ufe50\ufe52\ufe54\ufe55\uff0c\uff0e\uff1a\uff1b\uff3f"

// folded are the characters that are folded: Latin, Greek and Cyrillic, the marks of Hebrew and Arabic, punctuation, and other
// shapes of Latin letters. Of all others two rules would be needed for each of some thousand, which an index takes a second to learn.
var folded = [][2]rune{
	{0, 0x24f}, {0x2b0, 0x52f}, {0x591, 0x5f4}, {0x60c, 0x65f}, {0x1d00, 0x1fff}, {0x2000, 0x20ff}, {0x2100, 0x214f}, {0xfb00, 0xfb06}, {0xfe10, 0xfe55}, {0xff01, 0xff5e},
}

// folding is textsearch.Fold as rules for single characters, in the notation of Elasticsearch.
var folding = sync.OnceValue(func() (rules []string) {
	for _, span := range folded {
		for r := span[0]; r <= span[1]; r++ {
			if rule := fold(r); rule != "" {
				rules = append(rules, rule)
			}
		}
	}
	return rules
})

// fold is the rule for one character, "" if it needs none.
func fold(r rune) string {
	to := strings.Map(func(f rune) rune {
		if f == '\'' || unicode.IsLetter(f) || unicode.IsNumber(f) || unicode.Is(unicode.Mc, f) {
			return f
		}
		return ' '
	}, textsearch.Fold(string(r)))
	word := unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.Is(unicode.M, r)
	joins := strings.ContainsRune(joiners, r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
	if !word && !joins && to != "'" || to == string(unicode.ToLower(r)) {
		return ""
	}
	var rule strings.Builder
	fmt.Fprintf(&rule, `\u%04x => `, r)
	for _, f := range to {
		fmt.Fprintf(&rule, `\u%04x`, f)
	}
	return rule.String()
}

// key is a document's id in the index.
func key(org id.UUID, document string) string { return org.String() + "/" + document }

// source is a document as the index holds it.
func (x *Index) source(org id.UUID, d textsearch.Document) object {
	texts, keywords, l := object{}, object{}, language(d.Language)
	for name, text := range d.Texts {
		if text != "" {
			texts[name] = object{l: text}
		}
	}
	for name, values := range d.Keywords {
		if len(values) > 0 {
			keywords[name] = values
		}
	}
	completions := []object{}
	seen := map[string]bool{}
	for _, text := range d.Complete {
		if k := strings.ToLower(text); text != "" && !seen[k] {
			seen[k] = true
			completions = append(completions, object{"key": k, "text": text, "word": text})
		}
	}
	return object{
		"org": org.String(), "id": d.ID, "kind": d.Kind, "group": d.Group, "version": d.Version,
		"at": d.At.UnixMicro(), "day": d.At.UTC().UnixMilli(), "t": texts, "k": keywords, "complete": completions,
	}
}
