package analytics

import (
	"github.com/rapporthq/rapport/internal/coaching/goal"
	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/page"
)

// source is where a metric's observations come from: whose they are, when, and who sees them.
type source struct {
	from  string
	of    string // what of it has client_id, coach_id and engagement_id
	at    string // the moment that an observation counts at, in the zone %[1]s
	where string
	scope func(auth.Viewer) *page.Scope
	// tables are those that it is made of, and those that say who may see it. None where it changes by itself as time goes by: nothing is
	// kept of that.
	tables []string
}

// people are the tables that say who may see what of whom.
var people = []string{"memberships", "supervisions", "clients", "engagements", "engagement_sponsors"}

func with(tables ...string) []string { return append(tables, people...) }

var (
	// Each is of one session, so that they are seen by whom and when the session says.
	measures = &source{
		from: "session_metrics m JOIN sessions s ON m.org_id = $1 AND s.org_id = $1 AND s.id = m.session_id", of: "s", at: "s.starts_at", where: "s.archived_at IS NULL",
		scope:  func(v auth.Viewer) *page.Scope { return insight.CoachScope(v, "m.org_id") },
		tables: with("session_metrics", "sessions", "transcripts", "participants"),
	}
	sessions = &source{from: "sessions s", of: "s", at: "s.starts_at", where: "s.archived_at IS NULL", scope: session.Scope, tables: with("sessions", "participants")}

	closedGoals = &source{from: "goals g", of: "g", at: "g.closed_at", where: "g.closed_at IS NOT NULL", scope: goal.GoalCounts, tables: with("goals")}
	checkIns    = &source{
		from: "goal_check_ins ck JOIN goals g ON ck.org_id = $1 AND g.org_id = $1 AND g.id = ck.goal_id", of: "g", at: "ck.as_of", where: goal.Uncorrected,
		scope: goal.CheckIns, tables: with("goals", "goal_check_ins"),
	}
	closedActions = &source{
		from: "action_items ai", of: "ai", at: "coalesce(ai.completed_at, ai.status_changed_at)", where: "ai.status IN ('DONE', 'WONT_DO')",
		scope: goal.ActionCounts, tables: with("action_items", "action_assignees"),
	}
	doneActions = &source{from: "action_items ai", of: "ai", at: "ai.completed_at", where: "ai.status = 'DONE'", scope: goal.ActionWork, tables: with("action_items", "action_assignees")}
	// dueActions were due on a day that is over by now. The day is one of the viewer's calendar, so that the last of a month
	// is in that month wherever the assignee is.
	dueActions = &source{
		from: "action_items ai", of: "ai", at: "(ai.due_on::timestamp AT TIME ZONE %[1]s)", where: "ai.due_at <= now() AND ai.status <> 'PROPOSED'",
		scope: goal.ActionWork,
	}
	// pursued are the open goals as they are now, as goal.Pursued returns them: what they were before is not known.
	pursued = &source{from: "pursued", of: "pursued", at: "now()", where: "true"}
)

// aggregate makes one value of those of an interval.
type aggregate string

const (
	mean   aggregate = "avg(value)"
	total  aggregate = "sum(value)"
	median aggregate = "percentile_cont(0.5) WITHIN GROUP (ORDER BY value)"
)

// metric says how a value comes about.
type metric struct {
	from  *source
	value string // of one observation, NULL if there is none
	of    aggregate
	unit  Unit
}

// measure is a number of the stored measures of a conversation, by its path.
func measure(path string, unit Unit) metric {
	return metric{from: measures, value: "(m.measures #>> '{" + path + "}')::float8", of: mean, unit: unit}
}

// given makes a measure null where it rests on something else than the others: values that do not compare.
func given(condition string, m metric) metric {
	m.value = "CASE WHEN " + condition + " THEN " + m.value + " END"
	return m
}

// holds is 1 for what a condition holds for, and 0 for the rest.
func holds(condition string) string { return "(" + condition + ")::int::float8" }

// outcome counts sessions that ended in a state, of those that have ended in any.
func outcome(status string) metric {
	return metric{from: sessions, of: total, unit: Count,
		value: "CASE WHEN s.status IN ('COMPLETED', 'CANCELLED', 'NO_SHOW') THEN " + holds("s.status = '"+status+"'") + " END"}
}

// standing counts the open goals whose progress is such, of all open goals.
func standing(p goal.Progress) metric {
	return metric{from: pursued, of: total, unit: Count, value: holds("pursued.progress = '" + string(p) + "'")}
}

const (
	timed = "m.measures ->> 'basis' = 'TIME'"
	coded = "m.measures ->> 'reflectionEvidence' = 'CODES'"
	// late: an action was neither done nor given up by the end of its day.
	late = "ai.status IN ('OPEN', 'IN_PROGRESS') OR coalesce(ai.completed_at, ai.status_changed_at) > ai.due_at"
)

var metrics = map[Name]metric{
	"SESSIONS_HELD":      outcome("COMPLETED"),
	"SESSIONS_CANCELLED": outcome("CANCELLED"),
	"SESSIONS_NO_SHOW":   outcome("NO_SHOW"),

	"GOALS_SOLID_MOMENTUM":  standing(goal.SolidMomentum),
	"GOALS_NEEDS_ATTENTION": standing(goal.NeedsAttention),
	"GOALS_LETS_REFOCUS":    standing(goal.LetsRefocus),
	"GOALS_ACHIEVED":        {from: closedGoals, value: holds("g.status = 'ACHIEVED'"), of: total, unit: Count},
	"GOAL_CHECK_IN_SCORE":   {from: checkIns, value: "ck.score::float8", of: mean, unit: Score},

	"ACTIONS_DONE":          {from: closedActions, value: holds("ai.status = 'DONE'"), of: total, unit: Count},
	"ACTIONS_DONE_SHARE":    {from: dueActions, value: holds("ai.status = 'DONE'"), of: mean, unit: Share},
	"ACTIONS_OVERDUE_SHARE": {from: dueActions, value: holds(late), of: mean, unit: Share},
	"ACTIONS_DAYS_TO_DONE":  {from: doneActions, value: "(EXTRACT(epoch FROM ai.completed_at - ai.created_at) / 86400)::float8", of: median, unit: Days},

	"COACH_TALK_SHARE":          given(timed, measure("coach,talkShareOfSpeech", Share)),
	"SILENCE_SHARE":             measure("silenceShare", Share),
	"INTERACTIVITY":             measure("interactivityPerMin", PerMinute),
	"COACH_WORDS_PER_MINUTE":    measure("coach,wordsPerMinute", PerMinute),
	"COACH_LONGEST_MONOLOGUE":   measure("coach,longestMonologueMs", Milliseconds),
	"COACH_QUESTION_RATE":       measure("coach,questionRate", Share),
	"COACH_OPEN_QUESTION_SHARE": measure("coach,openQuestionShare", Share),
	"COACH_STACKED_QUESTIONS":   measure("coach,stackedQuestions", Count),
	"COACH_REFLECTION_RATE":     given(coded, measure("coach,reflectionRate", Share)),
	"COACH_UNASKED_ADVICE":      measure("coach,advice,withoutPermission", Count),
	"COACH_INTERRUPTIONS":       measure("dyad,coachInterruptions", Count),
	"CLIENT_LONGEST_MONOLOGUE":  measure("client,longestMonologueMs", Milliseconds),
	"PATIENCE":                  measure("dyad,patienceMs,median", Milliseconds),
	"RESPONSE_LATENCY":          measure("dyad,responseLatencyMs,median", Milliseconds),
	"THINKING_PAUSES":           measure("dyad,thinkingPauses,count", Count),
	"LANGUAGE_STYLE_MATCH":      measure("dyad,languageStyleMatch", Share),
}
