package elastic_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/textsearch"
	"github.com/rapporthq/rapport/internal/platform/textsearch/elastic"
	"github.com/rapporthq/rapport/internal/platform/textsearch/textsearchtest"
	"github.com/rapporthq/rapport/internal/testkit"
)

// Two processes, one of which makes the index anew: what the other removes meanwhile does not come back, though whoever fills the new
// index has read it before.
func TestMadeAnewByAnother(t *testing.T) {
	t.Parallel()
	url := testkit.Elasticsearch(t)
	prefix := testkit.IndexPrefix(t, url)
	same := func(o *elastic.Options) { o.Prefix = prefix }
	one, other := open(t, url, same), open(t, url, same)
	org := id.New()
	put(t, one, org, doc("removed", "word"), doc("stays", "word"))
	err := one.Rebuild(t.Context(), func(ctx context.Context, w textsearch.Writer) error {
		if err := other.Prune(ctx, org, 2, "g"); err != nil {
			return err
		}
		put(t, other, org, func() textsearch.Document { d := doc("stays", "word"); d.Version = 5; return d }())
		want(t, other, org, 1)
		if err := other.Rebuild(ctx, func(context.Context, textsearch.Writer) error { return nil }); fault.KindOf(err) != fault.KindConflict {
			t.Errorf("a second one at the same time: %v", err)
		}
		return w.Put(ctx, org, []textsearch.Document{doc("removed", "word"), doc("stays", "word")})
	})
	if err != nil {
		t.Fatal(err)
	}
	want(t, one, org, 1)
	want(t, other, org, 1)
	put(t, other, org, doc("later", "word"))
	want(t, one, org, 2)
	if names := indexes(t, url, prefix); len(names) != 1 {
		t.Errorf("indexes are left: %v", names)
	}
}

// What a process that was killed while it made the index anew has left stands in nobody's way.
func TestMadeAnewAfterACrash(t *testing.T) {
	t.Parallel()
	url := testkit.Elasticsearch(t)
	prefix := testkit.IndexPrefix(t, url)
	x := open(t, url, func(o *elastic.Options) { o.Prefix = prefix })
	org := id.New()
	put(t, x, org, doc("a", "word"))
	err := x.Rebuild(t.Context(), func(ctx context.Context, w textsearch.Writer) error {
		// As if the claim had ended long ago.
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/"+prefix+"-rebuild/_update/1", strings.NewReader(`{"doc":{"until":1}}`))
		if err != nil {
			return err
		}
		r.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			return err
		}
		_ = res.Body.Close()
		if err := x.Rebuild(ctx, func(ctx context.Context, w textsearch.Writer) error {
			return w.Put(ctx, org, []textsearch.Document{doc("a", "word"), doc("b", "word")})
		}); err != nil {
			return fmt.Errorf("the second: %w", err)
		}
		return nil // and the first, which was only slow, must not replace what the second has made
	})
	if err == nil || strings.Contains(err.Error(), "the second") {
		t.Errorf("Rebuild: %v", err)
	}
	want(t, x, org, 2)
	if names := indexes(t, url, prefix); len(names) != 1 {
		t.Errorf("indexes are left: %v", names)
	}
}

func indexes(t *testing.T, url, prefix string) []string {
	t.Helper()
	res, err := http.Get(url + "/_cat/indices/" + prefix + "-*?h=index")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(text))
}

// An index that another version of the program has made is found out.
func TestReach(t *testing.T) {
	t.Parallel()
	url := testkit.Elasticsearch(t)
	prefix := testkit.IndexPrefix(t, url)
	x := open(t, url, func(o *elastic.Options) { o.Prefix = prefix })
	if err := x.Reach(t.Context()); err != nil {
		t.Errorf("Reach: %v", err)
	}
	schema := textsearchtest.Schema
	schema.Keywords = append(slices.Clone(schema.Keywords), textsearch.Keyword{Name: "new"})
	newer, err := elastic.New(schema, elastic.Options{URLs: []string{url}, Prefix: prefix})
	if err != nil {
		t.Fatal(err)
	}
	if err := newer.Reach(t.Context()); fault.KindOf(err) != fault.KindUnavailable || !strings.Contains(err.Error(), "made anew") {
		t.Errorf("Reach: %v", err)
	}
	if err := newer.Rebuild(t.Context(), func(context.Context, textsearch.Writer) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if err := newer.Reach(t.Context()); err != nil {
		t.Errorf("made anew: %v", err)
	}
}

// An index that nobody has filled is away, rather than finding nothing.
func TestAwaitsFilling(t *testing.T) {
	t.Parallel()
	x := open(t, testkit.Elasticsearch(t), func(o *elastic.Options) { o.AwaitFilling = true })
	org := id.New()
	put(t, x, org, doc("before", "word"))
	unavailable := func(what string, err error) {
		t.Helper()
		if fault.KindOf(err) != fault.KindUnavailable {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err := total(t.Context(), x, org)
	unavailable("Search", err)
	_, err = x.Search(t.Context(), org, textsearch.Request{Query: textsearch.Word{Text: "word"}, Size: 1})
	unavailable("Search in the order of scores", err)
	_, err = x.Suggest(t.Context(), org, textsearch.SuggestRequest{Prefix: "w", Size: 1})
	unavailable("Suggest", err)
	unavailable("Reach", x.Reach(t.Context()))
	if err := x.Rebuild(t.Context(), func(ctx context.Context, w textsearch.Writer) error {
		return w.Put(ctx, org, []textsearch.Document{doc("filled", "word")})
	}); err != nil {
		t.Fatal(err)
	}
	want(t, x, org, 1)
	if err := x.Reach(t.Context()); err != nil {
		t.Errorf("filled: %v", err)
	}
}
