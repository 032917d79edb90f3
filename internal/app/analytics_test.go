package app_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/platform/id"
)

// hold adds a session in a state, with measures if there are any.
func hold(t testing.TB, env *apptest.Env, engagement, at, status, measures string, version int) {
	t.Helper()
	session, transcript, run := id.New(), id.New(), id.New()
	sql(t, env, `INSERT INTO sessions (id, org_id, engagement_id, client_id, coach_id, number, status, starts_at, duration_minutes, consents)
		SELECT $1, e.org_id, e.id, e.client_id, e.coach_id, 1 + (SELECT max(number) FROM sessions WHERE engagement_id = e.id), $3, $4::timestamptz, 60,
			'{TRANSCRIPTION,AI_ANALYSIS,SUPERVISION}' FROM engagements e WHERE e.title = $2`, session, engagement, status, at)
	if measures == "" {
		return
	}
	sql(t, env, `INSERT INTO transcripts (id, org_id, session_id, version, status, format, utterance_count, sha256, size_bytes, imported_by)
		SELECT $1, org_id, id, 1, 'READY', 'TEXT', 2, sha256(id::text::bytea), 10, coach_id FROM sessions WHERE id = $2`, transcript, session)
	sql(t, env, `INSERT INTO analysis_runs (id, org_id, transcript_id, session_id, status, engine, engine_version, input_hash)
		SELECT $1, org_id, $2, id, 'SUCCEEDED', 'rules', '1', sha256(id::text::bytea) FROM sessions WHERE id = $3`, run, transcript, session)
	sql(t, env, `INSERT INTO session_metrics (id, org_id, transcript_id, session_id, run_id, definition_version, measures)
		SELECT gen_random_uuid(), org_id, $1, id, $2, $3, $4::jsonb FROM sessions WHERE id = $5`, transcript, run, version, measures, session)
}

type series struct {
	Unit, TimeZone    string
	DefinitionVersion *int
	LeftOut           int
	Groups            []struct {
		Client, Coach *struct{ Name string }
		Engagement    *struct{ ID string }
		Points        []struct {
			StartsAt string
			Value    *float64
			N        int
			Previous *struct {
				StartsAt string
				Value    *float64
				N        int
			}
			Programme *struct {
				P10, P25, Median, P75, P90 *float64
				N                          *int
				Suppressed                 *string
			}
		}
	}
}

func askSeries(t testing.TB, c *apptest.Client, args string) series {
	t.Helper()
	var out struct{ MetricSeries series }
	c.Must(t, `{ metricSeries(`+args+`) { unit timeZone definitionVersion leftOut groups { client {name} coach {name} engagement {id} points { startsAt value n
		previous {startsAt value n} programme {p10 p25 median p75 p90 n suppressed} } } } }`, nil, &out)
	return out.MetricSeries
}

// say is a value as a person works it out by hand.
func say(v *float64) string {
	if v == nil {
		return "null"
	}
	return strings.TrimRight(strings.TrimRight(fmt.Sprintf("%.4f", *v), "0"), ".")
}

// values are the points of a series: value/n.
func (s series) values(group int) (all []string) {
	for _, p := range s.Groups[group].Points {
		all = append(all, fmt.Sprintf("%s/%d", say(p.Value), p.N))
	}
	return all
}

const silences = `{"silenceShare": %s, "basis": "WORDS", "coach": {"talkShareOfSpeech": 0.4}}`

// A year of three clients of one coach, small enough to be worked out by hand.
func newYear(t *testing.T) (*apptest.Env, string) {
	t.Helper()
	env := apptest.Demo(t)
	const amara, jonas, mei = "First year as an engineering manager", "Two founders, one company", "Answering the partnership letter"
	add := func(engagement, at, share string) {
		hold(t, env, engagement, at, "COMPLETED", fmt.Sprintf(silences, share), 2)
	}
	for _, s := range [][3]string{
		{amara, "2031-01-06 10:00Z", "0.1"}, {amara, "2031-01-13 10:00Z", "0.3"}, {jonas, "2031-01-07 10:00Z", "0.2"},
		{mei, "2031-01-08 10:00Z", "0.4"}, {mei, "2031-01-31 23:59Z", "0.6"},
		// Nothing in February.
		{amara, "2031-03-05 10:00Z", "0.5"}, {amara, "2031-03-06 10:00Z", "null"},
		{jonas, "2031-03-31 23:30Z", "0.7"}, // in London it is April by then
		{amara, "2031-04-02 10:00Z", "0.1"}, {amara, "2031-04-03 10:00Z", "0.1"}, {amara, "2031-04-04 10:00Z", "0.1"}, {amara, "2031-04-05 10:00Z", "0.1"},
	} {
		add(s[0], s[1], s[2])
	}
	hold(t, env, jonas, "2031-03-07 10:00Z", "COMPLETED", fmt.Sprintf(silences, "0.9"), 1) // by the definitions of before
	hold(t, env, amara, "2031-01-10 10:00Z", "NO_SHOW", "", 0)
	hold(t, env, mei, "2031-01-20 10:00Z", "SCHEDULED", "", 0)
	return env, `from: "2031-01-15", to: "2031-04-30"`
}

func TestMetricSeries(t *testing.T) {
	t.Parallel()
	env, year := newYear(t)
	ruth := env.Login(t, apptest.Coach)

	all := askSeries(t, ruth, `metric: SILENCE_SHARE, compareTo: PROGRAMME, `+year)
	if got, want := all.values(0), []string{"0.32/5", "null/0", "0.5/1", "0.22/5"}; !slices.Equal(got, want) {
		t.Errorf("the months are %v, want %v", got, want)
	}
	if all.Unit != "SHARE" || all.TimeZone != "Europe/London" || *all.DefinitionVersion != 2 || all.LeftOut != 1 {
		t.Errorf("got %+v", all)
	}
	var starts []string
	var programme []string
	for _, p := range all.Groups[0].Points {
		starts = append(starts, p.StartsAt)
		d := p.Programme
		if d.Suppressed != nil {
			programme = append(programme, *d.Suppressed)
			if d.P10 != nil || d.Median != nil || d.P90 != nil || d.N != nil {
				t.Errorf("what is suppressed is told: %+v", d)
			}
			continue
		}
		programme = append(programme, fmt.Sprintf("%s %s %s %s %s of %d", say(d.P10), say(d.P25), say(d.Median), say(d.P75), say(d.P90), *d.N))
	}
	if want := []string{"2031-01-01T00:00:00Z", "2031-02-01T00:00:00Z", "2031-03-01T00:00:00Z", "2031-03-31T23:00:00Z"}; !slices.Equal(starts, want) {
		t.Errorf("the months begin %v, want %v", starts, want)
	}
	if want := []string{"0.14 0.2 0.3 0.4 0.52 of 5", "TOO_FEW_SESSIONS", "TOO_FEW_SESSIONS", "TOO_FEW_PEOPLE"}; !slices.Equal(programme, want) {
		t.Errorf("the programme is %v, want %v", programme, want)
	}

	people := askSeries(t, ruth, `metric: SILENCE_SHARE, groupBy: PERSON, compareTo: PROGRAMME, filter: {clientIds: ["`+
		one(t, env, "client", `SELECT id FROM clients WHERE name = 'Amara Okafor'`)+`"]}, `+year)
	if len(people.Groups) != 1 || people.Groups[0].Client == nil || people.Groups[0].Client.Name != "Amara Okafor" || people.Groups[0].Coach != nil {
		t.Fatalf("got %+v", people.Groups)
	}
	if got, want := people.values(0), []string{"0.2/2", "null/0", "0.5/1", "0.1/4"}; !slices.Equal(got, want) {
		t.Errorf("Amara's months are %v, want %v", got, want)
	}
	if p := people.Groups[0].Points[0].Programme; say(p.Median) != "0.3" { // of all three
		t.Errorf("beside Amara's stands %+v", p)
	}

	before := askSeries(t, ruth, `metric: SILENCE_SHARE, compareTo: PREVIOUS_PERIOD, from: "2031-03-01", to: "2031-04-01"`)
	if got, want := before.values(0), []string{"0.5/1", "0.22/5"}; !slices.Equal(got, want) {
		t.Errorf("March and April are %v, want %v", got, want)
	}
	for i, want := range []string{"0.32/5 2031-01-01", "null/0 2031-02-01"} {
		p := before.Groups[0].Points[i].Previous
		if got := fmt.Sprintf("%s/%d %.10s", say(p.Value), p.N, p.StartsAt); got != want {
			t.Errorf("before interval %d: %s, want %s", i, got, want)
		}
	}
	quarters := askSeries(t, ruth, `metric: SILENCE_SHARE, interval: QUARTER, `+year)
	if got, want := quarters.values(0), []string{"0.35/6", "0.22/5"}; !slices.Equal(got, want) {
		t.Errorf("the quarters are %v, want %v", got, want)
	}
	weeks := askSeries(t, ruth, `metric: SILENCE_SHARE, interval: WEEK, from: "2031-01-12", to: "2031-01-13"`)
	if got, want := weeks.values(0), []string{"0.2333/3", "0.3/1"}; !slices.Equal(got, want) || weeks.Groups[0].Points[0].StartsAt[:10] != "2031-01-06" {
		t.Errorf("the weeks are %v, want %v", got, want)
	}
	// Shares of words are no shares of time.
	if got, want := askSeries(t, ruth, `metric: COACH_TALK_SHARE, `+year).values(0), []string{"null/0", "null/0", "null/0", "null/0"}; !slices.Equal(got, want) {
		t.Errorf("talk shares are %v, want %v", got, want)
	}
	for metric, want := range map[string][]string{
		"SESSIONS_HELD":      {"5/6", "null/0", "3/3", "5/5"},
		"SESSIONS_NO_SHOW":   {"1/6", "null/0", "0/3", "0/5"},
		"SESSIONS_CANCELLED": {"0/6", "null/0", "0/3", "0/5"},
	} {
		if got := askSeries(t, ruth, "metric: "+metric+", "+year); !slices.Equal(got.values(0), want) || got.DefinitionVersion != nil {
			t.Errorf("%s is %v, want %v", metric, got.values(0), want)
		}
	}
	// Of counts the programme is one of people: 2, 1 and 2 sessions held.
	counts := askSeries(t, ruth, `metric: SESSIONS_HELD, compareTo: PROGRAMME, `+year).Groups[0].Points[0].Programme
	if *counts.N != 3 || say(counts.Median) != "2" || say(counts.P10) != "1.2" {
		t.Errorf("the clients' counts lie at %s, %s of %d", say(counts.P10), say(counts.Median), *counts.N)
	}

	for args, want := range map[string]string{
		`metric: PATIENCE, from: "2031-01-01", to: "2030-12-31"`:                       "to: must not be before from",
		`metric: PATIENCE, from: "0001-01-01", to: "2030-12-31"`:                       "from: must be in the years from 1970 to 2199, is in 1",
		`metric: PATIENCE, interval: WEEK, from: "2020-01-01", to: "2030-12-31"`:       "interval: 575 intervals of 1 series are 575 points, at most 400",
		`metric: SILENCE_SHARE, groupBy: PERSON, from: "2019-01-01", to: "2031-12-31"`: "interval: 156 intervals of 3 series are 468 points, at most 400",
	} {
		r := ruth.Do(t, `{ metricSeries(`+args+`) { unit } }`, nil)
		if r.Code() != "INVALID" || !strings.HasPrefix(r.Errors[0].Message, want) {
			t.Errorf("%s: %s, want %s", args, r.Body, want)
		}
	}
}

// Everybody is measured for who may see it: conversations for the coach and the coach's supervisor, counts of sessions for whoever
// sees the sessions.
func TestMetricsOfOthers(t *testing.T) {
	t.Parallel()
	env, year := newYear(t)
	var out struct {
		Type struct{ EnumValues []struct{ Name string } } `json:"__type"`
	}
	ruth := env.Login(t, apptest.Coach)
	ruth.Must(t, `{ __type(name: "MetricName") { enumValues { name } } }`, nil, &out)
	for _, metric := range out.Type.EnumValues {
		counts := strings.HasPrefix(metric.Name, "SESSIONS_")
		for who, sees := range map[string]bool{
			apptest.Coach: true, apptest.Supervisor: true, apptest.Owner: counts, apptest.ClientUser: counts, apptest.Coach2: false, apptest.Lumen: false,
		} {
			for _, by := range []string{"NONE", "PERSON", "COACH", "ENGAGEMENT"} {
				s := askSeries(t, env.Login(t, who), "metric: "+metric.Name+", groupBy: "+by+", compareTo: PROGRAMME, "+year)
				n := 0
				for _, g := range s.Groups {
					for _, p := range g.Points {
						n += p.N
						if !sees && (p.Value != nil || p.Programme.N != nil) {
							t.Errorf("%s is told of %s", who, metric.Name)
						}
					}
				}
				if !sees && (n > 0 || by != "NONE" && len(s.Groups) > 0) || sees && (counts || metric.Name == "SILENCE_SHARE") && n == 0 {
					t.Errorf("%s by %s for %s rests on %d sessions in %d series", metric.Name, by, who, n, len(s.Groups))
				}
				if who == apptest.ClientUser && by == "PERSON" && counts && len(s.Groups) != 1 {
					t.Errorf("a client sees %d series of people", len(s.Groups))
				}
			}
		}
	}
	// Without consent there is nothing to see: for the supervisor without SUPERVISION, for anybody without AI_ANALYSIS.
	for consents, want := range map[string]map[string]bool{
		"{TRANSCRIPTION,AI_ANALYSIS}": {apptest.Coach: true, apptest.Supervisor: false},
		"{TRANSCRIPTION,SUPERVISION}": {apptest.Coach: false, apptest.Supervisor: false},
	} {
		sql(t, env, `UPDATE sessions SET consents = $1 WHERE starts_at >= '2031-01-01'`, consents)
		for who, sees := range want {
			if n := askSeries(t, env.Login(t, who), "metric: SILENCE_SHARE, "+year).Groups[0].Points[0].N; (n > 0) != sees {
				t.Errorf("with %s %s sees %d sessions", consents, who, n)
			}
		}
	}
	// Archived, it counts no more; nor does a transcript that no longer does.
	sql(t, env, `UPDATE sessions SET consents = '{TRANSCRIPTION,AI_ANALYSIS}', archived_at = CASE WHEN starts_at < '2031-01-07' THEN now() END WHERE starts_at >= '2031-01-01'`)
	sql(t, env, `UPDATE transcripts SET archived_at = now() WHERE session_id IN (SELECT id FROM sessions WHERE starts_at BETWEEN '2031-01-08' AND '2031-01-09')`)
	if got := askSeries(t, ruth, "metric: SILENCE_SHARE, "+year).values(0)[0]; got != "0.3667/3" { // .3, .2 and .6
		t.Errorf("January is %s", got)
	}
}

// A winter of goals and actions, long over, small enough to be worked out by hand.
func newWinter(t *testing.T) *apptest.Env {
	t.Helper()
	env := apptest.Demo(t)
	const of = ` FROM clients c JOIN engagements e ON e.client_id = c.id WHERE c.name = `
	for _, a := range [][6]string{ // of whom, added, due, where that day ends, state, since
		{"Amara Okafor", "2021-01-05 09:00Z", "2021-01-10", "2021-01-11 00:00Z", "DONE", "2021-01-09 09:00Z"},
		{"Amara Okafor", "2021-01-28 09:00Z", "2021-01-31", "2021-02-01 00:00Z", "DONE", "2021-02-03 09:00Z"}, // January's, and late
		{"Jonas Lindqvist", "2021-01-02 09:00Z", "2021-01-15", "2021-01-16 00:00Z", "OPEN", "2021-01-02 09:00Z"},
		{"Jonas Lindqvist", "2021-01-02 09:00Z", "2021-01-20", "2021-01-21 00:00Z", "WONT_DO", "2021-01-18 09:00Z"},
		{"Mei Tanaka", "2021-01-11 10:00Z", "2021-01-21", "2021-01-22 00:00Z", "DONE", "2021-01-21 10:00Z"},
		{"Mei Tanaka", "2021-01-11 10:00Z", "2021-01-22", "2021-01-23 00:00Z", "PROPOSED", "2021-01-11 10:00Z"},
		{"Mei Tanaka", "2021-01-11 10:00Z", "2121-01-22", "2121-01-23 00:00Z", "OPEN", "2021-01-11 10:00Z"}, // not over
	} {
		sql(t, env, `INSERT INTO action_items (id, org_id, client_id, coach_id, engagement_id, created_by, title, created_at, due_on, due_at, status, status_changed_at, completed_at)
			SELECT gen_random_uuid(), c.org_id, c.id, c.coach_id, e.id, c.coach_id, 'Winter', $2::timestamptz, $3::date, $4::timestamptz, $5, $6::timestamptz,
				CASE WHEN $5 = 'DONE' THEN $6::timestamptz END`+of+`$1`, a[0], a[1], a[2], a[3], a[4], a[5])
	}
	for _, g := range [][3]string{{"Amara Okafor", "ACHIEVED", "2021-02-10"}, {"Jonas Lindqvist", "ABANDONED", "2021-02-11"}} {
		sql(t, env, `INSERT INTO goals (id, org_id, client_id, coach_id, engagement_id, title, created_at, status, closed_at)
			SELECT gen_random_uuid(), c.org_id, c.id, c.coach_id, CASE WHEN $2 = 'ACHIEVED' THEN e.id END, 'Winter', '2021-01-01', $2, $3::timestamptz`+of+`$1`, g[0], g[1], g[2])
	}
	sql(t, env, `INSERT INTO goal_check_ins (id, org_id, goal_id, score, author_id, as_of)
		SELECT gen_random_uuid(), g.org_id, g.id, CASE WHEN g.status = 'ACHIEVED' THEN 9 ELSE 2 END, g.coach_id, '2021-01-20 10:00Z' FROM goals g WHERE g.title = 'Winter'`)
	sql(t, env, `INSERT INTO goal_check_ins (id, org_id, goal_id, score, author_id, as_of, corrects_id)
		SELECT gen_random_uuid(), org_id, goal_id, 6, author_id, as_of, id FROM goal_check_ins WHERE score = 9 AND as_of = '2021-01-20 10:00Z'`)
	sql(t, env, `INSERT INTO action_assignees (id, org_id, action_id, user_id) SELECT gen_random_uuid(), a.org_id, a.id, u.id
		FROM action_items a, users u WHERE a.title = 'Winter' AND u.email = '`+apptest.Coach2+`'`) // who helps, and measures nobody
	return env
}

func TestMetricsOfGoalsAndActions(t *testing.T) {
	t.Parallel()
	env := newWinter(t)
	ruth := env.Login(t, apptest.Coach)
	const winter = `from: "2021-01-15", to: "2021-03-15"`
	for metric, want := range map[string][]string{
		"ACTIONS_DONE":          {"COUNT", "2/3", "1/1", "null/0"},
		"ACTIONS_DONE_SHARE":    {"SHARE", "0.6/5", "null/0", "null/0"},
		"ACTIONS_OVERDUE_SHARE": {"SHARE", "0.4/5", "null/0", "null/0"},
		"ACTIONS_DAYS_TO_DONE":  {"DAYS", "7/2", "6/1", "null/0"},
		"GOALS_ACHIEVED":        {"COUNT", "null/0", "1/2", "null/0"},
		"GOAL_CHECK_IN_SCORE":   {"SCORE", "4/2", "null/0", "null/0"},
		"GOALS_LETS_REFOCUS":    {"COUNT", "null/0", "null/0", "null/0"}, // nobody knows by now
	} {
		got := askSeries(t, ruth, "metric: "+metric+", "+winter)
		if s := append([]string{got.Unit}, got.values(0)...); !slices.Equal(s, want) || got.DefinitionVersion != nil || got.LeftOut != 0 {
			t.Errorf("%s is %v, want %v", metric, s, want)
		}
	}
	mine := askSeries(t, ruth, `metric: ACTIONS_DONE_SHARE, groupBy: PERSON, compareTo: PROGRAMME, filter: {clientIds: ["`+
		one(t, env, "client", `SELECT id FROM clients WHERE name = 'Jonas Lindqvist'`)+`"]}, `+winter)
	if got, want := mine.values(0), []string{"0/2", "null/0", "null/0"}; !slices.Equal(got, want) {
		t.Errorf("of what Jonas was to do, %v is done, want %v", got, want)
	}
	if p := mine.Groups[0].Points[0].Programme; say(p.Median) != "1" || say(p.P25) != "0" || *p.N != 5 {
		t.Errorf("beside it stands %+v", p)
	}
	if p := mine.Groups[0].Points[1].Programme; p.Suppressed == nil || *p.Suppressed != "TOO_FEW" || p.Median != nil {
		t.Errorf("nothing was due in February, and beside it stands %+v", p)
	}
	before := askSeries(t, ruth, `metric: ACTIONS_DAYS_TO_DONE, compareTo: PREVIOUS_PERIOD, from: "2021-02-01", to: "2021-02-28"`).Groups[0].Points[0]
	if say(before.Value) != "6" || say(before.Previous.Value) != "7" {
		t.Errorf("February took %s days, January %s", say(before.Value), say(before.Previous.Value))
	}
	// What stands beside the engagements is in none of their series.
	if s := askSeries(t, ruth, `metric: GOALS_ACHIEVED, groupBy: ENGAGEMENT, `+winter); len(s.Groups) != 1 || s.Groups[0].Engagement == nil || s.values(0)[1] != "1/1" {
		t.Errorf("by engagement: %+v", s.Groups)
	}
	// How goals are getting on is known of now alone, and is what each goal says.
	now := time.Now()
	months := fmt.Sprintf("from: %q, to: %q", now.AddDate(0, -2, 0).Format(time.DateOnly), now.Format(time.DateOnly))
	var out struct {
		Goals struct{ Nodes []struct{ Progress string } }
	}
	ruth.Must(t, `{ goals(filter: {statuses: [OPEN]}) { nodes { progress } } }`, nil, &out)
	each := map[string]int{}
	for _, g := range out.Goals.Nodes {
		each[g.Progress]++
	}
	for _, p := range []string{"SOLID_MOMENTUM", "NEEDS_ATTENTION", "LETS_REFOCUS"} {
		got := askSeries(t, ruth, "metric: GOALS_"+p+", compareTo: PREVIOUS_PERIOD, "+months).values(0)
		if last := len(got) - 1; each[p] == 0 || got[last] != fmt.Sprintf("%d/%d", each[p], len(out.Goals.Nodes)) || slices.ContainsFunc(got[:last], func(v string) bool { return v != "null/0" }) {
			t.Errorf("%s: %v, of the goals %v", p, got, each)
		}
	}
	// Each is for who sees the goals and actions; owners have the counts.
	counts := map[string]bool{"ACTIONS_DONE": true, "GOALS_ACHIEVED": true}
	for _, metric := range []string{"ACTIONS_DONE", "ACTIONS_DONE_SHARE", "ACTIONS_OVERDUE_SHARE", "ACTIONS_DAYS_TO_DONE", "GOALS_ACHIEVED", "GOAL_CHECK_IN_SCORE", "GOALS_SOLID_MOMENTUM"} {
		for who, sees := range map[string]bool{
			apptest.Coach: true, apptest.Supervisor: true, apptest.ClientUser: true, apptest.Owner: counts[metric], apptest.Lumen: false,
			apptest.Coach2: metric == "GOALS_SOLID_MOMENTUM", apptest.Sponsor: metric == "GOALS_SOLID_MOMENTUM",
		} {
			in := winter
			if metric == "GOALS_SOLID_MOMENTUM" {
				in = months
			}
			n, most := 0, 0
			for _, by := range []string{"NONE", "PERSON", "COACH", "ENGAGEMENT"} {
				for _, g := range askSeries(t, env.Login(t, who), "metric: "+metric+", groupBy: "+by+", compareTo: PROGRAMME, "+in).Groups {
					for _, p := range g.Points {
						n += p.N
						most = max(most, p.N)
						if !sees && (p.Value != nil || p.Programme.N != nil) {
							t.Errorf("%s is told of %s", who, metric)
						}
					}
				}
			}
			if (n > 0) != sees {
				t.Errorf("%s for %s rests on %d", metric, who, n)
			}
			if one := who == apptest.Sponsor || who == apptest.Coach2; one && most > 1 {
				t.Errorf("%s sees %d goals in %s", who, most, metric)
			}
			if who == apptest.ClientUser && most > 4 {
				t.Errorf("a client sees %d in %s", most, metric)
			}
		}
	}
}
