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

// Lists of goals and actions, with all that hangs on each, cost as many statements for twenty as for one.
func TestGoalsStatements(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.AppOptions(app.WithLoaderWait(400*time.Millisecond)))
	issuer, err := auth.OpenDevIssuer(env.Config.Home)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := seed.Load(t.Context(), env.DB, issuer.Issuer().Name, seed.Size{Clients: 4, Sessions: 2, Utterances: 4, Insights: 2, Goals: 20, Actions: 40}); err != nil {
		t.Fatal(err)
	}
	coach := env.With(env.Token(t, seed.Coach, time.Hour))
	const action = `title dueAt overdue client { name } coach { name } goal { title } session { title } sourceInsight { title } assignees { user { name } client { name } dueAt }`
	for about, list := range map[string]struct {
		query string
		most  int
	}{
		"goals": {`query($n: Int!) { goals(first: $n) { nodes { title progress latestScore client { name } coach { name } engagement { title }
			checkIns(first: $n) { nodes { score author { name } corrects { id } } totalCount } sessions { title } insights { title citations { quote } }
			actionItems(first: $n) { nodes { ` + action + ` } totalCount } } } }`, 16},
		"a client's goals": {`query($n: Int!) { clients(first: 4) { nodes { goals(first: $n) { nodes { title progress checkIns(first: 2) { nodes { score } }
			sessions { title } insights { title } actionItems(first: 2) { nodes { title } } } totalCount } actionItems(first: $n) { nodes { title } totalCount } } } }`, 12},
		"what is to do": {`query($n: Int!) { viewer { actionItems(first: $n) { nodes { ` + action + ` } totalCount } } }`, 8},
	} {
		counts := map[int]int{}
		for _, n := range []int{1, 20} {
			for range 3 { // a machine that is very busy splits a batch: that adds statements, and never again the same
				ran := env.Statements.Of(func() {
					if r := coach.Do(t, list.query, apptest.Vars{"n": n}); len(r.Errors) > 0 || strings.Count(string(r.Data), `"title"`) < n {
						t.Errorf("%s: %.500s", about, r.Body)
					}
				})
				if counts[n] = len(ran); len(ran) <= list.most {
					break
				}
			}
			if counts[n] > list.most {
				t.Errorf("%s: %d statements, at most %d are allowed", about, counts[n], list.most)
			}
		}
		if counts[1] != counts[20] {
			t.Errorf("%s takes %d statements for one and %d for twenty", about, counts[1], counts[20])
		}
		t.Logf("%s: %d statements", about, counts[20])
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
