package elastic

import (
	"context"
	"encoding/json"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/textsearch"
)

// Suggest implements textsearch.Index.
func (x *Index) Suggest(ctx context.Context, org id.UUID, r textsearch.SuggestRequest) ([]textsearch.Suggestion, error) {
	if err := x.schema.CheckSuggest(r); err != nil {
		return nil, err
	}
	if len(textsearch.Words(r.Prefix)) == 0 {
		return nil, ctx.Err()
	}
	begins := object{"match_phrase": object{"complete.word": r.Prefix}}
	filters := []any{
		object{"term": object{"org": org.String()}},
		object{"nested": object{"path": "complete", "query": begins, "score_mode": "none"}},
	}
	if r.Filter != nil {
		filters = append(filters, x.filter(r.Filter))
	}
	byKey := object{"_key": "asc"}
	body := object{
		"size": 0, "track_total_hits": false, "query": object{"bool": object{"filter": filters}},
		"aggs": object{"each": object{"nested": object{"path": "complete"}, "aggs": object{"of": object{"filter": begins, "aggs": object{"of": object{
			"terms": object{"field": "complete.key", "size": r.Size, "order": []any{object{"_count": "desc"}, byKey}},
			"aggs": object{
				"text": object{"terms": object{"field": "complete.text", "size": 1, "order": []any{object{"_count": "desc"}, byKey}}},
				"of":   object{"reverse_nested": object{}, "aggs": object{"kind": object{"terms": object{"field": "kind", "size": 1, "order": []any{byKey}}}}},
			},
		}}}}}},
	}
	var answer found
	if err := x.ask(ctx, esapi.SearchRequest{Index: []string{x.read()}, Routing: []string{org.String()}}, body, &answer); err != nil {
		return nil, err
	}
	type keys struct {
		Buckets []struct {
			Key string `json:"key"`
		} `json:"buckets"`
	}
	var each struct {
		Of struct {
			Of struct {
				Buckets []struct {
					Text keys `json:"text"`
					Of   struct {
						Kind keys `json:"kind"`
					} `json:"of"`
				} `json:"buckets"`
			} `json:"of"`
		} `json:"of"`
	}
	if err := json.Unmarshal(answer.Aggregations["each"], &each); err != nil {
		return nil, err
	}
	list := []textsearch.Suggestion{}
	for _, b := range each.Of.Of.Buckets {
		if len(b.Text.Buckets) > 0 && len(b.Of.Kind.Buckets) > 0 {
			list = append(list, textsearch.Suggestion{Text: b.Text.Buckets[0].Key, Kind: b.Of.Kind.Buckets[0].Key})
		}
	}
	return list, nil
}
