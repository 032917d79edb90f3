package app_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/config"
	"github.com/rapporthq/rapport/internal/platform/id"
	elastic "github.com/rapporthq/rapport/internal/platform/textsearch/elastic/local"
	"github.com/rapporthq/rapport/internal/testkit"
)

var searches = flag.Int("searches", 1000, "how many searches of 20 organizations at once the test of isolation makes")

// Twenty houses that say the same words, each with its number among them, search for these words at once. Nobody's answer has another's number in it.
func TestHousesSearchApart(t *testing.T) {
	t.Parallel()
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		searchApart(t, apptest.New(t))
	})
	t.Run("Elasticsearch", func(t *testing.T) {
		t.Parallel()
		env := apptest.New(t, inElasticsearch(t, testkit.Elasticsearch(t)))
		defer func() {
			if got := finds(t, env.Login(t, address(0)), "river", ""); got.Degraded != nil {
				t.Errorf("it was PostgreSQL: %s", *got.Degraded)
			}
		}()
		searchApart(t, env)
	})
}

const houses = 20

func address(house int) string { return fmt.Sprintf("coach%d@house.example", house) }

func searchApart(t *testing.T, env *apptest.Env) {
	for n := range houses {
		house(t, env, n)
	}
	env.Index(t)
	if len(env.Config.Search.ElasticsearchURLs) > 0 {
		fill(t, env)
	}
	asked := []string{
		`{search(query: "river", facets: [{field: CLIENT}, {field: TAG}, {field: COACH}, {field: ENGAGEMENT}]) ` + searchFields + `}`,
		`{search(query: "boats on the river", mode: HYBRID, facets: [{field: CLIENT}, {field: TAG}]) ` + searchFields + `}`,
		`{search(query: "boats on the river", mode: SEMANTIC) ` + searchFields + `}`,
		`{search(query: "rivr OR tag:river*", groupBy: SESSION) ` + searchFields + `}`,
		`{suggest(prefix: "ri") {text}}`,
	}
	number := regexp.MustCompile(`house(\d+)`)
	t.Run("at once", func(t *testing.T) { // which ends when all houses have
		for n := range houses {
			t.Run(fmt.Sprint(n), func(t *testing.T) {
				t.Parallel()
				coach := env.Login(t, address(n))
				for i := range *searches / houses {
					query := asked[i%len(asked)]
					var out json.RawMessage
					coach.Must(t, query, nil, &out)
					numbers := number.FindAllStringSubmatch(string(out), -1)
					if len(numbers) == 0 {
						t.Fatalf("%s finds nothing: %s", query, out)
					}
					for _, found := range numbers {
						if found[1] != fmt.Sprint(n) {
							t.Fatalf("%s shows a word of house %s: %s", query, found[1], out)
						}
					}
				}
			})
		}
	})
}

// house founds an organization of one coach with one client, who talk of a river.
func house(t *testing.T, env *apptest.Env, n int) {
	t.Helper()
	org, user := id.New(), id.New()
	sql(t, env, `INSERT INTO organizations (id, slug, name) VALUES ($1, $2, $3)`, org, fmt.Sprintf("house%d", n), fmt.Sprintf("The house%d", n))
	sql(t, env, `INSERT INTO users (id, email, name) VALUES ($1, $2, $3)`, user, address(n), fmt.Sprintf("Rhea of house%d", n))
	sql(t, env, `INSERT INTO user_identities (issuer, subject, user_id) VALUES ($1, $2, $3)`, auth.DevIssuerName, address(n), user)
	sql(t, env, `INSERT INTO memberships (id, org_id, user_id, roles) VALUES ($1, $2, $3, '{COACH}')`, id.New(), org, user)
	coach := env.Login(t, address(n))
	her := does(t, coach, "createClient", "client", "id", apptest.Vars{"name": fmt.Sprintf("Rita of house%d", n)})["id"]
	does(t, coach, "giveConsent", "subject", "__typename", apptest.Vars{"subjectId": her, "scopes": []string{"TRANSCRIPTION", "AI_ANALYSIS"}})
	engagement := does(t, coach, "createEngagement", "engagement", "id", apptest.Vars{"clientId": her, "title": fmt.Sprintf("River of house%d", n)})["id"]
	session := does(t, coach, "createSession", "session", "id", apptest.Vars{"engagementId": engagement, "title": fmt.Sprintf("River and house%d", n), "startsAt": time.Now().Add(-time.Hour)})["id"].(string)
	does(t, coach, "tag", "tag", "id", apptest.Vars{"entityId": session, "name": fmt.Sprintf("river house%d", n)})
	does(t, coach, "createNote", "note", "id", apptest.Vars{"entityId": session, "body": fmt.Sprintf("The river again, in house%d.", n)})
	imports(t, coach, session, fmt.Sprintf("Rhea: What do you see of the river in house%[1]d?\nRita: I see boats on the river, and house%[1]d. I will count the boats in house%[1]d tomorrow.\n", n))
}

// While Elasticsearch is killed and started again, and transcripts arrive, no search fails; afterwards all is in the index.
func TestElasticsearchKilledWhileImporting(t *testing.T) {
	t.Parallel()
	server := testkit.OwnElasticsearch(t, elastic.Full)
	env := apptest.Demo(t, apptest.Running(), apptest.Config(func(c *config.Config) {
		c.Search = config.Search{ElasticsearchURLs: []string{server.URL()}, ElasticsearchPrefix: "killed", ElasticsearchShards: 1, ElasticsearchTimeout: 5 * time.Second}
	}))
	coach := env.Login(t, apptest.Coach)
	engagement := one(t, env, "engagement", `SELECT engagement_id FROM sessions WHERE id = $1`, uuid(t, amara2.id(t, env)))
	whole := func() error {
		if got := finds(t, coach, "", ""); got.Degraded != nil {
			return fmt.Errorf("degraded: %s", *got.Degraded)
		}
		return nil
	}
	testkit.Eventually(t, 2*time.Minute, whole)

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var degraded, asked atomic.Int64
	var asking sync.WaitGroup
	for range 2 {
		asking.Go(func() {
			for ctx.Err() == nil {
				r := coach.Do(t, `{search(query: "wandering heron") {totalCount degraded} suggest(prefix: "de") {text}}`, nil)
				if len(r.Errors) > 0 {
					t.Errorf("a search fails: %.500s", r.Body)
					return
				}
				asked.Add(1)
				if !strings.Contains(string(r.Body), `"degraded":null`) {
					degraded.Add(1)
				}
			}
		})
	}
	const rounds, each = 2, 6
	for round := range rounds {
		server.Kill()
		before := degraded.Load()
		for n := range each {
			session := does(t, coach, "createSession", "session", "id", apptest.Vars{"engagementId": engagement, "startsAt": time.Now().Add(-time.Hour)})["id"].(string)
			imports(t, coach, session, strings.Repeat("Ruth: And then?\nAmara Okafor: I saw a wandering heron.\n", 5+n))
			if n == each/2 {
				testkit.Eventually(t, time.Minute, func() error {
					if degraded.Load() == before {
						return fmt.Errorf("round %d: no answer of %d is degraded", round, asked.Load())
					}
					return nil
				})
				if err := server.Restart(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		testkit.Eventually(t, 2*time.Minute, whole)
	}
	testkit.Eventually(t, 3*time.Minute, func() error { // jobs that found it away come back
		if n := value[int](t, env, `SELECT (SELECT count(*) FROM search_changes) + (SELECT count(*) FROM jobs WHERE kind LIKE 'search.%' AND state IN ('PENDING', 'RUNNING'))`); n > 0 {
			return fmt.Errorf("%d things are to be indexed", n)
		}
		return nil
	})
	const said = rounds * (5 + 6 + 7 + 8 + 9 + 10)
	testkit.Eventually(t, time.Minute, func() error {
		if got := finds(t, coach, `"wandering heron" kind:utterance`, ""); got.TotalCount != said || got.Degraded != nil {
			return fmt.Errorf("%d of %d are found (degraded: %v)", got.TotalCount, said, got.Degraded)
		}
		return nil
	})
	stop()
	asking.Wait()
	if held, err := env.App.Services().Search.Verify(t.Context()); err != nil || held.Repaired != 0 {
		t.Errorf("the indexes differ: %+v, %v", held, err)
	}
	if n := strings.Count(env.Log.String(), "the search engine does not answer"); n == 0 || int64(n) > degraded.Load()/2 {
		t.Errorf("of %d degraded searches the log has %d lines", degraded.Load(), n)
	}
	if !strings.Contains(env.Log.String(), "connection refused") {
		t.Errorf("the log does not say why: %s", slices.DeleteFunc(strings.Split(env.Log.String(), "\n"), func(l string) bool { return !strings.Contains(l, "does not answer") }))
	}
	t.Logf("%d searches, %d of them degraded", asked.Load(), degraded.Load())
}
