package insight

import (
	"context"
	"time"

	"github.com/rapporthq/rapport/internal/coaching/conversation"
	"github.com/rapporthq/rapport/internal/platform/llm"
)

// Conversation is what an analyser gets to see: no names of organizations, no ids, no e-mail addresses but those that were said. Where
// the organization wants it so, one that asks a model sees placeholders for those, too, and for the names of people.
type Conversation struct {
	Language   string
	On         time.Time // the day of the session where the coach is, as midnight UTC; zero if unknown
	Speakers   []conversation.Speaker
	Utterances []conversation.Utterance
	RolesOpen  bool // who is who is not known well enough for what rests on it
}

// Finding is an analyser's proposal. It becomes an Insight only after each of its quotes was found in the utterances it cites.
type Finding struct {
	Kind       Kind
	Audience   Audience
	Title      string  // one line
	Body       string  // one to three sentences
	Confidence float64 // 0 to 1
	Citations  []Quote // at least one
	Commitment *Commitment
	Topic      string // what a THEME is about, in a few words: what has the same in another session is the same theme (theme.Key)
}

// Commitment is who is going to do what a COMMITMENT is about, and when, if that was said.
type Commitment struct {
	Speaker int // index into Conversation.Speakers
	Due     string
	DueOn   *time.Time // a day, as midnight UTC; nil if Due names none for sure
}

// Quote is a verbatim passage from consecutive utterances.
type Quote struct {
	Text        string
	First, Last int // indices into Conversation.Utterances, inclusive
}

// Code says what an utterance does. An utterance has one main code; the others are of single sentences of it.
type Code struct {
	Utterance  int // index into Conversation.Utterances
	Scheme     string
	Code       string
	Main       bool
	Confidence float64 // 0 to 1
	Source     CodeSource
	Rule       string // what speaks for it; "" if the source cannot say
}

// CodeSource is what has coded an utterance.
type CodeSource string

// The sources of codes.
const (
	SourceRule  CodeSource = "RULE"
	SourceModel CodeSource = "MODEL"
	SourceLLM   CodeSource = "LLM"
	SourceHuman CodeSource = "HUMAN"
)

// Heading is a part of a summary.
type Heading string

// The parts of a summary, in their order.
const (
	HeadingTopics        Heading = "TOPICS"
	HeadingTurningPoints Heading = "TURNING_POINTS"
	HeadingObstacles     Heading = "OBSTACLES"
	HeadingAgreements    Heading = "AGREEMENTS"
	HeadingConcerns      Heading = "CONCERNS"
)

// Point is a statement of a summary.
type Point struct {
	Heading   Heading
	Text      string  // one sentence
	Citations []Quote // at least one
}

// Skill is something a coach can be seen to do.
type Skill string

// The skills, in the order they are shown.
const (
	SkillOpenQuestions Skill = "OPEN_QUESTIONS"
	SkillReflections   Skill = "REFLECTIONS"
	SkillAffirmations  Skill = "AFFIRMATIONS"
	SkillPermission    Skill = "PERMISSION_BEFORE_ADVICE"
	SkillNextSteps     Skill = "ASKING_FOR_NEXT_STEPS"
)

// EvidenceLevel says what the conversation shows of a skill. It is no grade.
type EvidenceLevel string

// The levels. NOT_OBSERVED means that there was occasion enough; INSUFFICIENT that there was not.
const (
	Observed     EvidenceLevel = "OBSERVED"
	NotObserved  EvidenceLevel = "NOT_OBSERVED"
	Insufficient EvidenceLevel = "INSUFFICIENT"
)

// Evidence is what a conversation shows of one skill of the coach.
type Evidence struct {
	Skill     Skill
	Level     EvidenceLevel
	Paragraph string
	Citations []Quote // at least one if OBSERVED
}

// RoleProposal is who a speaker seems to be.
type RoleProposal struct {
	Speaker    int // index into Conversation.Speakers
	Role       conversation.Role
	Confidence float64 // 0 to 1
}

// Analyser reads a conversation and reports what it finds, bit by bit, as it finds it.
//
// An error of the report ends the analysis and is returned. Implementations are safe for concurrent use. A deterministic
// implementation reports the same in the same order for the same conversation. What is reported is proposed: whoever takes
// it checks that each quote stands in the utterances it cites.
type Analyser interface {
	Engine() Engine
	Analyse(ctx context.Context, c Conversation, to Report) error
}

// Report receives an analysis.
type Report interface {
	// Roles proposes who is who, before anything else is reported, where that is open. A person is asked all the same, unless the
	// organization has roles decided: then the analysis ends with the error that this returns, and begins anew with them.
	Roles([]RoleProposal) error

	Insight(Finding) error
	Codes([]Code) error // of some utterances, all of each
	Point(Point) error
	Evidence(Evidence) error

	// Ask has a model answer on the account of the analysis. Whatever an analyser wants of a model it asks for here: this is where
	// consent is looked at, limits are kept, costs are booked, and what was answered before is answered again for nothing. An
	// error that is none of the model's (llm.Failure) ends the analysis.
	Ask(ctx context.Context, m llm.Model, q llm.Request, call func(llm.Call) error) error
}

// Collection is a Report that keeps everything.
type Collection struct {
	Findings []Finding
	Coded    []Code
	Points   []Point
	Skills   []Evidence
	Proposed []RoleProposal
	Used     llm.Usage
}

// Roles implements Report.
func (c *Collection) Roles(all []RoleProposal) error {
	c.Proposed = append(c.Proposed, all...)
	return nil
}

// Insight implements Report.
func (c *Collection) Insight(f Finding) error { c.Findings = append(c.Findings, f); return nil }

// Codes implements Report.
func (c *Collection) Codes(codes []Code) error { c.Coded = append(c.Coded, codes...); return nil }

// Point implements Report.
func (c *Collection) Point(p Point) error { c.Points = append(c.Points, p); return nil }

// Evidence implements Report.
func (c *Collection) Evidence(e Evidence) error { c.Skills = append(c.Skills, e); return nil }

// Ask implements Report.
func (c *Collection) Ask(ctx context.Context, m llm.Model, q llm.Request, call func(llm.Call) error) error {
	used, err := m.Answer(ctx, q, call)
	c.Used.Add(used)
	return err
}

// Engine identifies what produced an analysis; a change of any part of it makes a new analysis.
type Engine struct {
	Name          string // "rules", "openai"
	Version       string
	Model         string // "" without one
	PromptVersion string // "" without one
}
