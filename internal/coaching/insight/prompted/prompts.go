package prompted

import (
	_ "embed"
	"encoding/json"

	"github.com/rapporthq/rapport/internal/coaching/coding"
	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/platform/llm"
)

// PromptVersion is raised whenever anything changes that the model is told: the files of prompts/, or a tool. A test keeps it.
const PromptVersion = "2"

var (
	//go:embed prompts/findings.md
	findingsPrompt string
	//go:embed prompts/codes.md
	codesPrompt string
	//go:embed prompts/roles.md
	rolesPrompt string
)

// audiences says whom each kind is for: who sees what is ours to say, not the model's.
var audiences = map[insight.Kind]insight.Audience{
	insight.KindTheme:          insight.AudienceBoth,
	insight.KindBreakthrough:   insight.AudienceBoth,
	insight.KindBlocker:        insight.AudienceBoth,
	insight.KindCommitment:     insight.AudienceBoth,
	insight.KindStrength:       insight.AudienceBoth,
	insight.KindValue:          insight.AudienceBoth,
	insight.KindChangeTalk:     insight.AudienceCoachOnly,
	insight.KindSustainTalk:    insight.AudienceCoachOnly,
	insight.KindEmotionShift:   insight.AudienceCoachOnly,
	insight.KindRiskFlag:       insight.AudienceCoachOnly,
	insight.KindCoachSkill:     insight.AudienceCoachOnly,
	insight.KindQuestionOfNote: insight.AudienceCoachOnly,
}

var (
	insightKinds = []string{"THEME", "BREAKTHROUGH", "BLOCKER", "CHANGE_TALK", "SUSTAIN_TALK", "STRENGTH", "VALUE", "EMOTION_SHIFT", "RISK_FLAG", "COACH_SKILL", "QUESTION_OF_NOTE"}
	headings     = []string{"TOPICS", "TURNING_POINTS", "OBSTACLES", "AGREEMENTS", "CONCERNS"}
	skills       = []string{"OPEN_QUESTIONS", "REFLECTIONS", "AFFIRMATIONS", "PERMISSION_BEFORE_ADVICE", "ASKING_FOR_NEXT_STEPS"}
	roles        = []string{"COACH", "CLIENT", "OTHER", "UNKNOWN"}
	levels       = []string{"OBSERVED", "NOT_OBSERVED", "INSUFFICIENT"}
	coachCodes   = []coding.Code{coding.QuestionOpen, coding.QuestionClosed, coding.Reflection, coding.InputWithPermission, coding.InputWithoutPermission, coding.Affirmation, coding.Other}
	clientCodes  = []coding.Code{coding.ChangeTalk, coding.SustainTalk, coding.Neutral}
)

// The tools.
const (
	recordInsight    = "record_insight"
	recordCommitment = "record_commitment"
	recordPoint      = "record_point"
	recordSkill      = "record_skill"
	nothingToNote    = "nothing_to_note"
	codeUtterances   = "code_utterances"
	proposeRoles     = "propose_roles"
)

// property is a property of an object, in the order that the model is to write it.
type property struct {
	name   string
	schema any
}

// object is the schema of an object: every property required, none besides.
func object(properties ...property) any {
	required, all := make([]string, len(properties)), map[string]any{}
	for i, p := range properties {
		required[i], all[p.name] = p.name, p.schema
	}
	return map[string]any{"type": "object", "properties": all, "required": required, "additionalProperties": false}
}

func list(of any) any { return map[string]any{"type": "array", "items": of} }

func oneOf[T ~string](values ...T) any { return map[string]any{"type": "string", "enum": values} }

var (
	text      = map[string]any{"type": "string"}
	integer   = map[string]any{"type": "integer"}
	number    = map[string]any{"type": "number"}
	citations = list(object(property{"first", integer}, property{"last", integer}, property{"quote", text}))
)

func tool(name, description string, properties ...property) llm.Tool {
	schema, err := json.Marshal(object(properties...))
	if err != nil {
		panic(err) // maps of strings
	}
	return llm.Tool{Name: name, Description: description, Parameters: schema}
}

var findingsTools = []llm.Tool{
	tool(recordInsight, "Notes one thing that is worth the coach's attention.",
		property{"kind", oneOf(insightKinds...)}, property{"topic", text}, property{"citations", citations}, property{"title", text}, property{"body", text}, property{"confidence", number}),
	tool(recordCommitment, "Notes that somebody said what they are going to do.",
		property{"citations", citations}, property{"title", text}, property{"body", text}, property{"speaker", text}, property{"due", text}, property{"confidence", number}),
	tool(recordPoint, "Notes one point of the summary.",
		property{"heading", oneOf(headings...)}, property{"text", text}, property{"citations", citations}),
	tool(recordSkill, "Notes what the conversation shows of one skill of the coach.",
		property{"skill", oneOf(skills...)}, property{"level", oneOf(levels...)}, property{"paragraph", text}, property{"citations", citations}),
	tool(nothingToNote, "Says that there is nothing worth noting."),
}

var codesTools = []llm.Tool{
	tool(codeUtterances, "Codes utterances.", property{"codes", list(object(
		property{"n", integer}, property{"code", oneOf(append(append([]coding.Code{}, coachCodes...), clientCodes...)...)}, property{"confidence", number}))}),
}

var rolesTools = []llm.Tool{
	tool(proposeRoles, "Says who is who.", property{"roles", list(object(
		property{"speaker", text}, property{"role", oneOf(roles...)}, property{"confidence", number}))}),
}
