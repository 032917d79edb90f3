package elastic

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/textsearch"
)

// lease is how long a Rebuild that gives no sign of life stands in the way of another.
const lease = time.Minute

// Rebuild implements textsearch.Index. Writers everywhere see the alias of what is to come, and write to both; what they remove
// meanwhile is noted in an index of markers, whose existence also keeps a second Rebuild away.
func (x *Index) Rebuild(ctx context.Context, fill func(ctx context.Context, w textsearch.Writer) error) (err error) {
	defer fault.Wrap(&err, "rebuild the search index")
	if err := x.ensure(ctx); err != nil {
		return err
	}
	name := x.options.Prefix + "-" + time.Now().UTC().Format("20060102t150405") + "-" + strings.ToLower(rand.Text()[:6])
	if err := x.begin(ctx, name); err != nil {
		return err
	}
	// However it ends, what is not in use is removed, also when ctx has ended.
	defer func() {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), x.options.BulkTimeout)
		defer cancel()
		if err != nil {
			err = errors.Join(err, x.remove(clean, name))
		}
		if left := errors.Join(x.remove(clean, x.markersOf(name)), x.giveUp(clean, name)); left != nil {
			x.options.Log.WarnContext(ctx, "cannot remove what is left of making the search index anew", "err", left)
		}
	}()
	working, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go x.hold(working, name, stop)

	if err := fill(working, &filler{x, name}); err != nil {
		return errors.Join(err, causeOf(working))
	}
	return x.replace(working, name)
}

// causeOf says why the work was stopped, if it was.
func causeOf(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return context.Cause(ctx)
}

// markersOf is the index of markers of one Rebuild.
func (x *Index) markersOf(name string) string { return name + "-markers" }

// lock is the index whose existence says that there is a Rebuild. Its one document says which.
func (x *Index) lock() string { return x.options.Prefix + "-rebuild" }

type claim struct {
	Name  string `json:"name"`
	Until int64  `json:"until"` // Unix milliseconds
}

// claimed is the claim that holds, a zero one if there is none yet.
func (x *Index) claimed(ctx context.Context) (claim, error) {
	var held struct {
		Source claim `json:"_source"`
	}
	err := x.call(ctx, x.options.Timeout, esapi.GetRequest{Index: x.lock(), DocumentID: "1"}, &held)
	if status(err) == http.StatusNotFound {
		err = nil
	}
	return held.Source, err
}

func (x *Index) claim(ctx context.Context, name string) error {
	c := claim{Name: name, Until: time.Now().Add(lease).UnixMilli()}
	return x.call(ctx, x.options.Timeout, esapi.IndexRequest{Index: x.lock(), DocumentID: "1", Body: encode(c)}, nil)
}

// giveUp ends the claim, if it is ours.
func (x *Index) giveUp(ctx context.Context, name string) error {
	if held, err := x.claimed(ctx); err != nil || held.Name != name {
		return err
	}
	return x.remove(ctx, x.lock())
}

// begin makes the index that is to come and shows it to writers. There is one Rebuild at a time: the second is refused, unless the
// first has given no sign of life.
func (x *Index) begin(ctx context.Context, name string) error {
	small := object{"number_of_shards": 1, "number_of_replicas": x.options.Replicas}
	create := esapi.IndicesCreateRequest{Index: x.lock()}
	for attempt := 1; ; attempt++ {
		create.Body = encode(object{"settings": small, "mappings": object{"properties": object{"name": object{"type": "keyword"}, "until": object{"type": "long"}}}})
		err := x.call(ctx, x.options.BulkTimeout, create, nil)
		if err == nil {
			break
		}
		if !refusal(err, "resource_already_exists_exception") {
			return err
		}
		held, err := x.claimed(ctx)
		if err != nil {
			return err
		}
		if attempt > 1 || held.Until > time.Now().UnixMilli() {
			return fault.Conflict("the search index is being made anew already")
		}
		if held.Name != "" {
			if err := errors.Join(x.remove(ctx, held.Name), x.remove(ctx, x.markersOf(held.Name))); err != nil {
				return err
			}
		}
		if err := x.remove(ctx, x.lock()); err != nil {
			return err
		}
	}
	if err := x.claim(ctx, name); err != nil {
		return err
	}
	err := x.call(ctx, x.options.BulkTimeout, esapi.IndicesCreateRequest{Index: x.markersOf(name), Body: encode(object{
		"aliases":  object{x.markers(): object{}},
		"settings": small,
		"mappings": object{"dynamic": "strict", "properties": object{"org": object{"type": "keyword"}, "group": object{"type": "keyword"}, "before": object{"type": "long"}}},
	})}, nil)
	if err != nil {
		return err
	}
	// Nobody looks into it before it is full: so it need not be refreshed, nor copied.
	return x.call(ctx, x.options.BulkTimeout, esapi.IndicesCreateRequest{Index: name, Body: encode(x.definition(object{x.next(): object{}}, 0, 0))}, nil)
}

// hold says that this Rebuild goes on, until ctx ends. When somebody else has taken over, it stops the work.
func (x *Index) hold(ctx context.Context, name string, stop context.CancelCauseFunc) {
	for pause(ctx, lease/4) == nil {
		held, err := x.claimed(ctx)
		if err == nil && held.Name != name {
			stop(fault.Conflict("somebody else makes the search index anew"))
			return
		}
		if err == nil {
			err = x.claim(ctx, name)
		}
		if err != nil && ctx.Err() == nil {
			x.options.Log.WarnContext(ctx, "cannot say that the search index is still being made anew", "err", err)
		}
	}
}

// replace makes the filled index the one in use.
func (x *Index) replace(ctx context.Context, name string) error {
	settings := object{"index": object{"refresh_interval": refreshEvery.String(), "number_of_replicas": x.options.Replicas}}
	if err := x.call(ctx, x.options.BulkTimeout, esapi.IndicesPutSettingsRequest{Index: []string{name}, Body: encode(settings)}, nil); err != nil {
		return err
	}
	if err := x.catchUp(ctx, name); err != nil {
		return err
	}
	before, err := x.count(ctx, x.read())
	if err != nil && status(err) != http.StatusNotFound { // nobody has filled it
		return err
	}
	after, err := x.count(ctx, name)
	if err != nil {
		return err
	}
	var used map[string]any
	if err := x.call(ctx, x.options.Timeout, esapi.IndicesGetAliasRequest{Name: []string{x.write()}}, &used); err != nil {
		return err
	}
	actions := []any{
		object{"remove": object{"index": name, "alias": x.next(), "must_exist": true}}, // it fails if somebody has taken over
		object{"add": object{"index": name, "alias": x.read()}},
		object{"add": object{"index": name, "alias": x.write(), "is_write_index": true}},
	}
	for old := range used {
		actions = append(actions, object{"remove_index": object{"index": old}})
	}
	if err := x.call(ctx, x.options.BulkTimeout, esapi.IndicesUpdateAliasesRequest{Body: encode(object{"actions": actions})}, nil); err != nil {
		return err
	}
	x.options.Log.InfoContext(ctx, "the search index was made anew", "index", name, "documents", after, "before", before)
	// What was removed between the last look at the markers and now. Whoever comes later removes from this index alone. It is in use by
	// now, so that this is no reason to take it back.
	if err := x.catchUp(context.WithoutCancel(ctx), name); err != nil {
		x.options.Log.WarnContext(ctx, "the search index may hold what was removed while it was made anew: make it anew again", "err", err)
	}
	return nil
}

func (x *Index) count(ctx context.Context, name string) (int, error) {
	var counted struct {
		Count int `json:"count"`
	}
	err := x.call(ctx, x.options.BulkTimeout, esapi.CountRequest{Index: []string{name}}, &counted)
	return counted.Count, err
}

// remove removes an index, if it is there.
func (x *Index) remove(ctx context.Context, name string) error {
	err := x.call(ctx, x.options.BulkTimeout, esapi.IndicesDeleteRequest{Index: []string{name}}, nil)
	if status(err) == http.StatusNotFound {
		return nil
	}
	return err
}

// mark notes that groups were pruned while an index is filled; false says that none is any more.
func (x *Index) mark(ctx context.Context, org id.UUID, before int64, groups []string) (bool, error) {
	var actions []action
	for _, g := range groups {
		sum := sha256.Sum256([]byte(org.String() + "/" + g))
		key := hex.EncodeToString(sum[:])
		head := object{"_index": x.markers(), "_id": key, "require_alias": true, "version": before, "version_type": "external_gte"}
		actions = append(actions, action{target: x.markers(), id: key, head: mustJSON(object{"index": head}), body: mustJSON(object{"org": org.String(), "group": g, "before": before})})
	}
	failed, err := x.bulk(ctx, actions)
	if err != nil || len(failed) == 0 {
		return err == nil, err
	}
	if status(failed[0].Err) == http.StatusNotFound {
		return false, nil
	}
	return false, failed[0].Err
}

// catchUp removes from the index what was pruned while it was filled.
func (x *Index) catchUp(ctx context.Context, name string) error {
	if err := x.refresh(ctx, x.markersOf(name), name); err != nil {
		return err
	}
	r := object{"size": textsearch.MaxBatch, "sort": []any{object{"org": "asc"}, object{"group": "asc"}}, "track_total_hits": false, "query": object{"match_all": object{}}}
	for {
		var page found
		if err := x.call(ctx, x.options.BulkTimeout, esapi.SearchRequest{Index: []string{x.markersOf(name)}, Body: encode(r)}, &page); err != nil {
			return err
		}
		for _, h := range page.Hits.Hits {
			var org id.UUID
			if err := org.UnmarshalText([]byte(h.Source.Org)); err != nil {
				return fmt.Errorf("a marker: %w", err)
			}
			if err := x.prune(ctx, name, org, h.Source.Before, []string{h.Source.Group}); err != nil {
				return err
			}
			r["search_after"] = h.Sort
		}
		if len(page.Hits.Hits) < textsearch.MaxBatch {
			return nil
		}
	}
}

// filler writes into the index that is to come.
type filler struct {
	x    *Index
	name string
}

func (f *filler) Put(ctx context.Context, org id.UUID, docs []textsearch.Document) error {
	return f.x.put(ctx, org, docs, &f.name)
}

func (f *filler) Prune(ctx context.Context, org id.UUID, before int64, groups ...string) error {
	return f.x.prune(ctx, f.name, org, before, groups)
}

func (f *filler) Refresh(ctx context.Context) error { return f.x.refresh(ctx, f.name) }
