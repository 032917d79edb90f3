package elastic

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/textsearch"
)

// nearlyCounts is how much less a word counts that is only spelled nearly so.
const nearlyCounts = 0.25

// maxNear is how many near spellings of a word are looked for.
const maxNear = 50

// missing are which of the words are in nothing that the filter lets through. Each is looked for as far as the first document that has it.
func (x *Index) missing(ctx context.Context, org id.UUID, words []string, filter textsearch.Expr) (which []int, err error) {
	if len(words) == 0 {
		return nil, nil
	}
	filters := []any{object{"term": object{"org": org.String()}}}
	if filter != nil {
		filters = append(filters, x.filter(filter))
	}
	var searches bytes.Buffer
	for _, w := range words {
		each := object{"bool": object{"filter": append(slices.Clip(filters), x.word(textsearch.Word{Text: w}, textsearch.Words(w)))}}
		searches.Write(mustJSON(object{"index": x.read(), "routing": org.String()}))
		searches.WriteByte('\n')
		searches.Write(mustJSON(object{
			"query": each, "size": 0, "terminate_after": 1, "track_total_hits": true, "timeout": strconv.FormatInt(x.options.Timeout.Milliseconds(), 10) + "ms",
		}))
		searches.WriteByte('\n')
	}
	var answer struct {
		Responses []struct {
			found
			Status int `json:"status"`
			Error  struct {
				Type string `json:"type"`
			} `json:"error"`
		} `json:"responses"`
	}
	if err := x.call(ctx, x.options.Timeout, esapi.MsearchRequest{Body: bytes.NewReader(searches.Bytes())}, &answer); err != nil {
		return nil, err
	}
	for i, r := range answer.Responses {
		if r.Status != http.StatusOK && r.Status != http.StatusNotFound { // without an index there is nothing, as the search itself will see
			return nil, classify(&statusError{status: r.Status, kind: r.Error.Type})
		}
		if r.Hits.Total.Value == 0 && !r.TimedOut {
			which = append(which, i)
		}
	}
	return which, nil
}

// nearly looks for words that are spelled nearly as the given one, in the texts as they stand: what is spelled nearly so has no stem to be trusted.
func (x *Index) nearly(w textsearch.Word, word string) (ways []any) {
	if textsearch.Tolerance(len([]rune(word))) > 1 { // no common word is near
		return []any{object{"multi_match": object{
			"query": w.Text, "fields": x.fields(w.Field), "analyzer": "fold", "operator": "and",
			"fuzziness": "AUTO:4,8", "prefix_length": 1, "max_expansions": maxNear, "boost": nearlyCounts,
		}}}
	}
	pattern := near(word)
	for _, t := range x.schema.Texts {
		if w.Field != "" && w.Field != t.Name {
			continue
		}
		for _, l := range append(knownLanguages(), other) {
			ways = append(ways, object{"regexp": object{"t." + t.Name + "." + l: object{
				"value": pattern, "flags": "NONE", "rewrite": "top_terms_blended_freqs_" + strconv.Itoa(maxNear), "boost": nearlyCounts * t.Weight,
			}}})
		}
	}
	return ways
}

// near is a regular expression for the words that begin like the given one and in which one letter is missing, too much, another one or in the place of its
// neighbour, but for those that are too common or too short to be meant: a fuzzy query knows no exceptions.
func near(word string) string {
	letters := []rune(word)
	var ways []string
	add := func(w string) {
		if textsearch.Telling(w) && w != word && !slices.Contains(ways, w) {
			ways = append(ways, w)
		}
	}
	for i := 1; i < len(letters); i++ {
		before, after := string(letters[:i]), string(letters[i+1:])
		add(before + after)
		if i+1 < len(letters) {
			add(before + string(letters[i+1]) + string(letters[i]) + string(letters[i+2:]))
		}
		ways = append(ways, before+butCommon(before, after)+after)
	}
	for i := 1; i <= len(letters); i++ {
		before, after := string(letters[:i]), string(letters[i:])
		ways = append(ways, before+butCommon(before, after)+after)
	}
	return strings.Join(ways, "|")
}

// butCommon is an expression for the letters that make no common word between the two parts.
func butCommon(before, after string) string {
	var not strings.Builder
	for _, c := range textsearch.Common {
		if middle, ok := strings.CutPrefix(c, before); ok {
			if middle, ok = strings.CutSuffix(middle, after); ok && len(middle) == 1 {
				not.WriteString(middle)
			}
		}
	}
	if not.Len() == 0 {
		return "."
	}
	return "[^" + not.String() + "]"
}

// nearOf are the words with the given numbers.
func nearOf(words []string, which []int) (some []string, err error) {
	for _, i := range which {
		if i < 0 || i >= len(words) {
			return nil, textsearch.ErrCursor
		}
		some = append(some, words[i])
	}
	return some, nil
}
