package elastic

import (
	"context"
	"encoding/json"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/textsearch"
)

// Groups implements textsearch.Index.
func (x *Index) Groups(ctx context.Context, org id.UUID, after string, limit int) ([]textsearch.Tally, error) {
	by := object{"size": limit, "sources": []any{object{"group": object{"terms": object{"field": "group"}}}}}
	if after != "" {
		by["after"] = object{"group": after}
	}
	body := object{
		"size": 0, "track_total_hits": false, "query": object{"bool": object{"filter": []any{object{"term": object{"org": org.String()}}}}},
		"aggs": object{"groups": object{"composite": by, "aggs": object{
			"oldest": object{"min": object{"field": "version"}}, "newest": object{"max": object{"field": "version"}},
		}}},
	}
	var answer found
	if err := x.ask(ctx, esapi.SearchRequest{Index: []string{x.read()}, Routing: []string{org.String()}}, body, &answer); err != nil {
		return nil, err
	}
	var groups struct {
		Buckets []struct {
			Key struct {
				Group string `json:"group"`
			} `json:"key"`
			N      int `json:"doc_count"`
			Oldest struct {
				Value float64 `json:"value"`
			} `json:"oldest"`
			Newest struct {
				Value float64 `json:"value"`
			} `json:"newest"`
		} `json:"buckets"`
	}
	if err := json.Unmarshal(answer.Aggregations["groups"], &groups); err != nil {
		return nil, err
	}
	tallies := []textsearch.Tally{}
	for _, b := range groups.Buckets {
		tallies = append(tallies, textsearch.Tally{Group: b.Key.Group, Documents: b.N, Oldest: int64(b.Oldest.Value), Newest: int64(b.Newest.Value)})
	}
	return tallies, nil
}

// Sums implements textsearch.Index.
func (x *Index) Sums(ctx context.Context, org id.UUID, group string) (map[string]uint32, error) {
	sums := map[string]uint32{}
	body := object{
		"size": textsearch.MaxBatch, "track_total_hits": false, "sort": []any{object{"id": "asc"}}, "_source": []string{"id", "kind", "at", "t", "k"},
		"query": object{"bool": object{"filter": []any{object{"term": object{"org": org.String()}}, object{"term": object{"group": group}}}}},
	}
	for {
		var answer found
		if err := x.ask(ctx, esapi.SearchRequest{Index: []string{x.read()}, Routing: []string{org.String()}}, body, &answer); err != nil {
			return nil, err
		}
		for _, h := range answer.Hits.Hits {
			d := textsearch.Document{ID: h.Source.ID, Kind: h.Source.Kind, At: time.UnixMicro(h.Source.At), Keywords: h.Source.Keywords, Texts: map[string]string{}}
			for name, in := range h.Source.Texts {
				for _, text := range in {
					d.Texts[name] = text
				}
			}
			sums[d.ID] = d.Sum()
			body["search_after"] = []string{d.ID}
		}
		if len(answer.Hits.Hits) < textsearch.MaxBatch {
			return sums, nil
		}
	}
}
