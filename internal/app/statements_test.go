package app_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/app"
	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/tools/bench/seed"
)

// The dashboard costs the same few statements whether it shows one session or fifty. The loaders wait long, so that a busy
// machine splits no batch: what is counted is the design, not the luck.
func TestDashboardStatements(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.AppOptions(app.WithLoaderWait(400*time.Millisecond)))
	issuer, err := auth.OpenDevIssuer(env.Config.Home)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := seed.Load(t.Context(), env.DB, issuer.Issuer().Name, seed.Small); err != nil {
		t.Fatal(err)
	}
	coach := env.With(env.Token(t, seed.Coach, time.Hour))
	const most = 8 // identity included
	var first []string
	for _, sessions := range []int{1, 10, 50} {
		ran := env.Statements.Of(func() {
			var out dashboard
			coach.Must(t, seed.Dashboard, apptest.Vars{"first": sessions}, &out)
			out.check(t, sessions)
		})
		if len(ran) > most {
			t.Errorf("%d sessions: %d statements, at most %d are allowed", sessions, len(ran), most)
		}
		tables := make([]string, len(ran))
		for i, sql := range ran {
			tables[i] = tableOf(sql)
		}
		if first == nil {
			first = tables
		} else if len(ran) != len(first) {
			t.Errorf("%d sessions: statements about %q, one session needs those about %q", sessions, tables, first)
		}
		t.Logf("%d sessions: %d statements, about %s", sessions, len(ran), strings.Join(tables, ", "))
	}
}

type dashboard struct {
	Sessions struct {
		Nodes []struct {
			ID       string
			Client   struct{ Name string }
			Coach    struct{ Name string }
			Tags     []struct{ Name string }
			Insights struct {
				Nodes []struct{ Citations []struct{ Quote string } }
			}
		}
	}
}

// check makes sure that the statements counted have fetched something at every place.
func (d *dashboard) check(t *testing.T, sessions int) {
	t.Helper()
	if len(d.Sessions.Nodes) != sessions {
		t.Fatalf("%d sessions came, %d were asked for", len(d.Sessions.Nodes), sessions)
	}
	tags := 0
	clients := map[string]bool{}
	for _, s := range d.Sessions.Nodes {
		tags += len(s.Tags)
		clients[s.Client.Name] = true
		if s.Client.Name == "" || s.Coach.Name == "" || len(s.Insights.Nodes) != 3 {
			t.Errorf("session %s lacks something: %+v", s.ID, s)
		}
		for _, i := range s.Insights.Nodes {
			if len(i.Citations) == 0 || i.Citations[0].Quote == "" {
				t.Errorf("session %s has an insight without a citation", s.ID)
			}
		}
	}
	if sessions >= 10 && (tags == 0 || len(clients) < 2) {
		t.Errorf("%d sessions of %d clients have %d tags: too alike to measure anything", sessions, len(clients), tags)
	}
}

// tableOf is the table that a statement is about: the first of its outermost FROM that is no list of keys.
func tableOf(sql string) string {
	table, outermost := fmt.Sprintf("%.40s", sql), -1
	depth := 0
	words := strings.Fields(sql)
	for i, word := range words {
		if from := strings.TrimLeft(word, "("); from == "FROM" && i+1 < len(words) && !strings.HasPrefix(words[i+1], "unnest(") &&
			(outermost < 0 || depth < outermost) {
			table, outermost = words[i+1], depth
		}
		depth += strings.Count(word, "(") - strings.Count(word, ")")
	}
	return table
}
