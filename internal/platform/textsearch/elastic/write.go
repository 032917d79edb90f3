package elastic

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/textsearch"
)

// action is one line or two of a bulk request.
type action struct {
	target string // an alias or, while an index is made anew, that index
	alias  bool   // whether target is one: no index is made by writing to a name
	id     string
	head   []byte
	body   []byte // nil of a deletion
	doc    string // the document's id, for who asks what became of it
}

func (a action) size() int { return len(a.head) + len(a.body) + 2 }

// to is the action on another target.
func (a action) to(target string) action {
	a.head = bytes.Replace(a.head, mustJSON(a.target), mustJSON(target), 1)
	a.target, a.alias = target, true
	return a
}

func mustJSON(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // texts and numbers
	}
	return text
}

// Put implements textsearch.Writer.
func (x *Index) Put(ctx context.Context, org id.UUID, docs []textsearch.Document) error {
	return x.put(ctx, org, docs, nil)
}

// put writes documents into what is in use and what is made anew, or, if it is given, into one index alone.
func (x *Index) put(ctx context.Context, org id.UUID, docs []textsearch.Document, into *string) error {
	if len(docs) > textsearch.MaxBatch {
		return fault.Invalid("documents", "must be at most %d", textsearch.MaxBatch)
	}
	if err := ctx.Err(); err != nil || len(docs) == 0 {
		return err
	}
	targets, err := x.targets(ctx, into)
	if err != nil {
		return err
	}
	var rejected textsearch.Rejected
	var actions []action
	for _, d := range docs {
		if err := x.schema.Check(d); err != nil {
			rejected.Documents = append(rejected.Documents, textsearch.Rejection{ID: d.ID, Err: err})
			continue
		}
		body := mustJSON(x.source(org, d))
		for _, target := range targets {
			head := object{"_index": target, "_id": key(org, d.ID), "routing": org.String(), "version": d.Version, "version_type": "external_gte"}
			if into == nil {
				head["require_alias"] = true
			}
			actions = append(actions, action{target: target, alias: into == nil, id: key(org, d.ID), head: mustJSON(object{"index": head}), body: body, doc: d.ID})
		}
	}
	failed, err := x.bulk(ctx, actions)
	if err != nil {
		return err
	}
	rejected.Documents = append(rejected.Documents, failed...)
	if len(rejected.Documents) > 0 {
		return &rejected
	}
	return nil
}

// targets are the aliases to write to: what is in use, and what is to replace it, if something is. It is asked each time, because
// any process may have begun to make an index anew.
func (x *Index) targets(ctx context.Context, into *string) ([]string, error) {
	if into != nil {
		return []string{*into}, nil
	}
	anew, err := x.aliasExists(ctx, x.next())
	if err != nil {
		return nil, err
	}
	if anew {
		return []string{x.next(), x.write()}, nil
	}
	return []string{x.write()}, nil
}

// outcome is what became of one action.
type outcome struct {
	ID     string `json:"_id"`
	Index  string `json:"_index"`
	Status int    `json:"status"`
	Error  *struct {
		Type string `json:"type"`
	} `json:"error"`
}

// bulk does the actions, in requests of bounded size, and tells of the documents that were not taken. What the server is too busy
// for is done again, after a while.
func (x *Index) bulk(ctx context.Context, actions []action) ([]textsearch.Rejection, error) {
	var rejected []textsearch.Rejection
	for len(actions) > 0 {
		n, bytes := 0, 0
		for n < len(actions) && n < maxBulkDocs && (n == 0 || bytes+actions[n].size() <= maxBulkBytes) {
			bytes += actions[n].size()
			n++
		}
		failed, err := x.bulkPart(ctx, actions[:n])
		if err != nil {
			return nil, err
		}
		rejected = append(rejected, failed...)
		actions = actions[n:]
	}
	return rejected, nil
}

func (x *Index) bulkPart(ctx context.Context, actions []action) (rejected []textsearch.Rejection, err error) {
	select {
	case x.writers <- struct{}{}:
		defer func() { <-x.writers }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	for attempt := 1; ; attempt++ {
		outcomes, err := x.bulkOnce(ctx, actions)
		switch {
		case status(err) == http.StatusTooManyRequests && attempt < attempts:
			if err := x.backoff(ctx, attempt); err != nil {
				return nil, err
			}
			continue
		case status(err) == http.StatusRequestEntityTooLarge && len(actions) > 1:
			half := len(actions) / 2
			first, err := x.bulkHalf(ctx, actions[:half])
			if err != nil {
				return nil, err
			}
			second, err := x.bulkHalf(ctx, actions[half:])
			return slices.Concat(rejected, first, second), err
		case err != nil:
			return nil, err
		}
		var again []action
		gone, busy := false, false
		for i, o := range outcomes {
			a := actions[i]
			switch {
			case o.Error == nil && o.Status < 300, o.Status == http.StatusConflict, a.body == nil && o.Status == http.StatusNotFound && o.Error == nil:
			case o.Status == http.StatusNotFound && a.alias && a.target == x.next():
				again = append(again, a.to(x.write())) // it has just become what is in use, or nothing
			case o.Status == http.StatusNotFound && a.alias && a.target == x.write():
				gone = true
				again = append(again, a)
			case o.Status == http.StatusTooManyRequests, unwell(o.Status):
				busy = true
				again = append(again, a)
			default:
				rejected = append(rejected, textsearch.Rejection{ID: a.doc, Err: fault.Invalid("document", "was refused by the search index (%s)", kindOf(o)).Because(&statusError{o.Status, kindOf(o)})})
			}
		}
		if len(again) == 0 {
			return rejected, nil
		}
		if attempt >= attempts {
			for _, a := range again {
				rejected = append(rejected, textsearch.Rejection{ID: a.doc, Err: textsearch.Unavailable(&statusError{status: http.StatusTooManyRequests})})
			}
			return rejected, nil
		}
		if gone {
			if err := x.ensure(ctx); err != nil {
				return nil, err
			}
		}
		if busy {
			if err := x.backoff(ctx, attempt); err != nil {
				return nil, err
			}
		}
		actions = again
	}
}

// bulkHalf is bulkPart for who writes already.
func (x *Index) bulkHalf(ctx context.Context, actions []action) ([]textsearch.Rejection, error) {
	<-x.writers
	defer func() { x.writers <- struct{}{} }()
	return x.bulkPart(ctx, actions)
}

func kindOf(o outcome) string {
	if o.Error == nil {
		return ""
	}
	return o.Error.Type
}

func (x *Index) bulkOnce(ctx context.Context, actions []action) ([]outcome, error) {
	var body bytes.Buffer
	for _, a := range actions {
		body.Write(a.head)
		body.WriteByte('\n')
		if a.body != nil {
			body.Write(a.body)
			body.WriteByte('\n')
		}
	}
	var answer struct {
		Items []map[string]outcome `json:"items"`
	}
	err := x.call(ctx, x.options.BulkTimeout, esapi.BulkRequest{Body: &body, FilterPath: []string{"items.*._id", "items.*._index", "items.*.status", "items.*.error.type"}}, &answer)
	if err != nil {
		return nil, err
	}
	if len(answer.Items) != len(actions) {
		return nil, textsearch.Unavailable(fmt.Errorf("%d outcomes of %d actions", len(answer.Items), len(actions)))
	}
	outcomes := make([]outcome, len(actions))
	for i, item := range answer.Items {
		for _, o := range item {
			outcomes[i] = o
		}
	}
	return outcomes, nil
}

// Refresh implements textsearch.Writer.
func (x *Index) Refresh(ctx context.Context) error {
	targets, err := x.targets(ctx, nil)
	if err != nil {
		return err
	}
	err = x.refresh(ctx, targets...)
	if status(err) == http.StatusNotFound {
		return nil // nothing was written
	}
	return err
}

func (x *Index) refresh(ctx context.Context, names ...string) error {
	return x.call(ctx, x.options.BulkTimeout, esapi.IndicesRefreshRequest{Index: names}, nil)
}

// Prune implements textsearch.Writer.
func (x *Index) Prune(ctx context.Context, org id.UUID, before int64, groups ...string) error {
	if err := ctx.Err(); err != nil || len(groups) == 0 {
		return err
	}
	for {
		targets, err := x.targets(ctx, nil)
		if err != nil {
			return err
		}
		if len(targets) > 1 {
			// Whoever fills the new index may have read what is removed here, and write it after this: so it is removed
			// again when it has.
			marked, err := x.mark(ctx, org, before, groups)
			if err != nil {
				return err
			}
			if !marked {
				continue // it was just done
			}
		}
		for _, target := range targets {
			if err := x.prune(ctx, target, org, before, groups); err != nil {
				return err
			}
		}
		return nil
	}
}

// prune removes what the groups have of older versions from one index. What comes in between reading and removing stays: each is
// removed as it was read or not at all, and what was not is looked at again.
func (x *Index) prune(ctx context.Context, target string, org id.UUID, before int64, groups []string) error {
	for round := 0; ; round++ {
		if err := x.refresh(ctx, target); err != nil {
			if status(err) == http.StatusNotFound {
				return nil
			}
			return err
		}
		removed := 0
		for part := range slices.Chunk(groups, textsearch.MaxTerms) {
			r := object{
				"size": textsearch.MaxBatch, "_source": false, "seq_no_primary_term": true, "track_total_hits": false, "sort": []any{"_doc"},
				"query": object{"bool": object{"filter": []any{
					object{"term": object{"org": org.String()}}, object{"terms": object{"group": part}}, object{"range": object{"version": object{"lt": before}}},
				}}},
			}
			var old found
			if err := x.call(ctx, x.options.BulkTimeout, esapi.SearchRequest{Index: []string{target}, Routing: []string{org.String()}, Body: encode(r)}, &old); err != nil {
				return err
			}
			var actions []action
			for _, h := range old.Hits.Hits {
				head := object{"_index": h.Index, "_id": h.ID, "routing": org.String(), "if_seq_no": h.SeqNo, "if_primary_term": h.PrimaryTerm}
				actions = append(actions, action{target: h.Index, id: h.ID, head: mustJSON(object{"delete": head}), doc: h.ID})
			}
			removed += len(actions)
			failed, err := x.bulk(ctx, actions)
			if err != nil {
				return err
			}
			if len(failed) > 0 {
				return cmp.Or[error](failed[0].Err, errors.New("not removed"))
			}
		}
		if removed == 0 {
			return nil
		}
		if round > 10_000 {
			return textsearch.Unavailable(errors.New("what is to be removed comes faster than it is removed"))
		}
	}
}
