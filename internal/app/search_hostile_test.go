package app_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/testkit"
)

// boundedBy is how long a search may take whatever is asked: many times what the slowest takes on a busy machine.
const boundedBy = 30 * time.Second

// Whatever somebody types, pastes or sends is searched for or refused by a code that says so, in bounded time, in every mode and by both engines.
func TestSearchTakesAnything(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*testing.T) *apptest.Env{
		"PostgreSQL": func(t *testing.T) *apptest.Env {
			env := apptest.Demo(t)
			env.Index(t)
			return env
		},
		"Elasticsearch": func(t *testing.T) *apptest.Env {
			env := apptest.Demo(t, inElasticsearch(t, testkit.Elasticsearch(t)))
			fill(t, env)
			env.Index(t)
			return env
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			takesAnything(t, start(t).Login(t, apptest.Coach))
		})
	}
}

func takesAnything(t *testing.T, coach *apptest.Client) {
	t.Helper()
	search := func(name, refused string, vars apptest.Vars) {
		t.Helper()
		modes := []string{"KEYWORD", "SEMANTIC", "HYBRID"}
		if refused != "" {
			modes = modes[:1] // before anything is searched
		}
		for _, mode := range modes {
			vars["mode"] = mode
			began := time.Now()
			r := coach.Do(t, `query($q: String!, $mode: SearchMode!, $filter: SessionFilter, $kinds: [SearchKind!], $facets: [SearchFacetInput!]) {
				search(query: $q, mode: $mode, filter: $filter, kinds: $kinds, facets: $facets, first: 5) {nodes {score highlights {segments {text}}} degraded interpretation {query notes}}}`, vars)
			took := time.Since(began)
			if (r.Code() == "INVALID") != (refused != "") || r.Code() != "" && r.Code() != "INVALID" || !strings.Contains(string(r.Body), refused) {
				t.Errorf("%s, %s: want %q: %.300s", name, mode, refused, r.Body)
			}
			if took > boundedBy {
				t.Errorf("%s, %s: it took %s", name, mode, took)
			}
			if strings.Contains(string(r.Body), "cannot be reached") { // the engine that is meant has to answer
				t.Errorf("%s, %s: %.300s", name, mode, r.Body)
			}
		}
	}
	for name, query := range map[string]string{
		"a regular expression":     `(a+)+$ (x|x)*y .* [a-z]{1,99} ^(([a-z])+.)+[A-Z]([a-z])+$ ` + strings.Repeat("a", 200) + "!",
		"one that explodes":        strings.Repeat("(a*)*", 20) + "b",
		"regexp of Lucene":         `/[a-z]{1,9999}.*/ text:/(a|b)+/ _exists_:text {!join} ?* a~2147483647 a^99999`,
		"quotes left open":         `"delegating "the time" "and`,
		"nothing but quotes":       strings.Repeat(`"`, 151) + " time",
		"curly quotes mixed":       `“delegating" the ”time“`,
		"brackets":                 strings.Repeat("(", 2000) + "x" + strings.Repeat(")", 1900) + " time",
		"brackets never closed":    strings.Repeat("(", 3000) + "x",
		"minus signs":              strings.Repeat("-", 3000) + "time",
		"operators":                strings.Repeat("OR ", 1000) + "time",
		"control characters":       "dele\x01gating\x7f \x00 time \x1b[31m \u202e emit \u2028 \ufeff",
		"combining marks":          "e" + strings.Repeat("\u0301", 1500) + " time",
		"prefixes":                 strings.Repeat("abc* ", 90),
		"wildcards beside a word":  "time *** * ?* **a* a*b*c",
		"misspelled many times":    strings.Repeat("delegatin managment ", 50),
		"a phrase of common words": `"` + strings.Repeat("the of and to ", 24) + `"`,
		"SQL":                      `'; DROP TABLE search_documents; -- ' OR 1=1 | & ! <-> :* \`,
		"JSON":                     `{"match_all": {}} "}]}` + "`${x}`",
		"other scripts":            "時間 время زمن ⏰ ﬁrst ǅ İ",
		"only control characters":  "\x00\x01\x1f", // as nothing at all
		"conditions":               strings.Repeat("-tag:x ", 90) + "time",
	} {
		search(name, "", apptest.Vars{"q": query})
	}
	for query, why := range map[string]string{
		strings.Repeat("x", 10_000): "at most 4000 characters", strings.Repeat("time ", 2000): "at most 4000 characters", strings.Repeat("time ", 101): "at most 100 words", strings.Repeat("tag:x ", 500): "at most 100 words",
		strings.Repeat(`"`, 3001): "at most 100 words", "*** * ?* ??": "no word", `"" () - :`: "no word", strings.Repeat("x", 3900): "no word",
	} {
		search(fmt.Sprintf("%.20q", query), why, apptest.Vars{"q": query})
	}

	ids := func(prefix string, n int) (all []string) {
		for range n {
			all = append(all, id.Format(prefix, id.New()))
		}
		return all
	}
	for field, prefix := range map[string]string{"clientIds": "client", "coachIds": "user", "engagementIds": "engagement", "tagIds": "tag", "participantUserIds": "user"} {
		search("1,000 "+field, "at most 100 values", apptest.Vars{"q": "time", "filter": apptest.Vars{field: ids(prefix, 1000)}})
	}
	most := apptest.Vars{}
	for field, prefix := range map[string]string{"clientIds": "client", "coachIds": "user", "engagementIds": "engagement", "tagIds": "tag", "participantUserIds": "user"} {
		most[field] = ids(prefix, 100)
	}
	search("all filters at their most", "", apptest.Vars{"q": strings.Repeat("delegatin ", 40) + strings.Repeat("-tag:x ", 40), "filter": most})
	many := func(of string) (all []string) {
		for range 1000 {
			all = append(all, of)
		}
		return all
	}
	search("1,000 types", "at most 100 values", apptest.Vars{"q": "time", "filter": apptest.Vars{"types": many("COACHING")}})
	search("1,000 kinds", "at most 10", apptest.Vars{"q": "time", "kinds": many("UTTERANCE")})
	facets := make([]apptest.Vars, 1000)
	for i := range facets {
		facets[i] = apptest.Vars{"field": "TAG"}
	}
	search("1,000 facets", "at most 10", apptest.Vars{"q": "time", "facets": facets})

	// As fields of one operation: what it may cost is the bound.
	var fields strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&fields, "s%d: search(query: \"tag:x%d time\") {totalCount} ", i, i)
	}
	if r := coach.Do(t, "{"+fields.String()+"}", nil); r.Code() == "" {
		t.Errorf("1,000 searches at once: %.200s", r.Body)
	}
	for _, prefix := range []string{"%", "\x00", strings.Repeat("(", 200), `"\`, strings.Repeat("x", 10_000)} {
		began := time.Now()
		if r := coach.Do(t, `query($p: String!) {suggest(prefix: $p) {text}}`, apptest.Vars{"p": prefix}); r.Code() != "" && !strings.HasPrefix(r.Code(), "INVALID") || time.Since(began) > boundedBy {
			t.Errorf("suggest %.20q: %s after %s", prefix, r.Code(), time.Since(began))
		}
	}
}
