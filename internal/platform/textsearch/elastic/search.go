package elastic

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"

	"github.com/elastic/go-elasticsearch/v8/esapi"
	"golang.org/x/sync/errgroup"

	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/textsearch"
)

// found is the server's answer to a search.
type found struct {
	PIT      string `json:"pit_id"`
	TimedOut bool   `json:"timed_out"`
	Hits     struct {
		Total struct {
			Value int `json:"value"`
		} `json:"total"`
		Hits []hit `json:"hits"`
	} `json:"hits"`
	Aggregations map[string]json.RawMessage `json:"aggregations"`
}

type hit struct {
	Index       string              `json:"_index"`
	ID          string              `json:"_id"`
	Score       float64             `json:"_score"`
	SeqNo       int64               `json:"_seq_no"`
	PrimaryTerm int64               `json:"_primary_term"`
	Fields      map[string][]string `json:"fields"`
	Sort        json.RawMessage     `json:"sort"`
	Highlight   map[string][]string `json:"highlight"`
	Source      struct {
		Org    string `json:"org"`
		Group  string `json:"group"`
		Before int64  `json:"before"`

		ID       string                       `json:"id"`
		Kind     string                       `json:"kind"`
		At       int64                        `json:"at"`
		Texts    map[string]map[string]string `json:"t"` // by language
		Keywords map[string][]string          `json:"k"`
	} `json:"_source"`
	InnerHits map[string]struct {
		Hits struct {
			Hits []hit `json:"hits"`
		} `json:"hits"`
	} `json:"inner_hits"`
}

// cursor leads on after a hit.
type cursor struct {
	Of   string          `json:"o"`           // the query and its order
	Near []int           `json:"n,omitempty"` // which words near spellings are looked for of: what comes and goes meanwhile changes nothing
	PIT  string          `json:"p,omitempty"`
	Sort json.RawMessage `json:"s"`
}

const maxCursor = 8000

// Search implements textsearch.Index.
func (x *Index) Search(ctx context.Context, org id.UUID, r textsearch.Request) (_ textsearch.Result, err error) {
	if err := x.schema.CheckRequest(r); err != nil {
		return textsearch.Result{}, err
	}
	words := textsearch.Nearly(r.Query)
	whole, scored, _ := x.translate(r.Query)
	of := identify(org, r.Order, whole)
	after, err := parseCursor(r.After, of)
	if err != nil {
		return textsearch.Result{}, err
	}
	byScore := scored && (r.Order == "" || r.Order == textsearch.ByScore)

	// Scores depend on all that is there, so that pages in their order need it to stay as it was. Time and id do not.
	paged := byScore && r.Size > 0 && r.GroupBy == "" && !r.Once
	pit, near := after.PIT, after.Near
	var answer found
	if r.After == "" {
		looking, together := errgroup.WithContext(ctx)
		looking.Go(func() (err error) {
			near, err = x.missing(together, org, words, r.Filter)
			return err
		})
		looking.Go(func() (err error) {
			if paged {
				pit, err = x.openPIT(together, org)
				return err
			}
			exact := r
			exact.Query = textsearch.OnlyNearly(r.Query, nil) // which is all, unless a word is missing
			answer, err = x.find(together, org, exact, "", nil)
			return err
		})
		if err := looking.Wait(); err != nil {
			return textsearch.Result{}, err
		}
	}
	spelled, err := nearOf(words, near)
	if err != nil {
		return textsearch.Result{}, err
	}
	r.Query = textsearch.OnlyNearly(r.Query, spelled)
	if r.After != "" || paged || len(near) > 0 {
		if answer, err = x.find(ctx, org, r, pit, after.Sort); err != nil {
			if r.After != "" && (status(err) == http.StatusNotFound || status(err) == http.StatusBadRequest) {
				return textsearch.Result{}, textsearch.ErrCursor.Because(err)
			}
			return textsearch.Result{}, err
		}
	}
	result := textsearch.Result{Total: answer.Hits.Total.Value, Facets: map[string][]textsearch.Bucket{}, Query: r.Query}
	hits := answer.Hits.Hits
	if result.More = len(hits) > r.Size; result.More {
		hits = hits[:r.Size]
	}
	for _, h := range hits {
		one := hitOf(h)
		switch {
		case r.GroupBy == "" && !r.Once:
			one.Cursor = cursor{Of: of, Near: near, PIT: answer.PIT, Sort: h.Sort}.String()
		case r.GroupBy != "":
			one.Key = first(h.Fields[x.field(r.GroupBy)])
			for _, also := range h.InnerHits["also"].Hits.Hits {
				if also.ID != h.ID && len(one.Also) < r.PerGroup {
					one.Also = append(one.Also, hitOf(also))
				}
			}
		}
		result.Hits = append(result.Hits, one)
	}
	for i, f := range r.Facets {
		if result.Facets[f.Field], err = buckets(f, answer.Aggregations["f"+strconv.Itoa(i)]); err != nil {
			return textsearch.Result{}, err
		}
	}
	return result, nil
}

// find searches: in what stands still under pit, unless that is "", and behind what has these values to sort by, if there are any.
func (x *Index) find(ctx context.Context, org id.UUID, r textsearch.Request, pit string, behind json.RawMessage) (answer found, err error) {
	query, scored, none := x.translate(r.Query)
	if none {
		query, scored = object{"match_all": object{}}, false
	}
	body := x.body(org, r, query, scored)
	if len(behind) > 0 {
		body["search_after"] = behind
	}
	var s esapi.SearchRequest
	if pit != "" {
		body["pit"] = object{"id": pit, "keep_alive": pagesLast}
	} else {
		s.Index, s.Routing = []string{x.read()}, []string{org.String()}
	}
	partial := false
	s.AllowPartialSearchResults = &partial
	err = x.ask(ctx, s, body, &answer)
	return answer, err
}

// ask searches, and makes the index if there is none.
func (x *Index) ask(ctx context.Context, s esapi.SearchRequest, body object, answer *found) error {
	body["timeout"] = strconv.FormatInt(x.options.Timeout.Milliseconds(), 10) + "ms"
	s.Body = encode(body)
	err := x.call(ctx, x.options.Timeout, s, answer)
	if s.Index != nil && status(err) == http.StatusNotFound {
		if err := x.ensure(ctx); err != nil {
			return err
		}
		s.Body = encode(body)
		err = x.unfilled(x.call(ctx, x.options.Timeout, s, answer))
	}
	if err == nil && answer.TimedOut {
		return textsearch.Unavailable(errors.New("the search took too long"))
	}
	return err
}

func (x *Index) openPIT(ctx context.Context, org id.UUID) (string, error) {
	var opened struct {
		ID string `json:"id"`
	}
	open := esapi.OpenPointInTimeRequest{Index: []string{x.read()}, KeepAlive: pagesLast, Routing: org.String()}
	err := x.call(ctx, x.options.Timeout, open, &opened)
	if status(err) == http.StatusNotFound {
		if err := x.ensure(ctx); err != nil {
			return "", err
		}
		err = x.unfilled(x.call(ctx, x.options.Timeout, open, &opened))
	}
	return opened.ID, err
}

// body is the request as the server takes it. The query and what the viewer may see come first, so that aggregations count
// what passes both; what narrows them comes after, but for what narrows all alike.
func (x *Index) body(org id.UUID, r textsearch.Request, query object, scored bool) object {
	filters := []any{object{"term": object{"org": org.String()}}}
	if r.Filter != nil {
		filters = append(filters, x.filter(r.Filter))
	}
	faceted := map[string]bool{}
	for _, f := range r.Facets {
		faceted[f.Field] = true
	}
	later := map[string]object{}
	for field, e := range r.Narrow {
		if e == nil {
			continue
		}
		if faceted[field] {
			later[field] = x.filter(e)
		} else {
			filters = append(filters, x.filter(e))
		}
	}
	if r.GroupBy != "" {
		filters = append(filters, object{"exists": object{"field": x.field(r.GroupBy)}})
	}
	all := object{"filter": filters}
	if scored {
		all["must"] = []any{query}
	} else {
		all["filter"] = append(filters, query)
	}
	b := object{
		"query": object{"bool": all}, "_source": false, "docvalue_fields": x.shown(r), "size": r.Size + 1, "track_total_hits": r.Total, "sort": order(r.Order, scored),
		"track_scores": scored,
	}
	if r.Size == 0 && r.GroupBy == "" {
		b["size"] = 1
	}
	if len(later) > 0 {
		b["post_filter"] = allBut(later, "")
	}
	if r.GroupBy != "" {
		collapse := object{"field": x.field(r.GroupBy)}
		if r.PerGroup > 0 {
			inner := object{"name": "also", "size": r.PerGroup + 1, "_source": false, "docvalue_fields": x.shown(r), "sort": order(r.Order, scored), "track_scores": scored}
			collapse["inner_hits"] = inner
		}
		b["collapse"] = collapse
	}
	facets := object{}
	for i, f := range r.Facets {
		if agg := x.facet(f); agg != nil {
			facets["f"+strconv.Itoa(i)] = object{"filter": allBut(later, f.Field), "aggs": object{"of": agg}}
		}
	}
	if len(facets) > 0 {
		b["aggs"] = facets
	}
	return b
}

// allBut is all of the filters but that of one field.
func allBut(filters map[string]object, field string) object {
	others := []any{}
	for f, q := range filters {
		if f != field {
			others = append(others, q)
		}
	}
	if len(others) == 0 {
		return object{"match_all": object{}}
	}
	return object{"bool": object{"filter": others}}
}

func (x *Index) shown(r textsearch.Request) []string {
	fields := []string{"id", "kind", "group"}
	if r.GroupBy != "" && !slices.Contains(fields, r.GroupBy) {
		fields = append(fields, x.field(r.GroupBy))
	}
	return fields
}

func order(o textsearch.Order, scored bool) []any {
	byID := object{"id": "asc"}
	switch {
	case o == textsearch.Newest:
		return []any{object{"at": "desc"}, byID}
	case o == textsearch.Oldest:
		return []any{object{"at": "asc"}, byID}
	case scored:
		return []any{object{"_score": "desc"}, byID}
	}
	return []any{byID}
}

// field is the name that a keyword field has in the index.
func (x *Index) field(name string) string {
	switch name {
	case textsearch.FieldID, textsearch.FieldKind, textsearch.FieldGroup:
		return name
	}
	return "k." + name
}

func (x *Index) facet(f textsearch.Facet) object {
	if f.Field == textsearch.FieldTime {
		every := map[textsearch.Interval]string{textsearch.Day: "day", textsearch.Week: "week", textsearch.Month: "month", textsearch.Year: "year"}[f.Every]
		return object{"date_histogram": object{"field": "day", "calendar_interval": every, "min_doc_count": 1, "format": "uuuu-MM-dd"}}
	}
	terms := object{"field": x.field(f.Field), "size": f.Size, "order": []any{object{"_count": "desc"}, object{"_key": "asc"}}}
	if f.Only != nil {
		if len(f.Only) == 0 {
			return nil
		}
		terms["include"] = f.Only
	}
	return object{"terms": terms}
}

func buckets(f textsearch.Facet, answer json.RawMessage) ([]textsearch.Bucket, error) {
	list := []textsearch.Bucket{}
	if answer == nil {
		return list, nil
	}
	var counted struct {
		Of struct {
			Buckets []struct {
				Key  json.RawMessage `json:"key"`
				Text string          `json:"key_as_string"`
				N    int             `json:"doc_count"`
			} `json:"buckets"`
		} `json:"of"`
	}
	if err := json.Unmarshal(answer, &counted); err != nil {
		return nil, err
	}
	for _, b := range counted.Of.Buckets {
		value := b.Text
		if f.Field != textsearch.FieldTime {
			if err := json.Unmarshal(b.Key, &value); err != nil {
				return nil, err
			}
		}
		list = append(list, textsearch.Bucket{Value: value, Count: b.N})
	}
	if len(list) > f.Size { // of a histogram the latest
		list = list[len(list)-f.Size:]
	}
	return list, nil
}

func hitOf(h hit) textsearch.Hit {
	return textsearch.Hit{ID: first(h.Fields["id"]), Kind: first(h.Fields["kind"]), Group: first(h.Fields["group"]), Score: h.Score}
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// identify is a name for what a cursor belongs to.
func identify(org id.UUID, o textsearch.Order, query object) string {
	if o == "" {
		o = textsearch.ByScore
	}
	sum := sha256.Sum256(mustJSON([]any{org.String(), o, query}))
	return hex.EncodeToString(sum[:8])
}

func (c cursor) String() string { return base64.RawURLEncoding.EncodeToString(mustJSON(c)) }

func parseCursor(text, of string) (c cursor, err error) {
	if text == "" {
		return c, nil
	}
	if len(text) > maxCursor {
		return c, textsearch.ErrCursor
	}
	content, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || json.Unmarshal(content, &c) != nil || c.Of != of || len(c.Sort) == 0 {
		return c, textsearch.ErrCursor
	}
	return c, nil
}
