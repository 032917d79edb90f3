package pgsearch_test

import (
	"encoding/base64"
	"errors"
	"regexp"
	"strconv"
	"testing"

	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/textsearch"
	pgsearch "github.com/rapporthq/rapport/internal/platform/textsearch/postgres"
	"github.com/rapporthq/rapport/internal/platform/textsearch/textsearchtest"
	"github.com/rapporthq/rapport/internal/testkit"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	textsearchtest.Run(t, fixture)
}

func fixture(t *testing.T) textsearchtest.Fixture {
	db := testkit.DB(t)
	f := textsearchtest.Fixture{Org: id.New(), Org2: id.New()}
	for slug, org := range map[string]id.UUID{"one": f.Org, "two": f.Org2} {
		if _, err := db.Exec(t.Context(), `INSERT INTO organizations (id, slug, name) VALUES ($1, $2, $2)`, org, slug); err != nil {
			t.Fatal(err)
		}
	}
	x, err := pgsearch.New(db, textsearchtest.Schema)
	if err != nil {
		t.Fatal(err)
	}
	f.Index = x
	return f
}

// A cursor can be read, and so be written by others: what no search writes is refused before the database has to.
func TestForgedCursor(t *testing.T) {
	t.Parallel()
	f := fixture(t)
	docs := make([]textsearch.Document, 3)
	for i := range docs {
		name := "d" + strconv.Itoa(i)
		docs[i] = textsearch.Document{ID: name, Kind: "NOTE", Group: name, Version: 1, Texts: map[string]string{"text": "anchor"}}
	}
	if err := f.Index.Put(t.Context(), f.Org, docs); err != nil {
		t.Fatal(err)
	}
	r := textsearch.Request{Query: textsearch.Word{Text: "anchor"}, Size: 1}
	found, err := f.Index.Search(t.Context(), f.Org, r)
	if err != nil || len(found.Hits) != 1 {
		t.Fatalf("%+v, %v", found, err)
	}
	raw, err := base64.RawURLEncoding.DecodeString(found.Hits[0].Cursor)
	if err != nil {
		t.Fatal(err)
	}
	weight := regexp.MustCompile(`"w":\[[^]]*\]`)
	if !weight.Match(raw) {
		t.Fatalf("the cursor is %s", raw)
	}
	for _, w := range []string{"1e308", "-1", "1e7"} {
		r.After = base64.RawURLEncoding.EncodeToString(weight.ReplaceAll(raw, []byte(`"w":[`+w+`]`)))
		if _, err := f.Index.Search(t.Context(), f.Org, r); !errors.Is(err, textsearch.ErrCursor) {
			t.Errorf("%s: %v", w, err)
		}
	}
}
