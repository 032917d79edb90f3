package pgsearch_test

import (
	"testing"

	"github.com/rapporthq/rapport/internal/platform/id"
	pgsearch "github.com/rapporthq/rapport/internal/platform/textsearch/postgres"
	"github.com/rapporthq/rapport/internal/platform/textsearch/textsearchtest"
	"github.com/rapporthq/rapport/internal/testkit"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	textsearchtest.Run(t, func(t *testing.T) textsearchtest.Fixture {
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
	})
}
