// Package coding says what each utterance of a coaching conversation does, in the terms of motivational interviewing: what
// the coach does (asks, reflects, informs or advises, affirms) and where the client's talk leans (to change, or to how
// things are).
//
// It is rules over words: phrases of lexicon/*.txt and a few things counted, each worth one to four points for a kind of
// code. The points were set by hand, from what the words mean, and tried on a part of an annotated corpus; none is a fitted
// weight. Every code names the rule that spoke loudest for it. A code is an estimate from the wording: evidence to look at,
// never a verdict on a person. docs/analysis.md says how often it agrees with human coders, and where it does not.
//
// The phrases are English. In another language hardly any rule fires, and coaches' statements come out as reflections:
// callers ask for codes of English conversations only.
package coding

import "github.com/rapporthq/rapport/internal/coaching/conversation"

const (
	// Scheme names the set of codes below. Stored codes carry it; a new meaning of any code is a new scheme.
	Scheme = "rapport.v1"

	// Source says what made these codes, among those that can: rules, a model, a person.
	Source = "RULE"

	// Version is raised whenever a change of this package can change a code.
	Version = 1
)

// Code is what an utterance, or a sentence of it, does.
type Code string

// The codes of a coach. Input is information and advice: with permission if the coach asked for it or the client asked.
const (
	QuestionOpen           Code = "QUESTION_OPEN"
	QuestionClosed         Code = "QUESTION_CLOSED"
	Reflection             Code = "REFLECTION"
	InputWithPermission    Code = "INPUT_WITH_PERMISSION"
	InputWithoutPermission Code = "INPUT_WITHOUT_PERMISSION"
	Affirmation            Code = "AFFIRMATION"
	Other                  Code = "OTHER" // listening, greeting, thanking, arranging
)

// The codes of a client.
const (
	ChangeTalk  Code = "CHANGE_TALK"
	SustainTalk Code = "SUSTAIN_TALK"
	Neutral     Code = "NEUTRAL"
)

// IsQuestion tells whether the code is a question of either kind.
func (c Code) IsQuestion() bool { return c == QuestionOpen || c == QuestionClosed }

// IsInput tells whether the code is information or advice, permitted or not.
func (c Code) IsInput() bool { return c == InputWithPermission || c == InputWithoutPermission }

// Mark is a code with its grounds.
type Mark struct {
	Code       Code
	Confidence float64 // 0 to 1: the share of marks like this one that a human coder would agree with, estimated by hand
	Rule       string  // what spoke loudest for the code: "reflection.sounds-like"
}

// Sentence is a sentence of an utterance, as it stands there.
type Sentence struct {
	Mark
	Text string
}

// Utterance is what one utterance does: its main code, and the code of each of its sentences with a word in it. Both are
// empty if nobody knows its speaker as a coach or a client, or if it has no words.
type Utterance struct {
	Mark
	Sentences []Sentence
}

// Asks tells whether any sentence is a question, whatever the main code.
func (u Utterance) Asks() bool {
	for _, s := range u.Sentences {
		if s.Code.IsQuestion() {
			return true
		}
	}
	return false
}

// Apply codes the utterances, which are in the order of the conversation, and answers in their order. It is pure and
// deterministic.
func Apply(speakers []conversation.Speaker, utterances []conversation.Utterance) []Utterance {
	out := make([]Utterance, len(utterances))
	c := coder{heard: map[string]int{}, permitted: -1}
	for i, u := range utterances {
		if u.Speaker < 0 || u.Speaker >= len(speakers) {
			continue
		}
		c.at = i
		switch speakers[u.Speaker].Role {
		case conversation.RoleCoach:
			out[i] = c.coach(u.Text)
		case conversation.RoleClient:
			out[i] = c.client(u.Text)
		}
	}
	return out
}

// coder is what has been heard so far.
type coder struct {
	at int // the utterance that is being coded

	heard     map[string]int // stem → the utterance in which a client said it last
	permitted int            // the last utterance that input is permitted in, -1: none
	floor     coachTurn      // what the coach said last, back-channels aside
	before    Mark           // of the coach's utterance before
	lean      kind           // of the client's utterance before: kindChange, kindSustain or neither
	goesOn    bool           // nothing but back-channels has been heard since the client's utterance before
}

// Balance is (reflections − input without permission) ÷ utterances of a coach that are not OTHER, by main codes: from −1 to
// 1, nil without such utterances. More reflection and less unasked advice go with sessions that trained observers call good;
// the share of open questions does not. It is a fixed formula over estimates, for a coach's own trend.
func Balance(coded []Utterance) *float64 {
	reflections, unasked, all := 0, 0, 0
	for _, u := range coded {
		switch u.Code {
		case Reflection:
			reflections++
			all++
		case InputWithoutPermission:
			unasked++
			all++
		case QuestionOpen, QuestionClosed, InputWithPermission, Affirmation:
			all++
		}
	}
	if all == 0 {
		return nil
	}
	b := float64(reflections-unasked) / float64(all)
	return &b
}
