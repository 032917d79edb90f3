// Package insight turns a conversation into insights that each cite the words they rest on.
package insight

// Kind is what an insight is about.
type Kind string

// The kinds of insight.
const (
	KindTheme          Kind = "THEME"
	KindBreakthrough   Kind = "BREAKTHROUGH"
	KindBlocker        Kind = "BLOCKER"
	KindCommitment     Kind = "COMMITMENT"
	KindChangeTalk     Kind = "CHANGE_TALK"
	KindSustainTalk    Kind = "SUSTAIN_TALK"
	KindStrength       Kind = "STRENGTH"
	KindValue          Kind = "VALUE"
	KindEmotionShift   Kind = "EMOTION_SHIFT"
	KindRiskFlag       Kind = "RISK_FLAG"
	KindCoachSkill     Kind = "COACH_SKILL"
	KindQuestionOfNote Kind = "QUESTION_OF_NOTE"
)

// Audience is whom an insight is meant for.
type Audience string

// The audiences.
const (
	AudienceCoachOnly Audience = "COACH_ONLY"
	AudienceClient    Audience = "CLIENT"
	AudienceBoth      Audience = "BOTH"
)
