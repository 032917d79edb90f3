package judged_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/app"
	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/app/demo"
	"github.com/rapporthq/rapport/internal/app/judged"
	"github.com/rapporthq/rapport/internal/coaching/search"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/config"
	"github.com/rapporthq/rapport/internal/platform/embed/local"
	"github.com/rapporthq/rapport/internal/testkit"
)

var evaluate = flag.Bool("evaluate", false, "measure with all conversations, in both engines, and print the table of docs/search.md: make evaluate-search")

func TestMain(m *testing.M) {
	code := m.Run()
	if err := apptest.Drop(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func queries(t testing.TB, p judged.Part) []judged.Query {
	t.Helper()
	all, err := judged.Queries(p)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// practice is the demo with the conversations of invented clients, searched with the real model. ctx is Ruth's.
func practice(t testing.TB, conversations int, opts ...apptest.Option) (*apptest.Env, context.Context) {
	t.Helper()
	env := apptest.Demo(t, append(opts, apptest.AppOptions(app.WithEmbedder(local.New())))...)
	var ruth auth.Viewer
	if err := env.DB.QueryRow(t.Context(), `SELECT m.org_id, m.user_id FROM memberships m JOIN users u ON u.id = m.user_id WHERE u.email = $1 AND m.org_id = $2`,
		apptest.Coach, demo.ID("harbor", "organization", "harbor")).Scan(&ruth.Org, &ruth.User); err != nil {
		t.Fatal(err)
	}
	ruth.Roles = []auth.Role{auth.RoleCoach}
	ctx := auth.WithViewer(t.Context(), ruth)
	if err := judged.Fill(ctx, env.App.Services(), conversations); err != nil {
		t.Fatal(err)
	}
	if _, err := env.DB.Exec(t.Context(), `DELETE FROM search_models`); err != nil { // the demo's vectors are of another model
		t.Fatal(err)
	}
	if err := env.App.Services().Meaning.Review(t.Context()); err != nil {
		t.Fatal(err)
	}
	for {
		env.Index(t)
		var waits bool
		if err := env.DB.QueryRow(t.Context(), `UPDATE jobs SET run_at = now(), due_at = now() WHERE kind = $1 AND state = 'PENDING' AND org_id = $2 RETURNING true`, search.JobSwitch, ruth.Org).Scan(&waits); err != nil {
			return env, ctx // nothing is left to be done
		}
	}
}

func judge(t testing.TB, ctx context.Context, env *apptest.Env, mode search.Mode, of []judged.Query) []float64 {
	t.Helper()
	moments, err := judged.Locate(ctx, env.DB, of)
	if err != nil {
		t.Fatal(err)
	}
	scores, err := judged.Judge(ctx, env.App.Services().Search, mode, of, moments)
	if err != nil {
		t.Fatal(err)
	}
	return scores
}

// Words and meaning together find better than either alone. It is a small practice and the queries for tuning; what docs/search.md says is measured with
// all conversations, in both engines, if -evaluate is given: that takes minutes.
func TestHybridIsBetter(t *testing.T) {
	t.Parallel()
	if *evaluate {
		figures(t)
		return
	}
	env, ctx := practice(t, 4)
	of := queries(t, judged.Dev)
	mean := map[search.Mode]float64{}
	for _, mode := range judged.Modes {
		mean[mode] = judged.Mean(judge(t, ctx, env, mode, of)).Mean
	}
	t.Logf("nDCG@10 of %d queries: %v", len(of), mean)
	if mean[search.Hybrid] <= max(mean[search.Keyword], mean[search.Semantic]) {
		t.Errorf("hybrid is not better than both alone: %v", mean)
	}
}

// engine is what searches for words.
type engine struct {
	name string
	opts []apptest.Option
}

// figures prints the table of docs/search.md.
func figures(t *testing.T) {
	t.Helper()
	url := testkit.Elasticsearch(t)
	prefix := testkit.IndexPrefix(t, url)
	for _, e := range []engine{{"PostgreSQL", nil}, {"Elasticsearch", []apptest.Option{apptest.Config(func(c *config.Config) {
		c.Search = config.Search{ElasticsearchURLs: []string{url}, ElasticsearchPrefix: prefix, ElasticsearchShards: 1, ElasticsearchTimeout: 20 * time.Second}
	})}}} {
		env, ctx := practice(t, judged.Conversations, e.opts...)
		if e.opts != nil {
			if _, err := env.App.FillSearch(ctx); err != nil {
				t.Fatal(err)
			}
			if err := env.App.Services().Search.Refresh(ctx); err != nil {
				t.Fatal(err)
			}
		}
		for _, part := range []judged.Part{judged.Dev, judged.HeldOut} {
			report(t, ctx, env, e.name, part)
		}
	}
}

func report(t testing.TB, ctx context.Context, env *apptest.Env, engine string, part judged.Part) {
	t.Helper()
	of := queries(t, part)
	scores := map[search.Mode][]float64{}
	for _, mode := range judged.Modes {
		scores[mode] = judge(t, ctx, env, mode, of)
		fmt.Printf("| %s | %s | %s |", engine, part, strings.ToLower(string(mode)))
		for _, kind := range []judged.Kind{judged.Exact, judged.Paraphrase, judged.Mixed} {
			var some []float64
			for i, q := range of {
				if q.Kind == kind {
					some = append(some, scores[mode][i])
				}
			}
			fmt.Printf(" %.3f |", judged.Mean(some).Mean)
		}
		fmt.Printf(" %s |\n", inWords(judged.Mean(scores[mode])))
	}
	for _, mode := range []search.Mode{search.Keyword, search.Semantic} {
		better := make([]float64, len(of))
		for i := range better {
			better[i] = scores[search.Hybrid][i] - scores[mode][i]
		}
		fmt.Printf("hybrid before %s: %s\n", strings.ToLower(string(mode)), inWords(judged.Mean(better)))
	}
	if testing.Verbose() && part == judged.Dev { // who tunes is to see nothing of the other part
		for i, q := range of {
			fmt.Printf("  %-14s %.2f %.2f %.2f  %s\n", q.ID, scores[search.Keyword][i], scores[search.Semantic][i], scores[search.Hybrid][i], q.Text)
		}
	}
}

func inWords(i judged.Interval) string {
	return fmt.Sprintf("%.3f [%.3f, %.3f]", i.Mean, i.Low, i.High)
}
