package coding

import (
	"reflect"
	"strings"
	"testing"

	"github.com/rapporthq/rapport/internal/coaching/conversation"
)

// talk writes a conversation as lines: "C: …" is the coach, "K: …" the client, "?: …" nobody knows whom.
func talk(lines ...string) ([]conversation.Speaker, []conversation.Utterance) {
	speakers := []conversation.Speaker{{Name: "Ana", Role: conversation.RoleCoach}, {Name: "Ben", Role: conversation.RoleClient}, {Name: "Guest", Role: conversation.RoleUnknown}}
	utterances := make([]conversation.Utterance, len(lines))
	for i, l := range lines {
		who, text, _ := strings.Cut(l, ": ")
		utterances[i] = conversation.Utterance{Speaker: strings.Index("CK?", who), Text: text}
	}
	return speakers, utterances
}

// last codes a conversation and returns its last utterance.
func last(lines ...string) Utterance {
	coded := Apply(talk(lines...))
	return coded[len(coded)-1]
}

// example is a conversation whose last utterance a rule decides.
type example struct {
	rule string
	code Code
	said []string
}

func (e example) check(t *testing.T) {
	t.Helper()
	if got := last(e.said...); got.Code != e.code || got.Rule != e.rule {
		t.Errorf("%q: got %s by %s, want %s by %s", e.said, got.Code, got.Rule, e.code, e.rule)
	}
}

func coachExamples() []example {
	return []example{
		{"question.form", QuestionOpen, []string{"C: What would a calmer Monday look like?"}},
		{"question.form", QuestionClosed, []string{"C: Did you tell your sister?"}},
		{"question.form", QuestionOpen, []string{"C: You were torn about the offer last week. What has become of it?"}},
		{"question.statement", QuestionClosed, []string{"C: The whole team?"}},

		{"reflection.sounds-like", Reflection, []string{"C: It sounds like the evenings are what you guard most."}},
		{"reflection.sounds-like", Reflection, []string{"C: So it sounds like you are done with the night shifts?"}},
		{"reflection.heard", Reflection, []string{"C: What I'm hearing is a wish for more room."}},
		{"reflection.sums-up", Reflection, []string{"C: Let me see if I have the picture."}},
		{"reflection.feels", Reflection, []string{"C: You're kind of torn about the move."}},
		{"reflection.two-sides", Reflection, []string{"C: Part of you still hopes it mends."}},
		{"reflection.empathy", Reflection, []string{"C: That must have been a long night."}},
		{"reflection.wants", Reflection, []string{"C: You'd rather leave by the front door."}},
		{"reflection.has-done", Reflection, []string{"C: Over the summer you've tried three versions of that talk."}},
		{"reflection.says-you", Reflection, []string{"C: Your mornings belong to the children."}},
		{"reflection.as-if-them", Reflection, []string{"C: Like, I've got to be there for all of them."}},
		{"reflection.so-you", Reflection, []string{"C: So the garden is where you land."}},
		{"reflection.and-you", Reflection, []string{"C: And the keys stay with you."}},
		{"reflection.past", Reflection, []string{"C: She left before dinner."}},
		{"reflection.echo", Reflection, []string{"K: The choir rehearses on Thursdays, and I skip it.", "C: Thursdays without choir."}},
		{"reflection.paraphrase", Reflection, []string{"K: It is like that.", "C: A door half open."}},
		{"continues", Reflection, []string{"C: It sounds like the evenings-", "K: Yeah.", "C: -mostly in winter."}},

		{"input.advises", InputWithoutPermission, []string{"C: You should write the hard sentence down before the meeting."}},
		{"input.wishes", InputWithoutPermission, []string{"C: I'd like you to ring her before Friday."}},
		{"input.people", InputWithoutPermission, []string{"C: Research points to sleep as the first thing to mend."}},
		{"input.explains", InputWithoutPermission, []string{"C: A full calendar tends to crowd out the quiet work."}},
		{"input.offers", InputWithoutPermission, []string{"C: Here is a worksheet for the first week."}},
		{"input.role", InputWithoutPermission, []string{"C: My role is to keep the time."}},
		{"input.health", InputWithoutPermission, []string{"C: The dose of that medication is low."}},
		{"input.if-you", InputWithoutPermission, []string{"C: If you like tea, the kitchen is open."}},
		{"input.suggests", InputWithoutPermission, []string{"C: You might begin with the shortest one."}},
		{"input.general", InputWithoutPermission, []string{"C: Teams under pressure talk about the work and seldom about the pressure itself."}},
		{"input.well", InputWithoutPermission, []string{"C: Well, the form goes to the office first."}},
		{"input.we", InputWithoutPermission, []string{"C: The two of us meet every other week."}},

		{"affirmation.praises", Affirmation, []string{"C: That took courage."}},
		{"other.listening", Other, []string{"C: Mm-hmm."}},
		{"other.greets", Other, []string{"C: Hello, come in, nice to see you again."}},
		{"other.thanks", Other, []string{"C: Thank you for today."}},
		{"other.arranges", Other, []string{"C: Let's start there next week."}},
		{"input.i", InputWithoutPermission, []string{"C: I walk 9 miles home."}},
		{"input.long", InputWithoutPermission, []string{"C: " + strings.Repeat("Bread, then tea. ", 20)}},
		{"other.gives-way", Other, []string{"C: Fair enough."}},
	}
}

func clientExamples() []example {
	return []example{
		{"change.needs", ChangeTalk, []string{"K: I need to sleep before midnight."}},
		{"change.wants", ChangeTalk, []string{"K: I'd like to, maybe, do more of that."}},
		{"change.no-longer-wants", ChangeTalk, []string{"K: I don't want to be the one who shouts."}},
		{"change.able", ChangeTalk, []string{"K: I think I could ask for help."}},
		{"change.commits", ChangeTalk, []string{"K: I'm going to tell him on Monday."}},
		{"change.tries", ChangeTalk, []string{"K: I've started to walk home."}},
		{"change.benefits", ChangeTalk, []string{"K: It would be better for all of us."}},
		{"change.worries", ChangeTalk, []string{"K: I'm worried, I guess, about what the children see."}},
		{"change.imagines", ChangeTalk, []string{"K: I would leave at five, maybe, or try half past."}},
		{"change.asked-for", ChangeTalk, []string{"C: What would help you leave earlier?", "K: A train at half past five."}},
		{"change.leans", ChangeTalk, []string{"K: Maybe I would try."}},
		{"change.acts", ChangeTalk, []string{"K: Less of it, I guess, if it hurts."}},
		{"change.goes-on", ChangeTalk, []string{"K: I need to sleep before midnight.", "C: Mm-hmm.", "K: With the phone in the kitchen."}},

		{"sustain.unable", SustainTalk, []string{"K: I can't say no to him."}},
		{"sustain.unneeded", SustainTalk, []string{"K: It's not a big deal."}},
		{"sustain.likes", SustainTalk, []string{"K: I enjoy the late hours."}},
		{"sustain.usual", SustainTalk, []string{"K: Everybody answers mail at night."}},
		{"sustain.refuses", SustainTalk, []string{"K: I'm not ready."}},
		{"sustain.failed", SustainTalk, []string{"K: It didn't work."}},
		{"sustain.lacks", SustainTalk, []string{"K: There is no time on weekdays."}},
		{"sustain.minimises", SustainTalk, []string{"K: It's just a mail or two."}},
		{"sustain.justifies", SustainTalk, []string{"K: It's not a big deal.", "C: The list is here.", "K: I mean, the bus."}},
		{"sustain.goes-on", SustainTalk, []string{"K: It's not a big deal.", "C: Mm-hmm.", "K: With the phone in the kitchen."}},
		{"sustain.asked-for", SustainTalk, []string{"C: What do you like about working late?", "K: The house is dark then."}},

		{"neutral.nothing-speaks", Neutral, []string{"K: We moved here in March."}},
		{"neutral.too-little", Neutral, []string{"K: It would rain."}},
		{"neutral.both-ways", Neutral, []string{"K: I want to, but I can't."}},
		{"neutral.too-little", Neutral, []string{"C: So you want to leave the evenings free.", "K: Yes."}}, // a yes alone is not enough
	}
}

func TestRules(t *testing.T) {
	t.Parallel()
	for _, e := range append(coachExamples(), clientExamples()...) {
		e.check(t)
	}
}

// Every rule of the lexicons has an example above, but for those that lead no code of their own.
func TestEveryRuleHasAnExample(t *testing.T) {
	t.Parallel()
	shown := map[string]bool{}
	for _, e := range append(coachExamples(), clientExamples()...) {
		shown[e.rule] = true
	}
	for _, l := range []lexicon{coachLexicon, permissionLexicon, clientLexicon} {
		for _, patterns := range l {
			for _, p := range patterns {
				switch p.rule.kind {
				case kindPermission, kindInvitesChange, kindInvitesSustain:
				default:
					if !shown[p.rule.name] {
						t.Errorf("%s has no example", p.rule.name)
					}
				}
			}
		}
	}
}

// A number is no information by itself; beside something else it tips the balance.
func TestNumbersTip(t *testing.T) {
	t.Parallel()
	example{"reflection.paraphrase", Reflection, []string{"C: I walk nine miles home."}}.check(t)
}

func TestInvitations(t *testing.T) {
	t.Parallel()
	for question, want := range map[string]Code{
		"Why did you pick a six and not a four?":      ChangeTalk,  // asks-reason
		"What would help you get there?":              ChangeTalk,  // asks-plan
		"How confident are you?":                      ChangeTalk,  // asks-readiness
		"What are the good things about late nights?": SustainTalk, // asks-liking
		"What gets in the way?":                       SustainTalk, // asks-obstacle
		"Where do you sit?":                           Neutral,
	} {
		if got := last("C: "+question, "K: A train at half past five."); got.Code != want {
			t.Errorf("%q: the answer is %s by %s, want %s", question, got.Code, got.Rule, want)
		}
		if got := last("C: "+question, "K: A train."); got.Code != Neutral {
			t.Errorf("%q: two words are %s by %s", question, got.Code, got.Rule)
		}
	}
}

// What a coach gives back tips the balance of what the client says next.
func TestContextTips(t *testing.T) {
	t.Parallel()
	const half = "K: I could."
	alone := last("C: The list is here.", half)
	after := last("C: You want to leave the evenings free.", half)
	lingering := last("K: I need to sleep before midnight.", "C: The list is here.", half)
	if got := last("C: You are ready.", half); got.Code != ChangeTalk {
		t.Errorf("after a reflection of \"i am ready\" %s", got.Code)
	}
	if alone.Code != Neutral || after.Code != ChangeTalk || lingering.Code != ChangeTalk {
		t.Errorf("alone %s, after a reflection of change %s, after change talk %s", alone.Code, after.Code, lingering.Code)
	}
}

func TestMainCodeOfMixedUtterances(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text  string
		code  Code
		parts []Code
	}{
		{"You're tired of the commute. What would a week without it be like?", QuestionOpen, []Code{Reflection, QuestionOpen}},
		{"Most people find the first week hardest, and research says that it passes. It tends to get easier. Does that make sense?", InputWithoutPermission,
			[]Code{InputWithoutPermission, InputWithoutPermission, QuestionClosed}},
		{"So you feel that the team would rather wait, and you want to go ahead?", Reflection, []Code{QuestionClosed}},
		{"Okay. Thanks.", Other, []Code{Other, Other}},
	} {
		got := last("C: " + c.text)
		var parts []Code
		for _, s := range got.Sentences {
			parts = append(parts, s.Code)
		}
		if got.Code != c.code || !reflect.DeepEqual(parts, c.parts) {
			t.Errorf("%q: got %s of %v, want %s of %v", c.text, got.Code, parts, c.code, c.parts)
		}
	}
	if u := last("C: So you feel that the team would rather wait?"); !u.Asks() {
		t.Error("a reflection with a question mark still asks")
	}
}

func TestPermission(t *testing.T) {
	t.Parallel()
	const advice = "C: You should write the hard sentence down before the meeting."
	for _, c := range []struct {
		name string
		said []string
		want Code
	}{
		{"nobody asked", []string{"K: It was a long week.", advice}, InputWithoutPermission},
		{"the coach asked", []string{"C: Would it be okay if I shared a thought?", "K: Sure.", advice}, InputWithPermission},
		{"the client asked", []string{"K: What should I do?", advice}, InputWithPermission},
		{"in the same breath", []string{"C: If you're interested, you should write the hard sentence down."}, InputWithPermission},
		{"four utterances later", []string{"C: May I offer a suggestion?", "K: Sure.", "C: Mm-hmm.", "K: Go on.", advice}, InputWithPermission},
		{"six utterances later", []string{"C: May I offer a suggestion?", "K: Sure.", "C: Mm-hmm.", "K: Go on.", "C: Mm-hmm.", "K: I listen.", advice}, InputWithoutPermission},
		{"a question about something else", []string{"K: Did it rain here?", advice}, InputWithoutPermission},
	} {
		if got := last(c.said...); got.Code != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got.Code, c.want)
		}
	}
}

func TestIfIsNotSaid(t *testing.T) {
	t.Parallel()
	if got := last("C: If you want the room, it can be had on Friday."); !got.Code.IsInput() {
		t.Errorf("got %s by %s: what follows an if is supposed, not reflected", got.Code, got.Rule)
	}
}

func TestNobodysUtterances(t *testing.T) {
	t.Parallel()
	speakers, utterances := talk("?: You should rest.", "C: You should rest.", "K: …")
	utterances = append(utterances, conversation.Utterance{Speaker: -1, Text: "You should rest."}, conversation.Utterance{Speaker: 9, Text: "You should rest."})
	for i, u := range Apply(speakers, utterances) {
		if (u.Code != "") != (i == 1) || (len(u.Sentences) > 0) != (i == 1) {
			t.Errorf("utterance %d: %+v", i, u)
		}
	}
}

func TestBalance(t *testing.T) {
	t.Parallel()
	of := func(codes ...Code) []Utterance {
		out := make([]Utterance, len(codes))
		for i, c := range codes {
			out[i].Code = c
		}
		return out
	}
	if b := Balance(of(Other, ChangeTalk, "")); b != nil {
		t.Errorf("nothing of substance: got %v, want nil", *b)
	}
	// 3 reflections, 1 unasked, 6 of substance: (3 − 1) ÷ 6.
	b := Balance(of(Reflection, Reflection, Reflection, InputWithoutPermission, InputWithPermission, QuestionOpen, Other, Neutral, SustainTalk))
	if b == nil || *b != 2.0/6 {
		t.Errorf("got %v, want 1/3", b)
	}
}

func TestWordsOf(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"I’ll th-that's, um, really [laughter] what I-I wanna do": "i will that is what i want to do",
		"you know, it's kind of hard":                             "it is hard",
		"you know what kind of day it is":                         "you know what kind of day it is",
		"She doesn't; we can't":                                   "she does not we can not",
		"it's just a drink, I just want":                          "it is just a drink i want",
		"a [broken bracket":                                       "a broken bracket",
	} {
		if got := strings.Join(wordsOf(text), " "); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestPatterns(t *testing.T) {
	t.Parallel()
	l := parse("[change.a 2]\n^ i want/need .. rest $  # a comment\n\n[sustain.b 3]\nno time\nno rest\n")
	for _, c := range []struct {
		words           string
		start           int
		change, sustain int
	}{
		{"i want rest", 0, 2, 0},
		{"well i need a bit of rest", 1, 2, 0},
		{"i need a bit of real rest", 0, 0, 0}, // the gap is too wide
		{"i need rest now", 0, 0, 0},
		{"and i want rest", 0, 0, 0},
		{"no time no rest no time", 0, 0, 3}, // a rule counts once
		{"no rest not yet", 0, 0, 0},
		{"i want no rest", 0, 2, 3},
		{"", 0, 0, 0},
	} {
		var got tally
		l.score(strings.Fields(c.words), c.start, &got)
		if got[kindChange].points != c.change || got[kindSustain].points != c.sustain {
			t.Errorf("%q: got %d and %d points, want %d and %d", c.words, got[kindChange].points, got[kindSustain].points, c.change, c.sustain)
		}
	}
	for _, broken := range []string{"a phrase before any rule", "[change.a]\nx", "[weather.a 2]\nx", "[change.a 2]\n^", "[change.a 2]\n.. x"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q is taken for a lexicon", broken)
				}
			}()
			parse(broken)
		}()
	}
}

// Phrases are matched against words as wordsOf makes them, so a phrase that it would change is never found.
func TestPhrasesCanBeFound(t *testing.T) {
	t.Parallel()
	for _, l := range []lexicon{coachLexicon, permissionLexicon, clientLexicon} {
		for _, patterns := range l {
			for _, p := range patterns {
				var words []string
				for _, s := range p.steps {
					if !s.gap {
						words = append(words, s.words[0])
					}
				}
				text := strings.Join(words, " ")
				if got := strings.Join(wordsOf(text), " "); got != text {
					t.Errorf("%s: %q is read as %q", p.rule.name, text, got)
				}
				if p.rule.points < 1 || p.rule.points > 4 {
					t.Errorf("%s is worth %d points", p.rule.name, p.rule.points)
				}
			}
		}
	}
}
