package app_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/rapporthq/rapport/internal/app/apptest"
)

// runs gives what a saved search finds for somebody, or the error's code.
func runs(t *testing.T, c *apptest.Client, key any, args string) (searchAnswer, string) {
	t.Helper()
	var out struct {
		Node *struct{ Results searchAnswer }
	}
	r := c.Do(t, `query($id: ID!) {node(id: $id) {... on SavedSearch {results`+args+` `+searchFields+`}}}`, apptest.Vars{"id": key})
	if len(r.Errors) > 0 {
		return searchAnswer{}, r.Code()
	}
	r.Into(t, &out)
	if out.Node == nil {
		return searchAnswer{}, "null"
	}
	return out.Node.Results, ""
}

// A saved search is what was asked, and finds what search finds of the same at that moment; it is its owner's alone.
func TestSavedSearches(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	session := amara2.id(t, env)
	client := one(t, env, "client", `SELECT client_id FROM sessions WHERE id = $1`, uuid(t, session))
	var notes []any
	for range 3 {
		notes = append(notes, does(t, coach, "createNote", "note", "id", apptest.Vars{"entityId": session, "body": "A quokka of the house", "visibility": "PRIVATE"})["id"])
	}
	does(t, coach, "createNote", "note", "id", apptest.Vars{"entityId": jonas3.id(t, env), "body": "Another quokka", "visibility": "PRIVATE"})
	var tags []string
	for i, name := range []string{"grit", "pluck"} {
		tags = append(tags, does(t, coach, "tag", "tag", "id", apptest.Vars{"entityId": notes[i], "name": name})["id"].(string))
	}
	env.Index(t)

	const fields = "id name query filter {clientIds tagIds} mode kinds groupBy orderBy"
	kept := does(t, coach, "createSavedSearch", "savedSearch", fields, apptest.Vars{"name": "Quokkas", "query": " quokka -zebra ", "filter": apptest.Vars{"clientIds": []string{client}},
		"kinds": []string{"NOTE", "UTTERANCE"}, "orderBy": "NEWEST"})
	has(t, kept, apptest.Vars{"name": "Quokkas", "query": "quokka -zebra", "filter": apptest.Vars{"clientIds": []any{client}, "tagIds": []any{}}, "mode": "KEYWORD", "kinds": []any{"NOTE", "UTTERANCE"},
		"groupBy": nil, "orderBy": "NEWEST"})
	key := kept["id"].(string)
	same := `, filter: {clientIds: ["` + client + `"]}, kinds: [NOTE, UTTERANCE], orderBy: NEWEST, `
	const counts = `facets: [{field: KIND}], first: 2`
	want := finds(t, coach, "quokka -zebra", same+counts)
	got, failed := runs(t, coach, key, "("+counts+")")
	if !reflect.DeepEqual(got, want) || want.TotalCount != 3 || len(want.Nodes) != 2 || failed != "" {
		t.Errorf("it finds %+v (%s), search finds %+v", got, failed, want)
	}
	if got, failed := runs(t, coach, key, `(first: 2, after: "`+want.Nodes[1].Cursor+`")`); len(got.Nodes) != 1 || got.PageInfo.HasNextPage {
		t.Errorf("the second page: %+v %s", got, failed)
	}
	for _, who := range []string{apptest.Owner, apptest.Coach2, apptest.Supervisor, apptest.ClientUser, apptest.Lumen} {
		if _, failed := runs(t, env.Login(t, who), key, ""); failed != "null" && failed != "NOT_FOUND" {
			t.Errorf("%s: %s", who, failed)
		}
	}

	// It is listed as a search, and is no filter.
	filter := does(t, coach, "createSavedFilter", "savedFilter", "id", apptest.Vars{"name": "All", "filter": apptest.Vars{}})["id"].(string)
	if r := coach.Do(t, `{savedSearches {name results(first: 0) {totalCount}} savedFilters {name}}`, nil); string(r.Data) != `{"savedSearches":[{"name":"Quokkas","results":{"totalCount":3}}],"savedFilters":[{"name":"All"}]}` {
		t.Errorf("the lists: %s", r.Body)
	}
	for name, value := range map[string]string{"savedFilterId": strings.Replace(key, "savedsearch", "filter", 1), "id": strings.Replace(filter, "filter", "savedsearch", 1)} {
		query := `query($id: ID!) {sessions(savedFilterId: $id) {totalCount}}`
		if name == "id" {
			query = `query($id: ID!) {node(id: $id) {... on SavedSearch {query}}}`
		}
		if r := coach.Do(t, query, apptest.Vars{"id": value}); r.Code() != "NOT_FOUND" && string(r.Data) != `{"node":null}` {
			t.Errorf("one is taken for the other: %s", r.Body)
		}
	}

	// What is left out stays; what is cleared is gone; what does not fit together is refused as search refuses it.
	has(t, does(t, coach, "updateSavedSearch", "savedSearch", fields, apptest.Vars{"id": key, "kinds": []string{}, "filter": apptest.Vars{"tagIds": tags}, "name": "Quokkas at home"}),
		apptest.Vars{"name": "Quokkas at home", "query": "quokka -zebra", "filter": apptest.Vars{"clientIds": []any{}, "tagIds": []any{tags[0], tags[1]}}, "kinds": []any{}, "orderBy": "NEWEST"})
	for _, tc := range []struct {
		want  string
		input apptest.Vars
	}{
		{"INVALID orderBy", apptest.Vars{"mode": "HYBRID"}},
		{"INVALID orderBy", apptest.Vars{"groupBy": "SESSION"}},
		{"INVALID query", apptest.Vars{"query": "***"}},
		{"INVALID query", apptest.Vars{"query": strings.Repeat("long ", 1000)}},
		{"INVALID name, INVALID kinds", apptest.Vars{"name": " ", "kinds": strings.Fields(strings.Repeat("NOTE ", 11))}},
		{"INVALID filter.types", apptest.Vars{"filter": apptest.Vars{"types": []string{}}}},
		{"NAME_TAKEN name", apptest.Vars{"name": "ALL"}},
	} {
		tc.input["id"] = key
		if got := change(t, coach, "updateSavedSearch", "savedSearch", "id", tc.input); briefly(got.userErrors) != tc.want {
			t.Errorf("%.100v: %.300s, want %s", tc.input, got.response.Body, tc.want)
		}
	}
	if got := change(t, coach, "createSavedFilter", "savedFilter", "id", apptest.Vars{"name": "quokkas AT HOME", "filter": apptest.Vars{}}); briefly(got.userErrors) != "NAME_TAKEN name" ||
		!strings.Contains(string(got.response.Body), key) {
		t.Errorf("a filter of the same name: %s", got.response.Body)
	}

	// A merged tag is followed; a deleted one finds nothing and breaks nothing, by its id and by its name.
	env.Index(t)
	does(t, coach, "mergeTags", "tag", "id", apptest.Vars{"intoId": tags[1], "ids": []string{tags[0]}})
	env.Index(t)
	if got, failed := runs(t, coach, key, ""); got.TotalCount != 2 || failed != "" {
		t.Errorf("of the merged tag: %+v %s", got, failed)
	}
	byName := does(t, coach, "createSavedSearch", "savedSearch", "id", apptest.Vars{"name": "by name", "query": "quokka tag:pluck"})["id"]
	if got, _ := runs(t, coach, byName, ""); got.TotalCount != 2 {
		t.Errorf("by the tag's name: %+v", got)
	}
	does(t, coach, "deleteTag", "tag", "id", apptest.Vars{"id": tags[1]})
	env.Index(t)
	if got, failed := runs(t, coach, key, ""); got.TotalCount != 0 || failed != "" {
		t.Errorf("of a tag that is gone: %+v %s", got, failed)
	}
	if got, failed := runs(t, coach, byName, ""); got.TotalCount != 0 || failed != "" || !strings.Contains(fmt.Sprint(got.Interpretation.Notes), "pluck") {
		t.Errorf("by the name of a tag that is gone: %+v %s", got, failed)
	}

	// Of a client whom the owner sees no longer it finds nothing.
	does(t, coach, "updateSavedSearch", "savedSearch", "id", apptest.Vars{"id": key, "filter": apptest.Vars{"clientIds": []string{client}}})
	sql(t, env, `UPDATE saved_filters SET owner_id = (SELECT id FROM users WHERE email = $2) WHERE id = $1`, uuid(t, key), apptest.Coach2)
	if got, failed := runs(t, env.Login(t, apptest.Coach2), key, ""); got.TotalCount != 0 || failed != "" {
		t.Errorf("of a client whom one does not see: %+v %s", got, failed)
	}
	sql(t, env, `UPDATE saved_filters SET owner_id = (SELECT id FROM users WHERE email = $2) WHERE id = $1`, uuid(t, key), apptest.Coach)

	// What a later release has saved is renamed and deleted, and not read as if one understood it.
	sql(t, env, `UPDATE saved_filters SET version = 2 WHERE id = $1`, uuid(t, key))
	if _, failed := runs(t, coach, key, ""); failed != "CONFLICT" {
		t.Errorf("of a later release: %s", failed)
	}
	if got := change(t, coach, "updateSavedSearch", "savedSearch", "id", apptest.Vars{"id": key, "query": "zebra"}); briefly(got.userErrors) != "CONFLICT " {
		t.Errorf("of a later release, changed: %s", got.response.Body)
	}
	has(t, does(t, coach, "updateSavedSearch", "savedSearch", "name", apptest.Vars{"id": key, "name": "later"}), apptest.Vars{"name": "later"})
	has(t, does(t, coach, "deleteSavedSearch", "savedSearch", "name query", apptest.Vars{"id": key}), apptest.Vars{"name": "later", "query": "quokka -zebra"})
	if got := change(t, coach, "deleteSavedSearch", "savedSearch", "id", apptest.Vars{"id": key}); briefly(got.userErrors) != "NOT_FOUND " && got.response.Code() != "NOT_FOUND" {
		t.Errorf("deleted twice: %s", got.response.Body)
	}
	for i := range 48 { // there are a filter and a search
		does(t, coach, "createSavedSearch", "savedSearch", "id", apptest.Vars{"name": fmt.Sprint(i), "query": "", "mode": "HYBRID", "orderBy": "OLDEST"})
	}
	if got := change(t, coach, "createSavedSearch", "savedSearch", "id", apptest.Vars{"name": "one more", "query": ""}); briefly(got.userErrors) != "CONFLICT " {
		t.Errorf("one too many: %s", got.response.Body)
	}
}

// An erasure forgets the searches whose client: would find who is erased, however that is written, and no others.
func TestErasureForgetsSearchesByName(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	velda := does(t, coach, "createClient", "client", "id", apptest.Vars{"name": "Velda Wraxall"})["id"]
	does(t, coach, "updateClient", "client", "id", apptest.Vars{"id": velda, "name": "Velda O’Quörnish-Smythe"})
	queries := []string{"client:velda job", "client:o'quornish", "client:o'quorn* lawyer", "client:O’QUÖ", `client:"velda o'q"`, "client:“velda o'q”", "client:smy|client:zzz", "client:zzz OR client:smy", "-client:v",
		"(client:velda,)", "client:'smythe'", "client:velda?", `client:"o'quornish smythe" boss`, "client:velda_o'q"}
	others := []string{"velda", "client:jonas", "client:quorn", "client:elda", "client:veldaa", "client:* boss", "client:'' boss", `client:"velda smythe"`, "client:o'quornish_smythes", "client:%da"}
	kept := map[string]any{}
	for _, query := range append(queries, others...) {
		kept[query] = does(t, coach, "createSavedSearch", "savedSearch", "id", apptest.Vars{"name": query, "query": query})["id"]
	}
	for _, query := range queries {
		if got, failed := runs(t, coach, kept[query], ""); failed != "" || strings.Contains(fmt.Sprint(got.Interpretation.Notes), "You know no client called") != strings.Contains(query, "zzz") {
			t.Errorf("%s: %s %v", query, failed, got.Interpretation.Notes)
		}
	}
	for _, query := range others[2:] {
		if got, failed := runs(t, coach, kept[query], ""); failed != "" || !strings.Contains(fmt.Sprint(got.Interpretation.Notes), "You know no client called") {
			t.Errorf("%s finds somebody: %s %v", query, failed, got.Interpretation.Notes)
		}
	}
	kept["client:wrax"] = does(t, coach, "createSavedSearch", "savedSearch", "id", apptest.Vars{"name": "as she was called", "query": "client:wrax"})["id"]
	if _, errs := ask(t, env.Login(t, apptest.Owner), "requestErasure", apptest.Vars{"clientId": velda, "confirm": "Velda O’Quörnish-Smythe"}); len(errs) > 0 {
		t.Fatal(errs)
	}
	env.Work(t)
	for query, key := range kept {
		want := 0
		if slices.Contains(others, query) {
			want = 1
		}
		if n := value[int](t, env, `SELECT count(*) FROM saved_filters WHERE id = $1`, uuid(t, key.(string))); n != want {
			t.Errorf("%s: %d are left", query, n)
		}
	}
}
