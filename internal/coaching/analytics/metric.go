package analytics

// source is where a metric's observations come from. Each is of one session, so that they are seen by whom and when the
// session says.
type source string

const (
	measures source = "session_metrics m JOIN sessions s ON s.org_id = $1 AND s.id = m.session_id"
	sessions source = "sessions s"
)

// metric says how a value comes about.
type metric struct {
	from  source
	value string // of one session, NULL if there is none
	sum   bool   // over an interval; else the mean
	unit  Unit
}

// measure is a number of the stored measures of a conversation, by its path.
func measure(path string, unit Unit) metric {
	return metric{from: measures, value: "(m.measures #>> '{" + path + "}')::float8", unit: unit}
}

// given makes a measure null where it rests on something else than the others: values that do not compare.
func given(condition string, m metric) metric {
	m.value = "CASE WHEN " + condition + " THEN " + m.value + " END"
	return m
}

// outcome counts sessions that ended in a state, of those that have ended in any.
func outcome(status string) metric {
	return metric{from: sessions, sum: true, unit: Count,
		value: "CASE WHEN s.status IN ('COMPLETED', 'CANCELLED', 'NO_SHOW') THEN (s.status = '" + status + "')::int::float8 END"}
}

const (
	timed = "m.measures ->> 'basis' = 'TIME'"
	coded = "m.measures ->> 'reflectionEvidence' = 'CODES'"
)

var metrics = map[Name]metric{
	"SESSIONS_HELD":      outcome("COMPLETED"),
	"SESSIONS_CANCELLED": outcome("CANCELLED"),
	"SESSIONS_NO_SHOW":   outcome("NO_SHOW"),

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
