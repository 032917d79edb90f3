package elastic

import (
	"cmp"
	"context"
	"crypto/rand"
	"maps"
	"slices"
	"strings"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/textsearch"
)

// Highlight implements textsearch.Index. To find what is spelled nearly so Elasticsearch makes an automaton for each document and word, which takes it some
// milliseconds each: it looks for that only where nothing else stands.
func (x *Index) Highlight(ctx context.Context, org id.UUID, query textsearch.Expr, most int, documents []string) (map[string][]textsearch.Highlight, error) {
	if err := x.schema.CheckHighlight(query, most, documents); err != nil {
		return nil, err
	}
	found, err := x.marked(ctx, org, textsearch.OnlyNearly(query, nil), most, documents)
	if err != nil || len(textsearch.Nearly(query)) == 0 {
		return found, err
	}
	nearly, err := x.marked(ctx, org, query, most, slices.DeleteFunc(slices.Clone(documents), func(d string) bool { return found[d] != nil }))
	maps.Copy(found, nearly)
	return found, err
}

const pieceLength = 200 // letters of a piece, about

// marked has the server mark words with a text that nobody could have said.
func (x *Index) marked(ctx context.Context, org id.UUID, query textsearch.Expr, most int, documents []string) (map[string][]textsearch.Highlight, error) {
	all := map[string][]textsearch.Highlight{}
	asked, scored, _ := x.translate(query)
	if !scored || len(documents) == 0 {
		return all, nil
	}
	tag := rand.Text()
	fields := object{}
	for _, t := range x.schema.Texts {
		fields["t."+t.Name+".*"] = object{}
	}
	body := object{
		"query":   object{"bool": object{"filter": []any{object{"term": object{"org": org.String()}}, object{"terms": object{textsearch.FieldID: documents}}}}},
		"_source": false, "docvalue_fields": []string{textsearch.FieldID}, "size": len(documents), "track_total_hits": false, "sort": []string{"_doc"},
		"highlight": object{
			"type": "unified", "fields": fields, "number_of_fragments": most, "fragment_size": pieceLength, "order": "score", "highlight_query": asked,
			"pre_tags": []string{"<" + tag + ">"}, "post_tags": []string{"</" + tag + ">"},
		},
	}
	var answer found
	if err := x.ask(ctx, esapi.SearchRequest{Index: []string{x.read()}, Routing: []string{org.String()}}, body, &answer); err != nil {
		return nil, err
	}
	for _, h := range answer.Hits.Hits {
		if pieces := x.pieces(h.Highlight, most, tag); len(pieces) > 0 {
			all[first(h.Fields[textsearch.FieldID])] = pieces
		}
	}
	return all, nil
}

// pieces are those of a document, of the fields that count more first.
func (x *Index) pieces(found map[string][]string, most int, tag string) (list []textsearch.Highlight) {
	texts := slices.Clone(x.schema.Texts)
	slices.SortStableFunc(texts, func(a, b textsearch.Text) int { return cmp.Compare(b.Weight, a.Weight) })
	for _, t := range texts {
		for name, pieces := range found {
			if !strings.HasPrefix(name, "t."+t.Name+".") {
				continue
			}
			for _, piece := range pieces {
				if len(list) < most {
					list = append(list, textsearch.Highlight{Field: t.Name, Segments: segments(piece, tag)})
				}
			}
		}
	}
	return list
}

func segments(piece, tag string) (list []textsearch.Segment) {
	add := func(text string, match bool) {
		if text != "" {
			list = append(list, textsearch.Segment{Text: text, Match: match})
		}
	}
	for piece != "" {
		before, rest, found := strings.Cut(piece, "<"+tag+">")
		add(before, false)
		if !found {
			break
		}
		var match string
		match, piece, _ = strings.Cut(rest, "</"+tag+">")
		add(match, true)
	}
	return list
}
