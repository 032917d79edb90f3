package rules_test

import (
	"context"
	"errors"
	"iter"
	"maps"
	"strings"
	"testing"

	"github.com/rapporthq/rapport/internal/coaching/conversation"
	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/coaching/insight/rules"
	"github.com/rapporthq/rapport/internal/platform/llm"
)

const (
	coach  = 0
	client = 1
)

func pair() []conversation.Speaker {
	return []conversation.Speaker{{Name: "Ana", Role: conversation.RoleCoach}, {Name: "Ben", Role: conversation.RoleClient}}
}

func keys(m map[insight.Kind]int) iter.Seq[insight.Kind] { return maps.Keys(m) }

func analyse(t *testing.T, c insight.Conversation) []insight.Finding {
	t.Helper()
	return report(t, c).Findings
}

func report(t *testing.T, c insight.Conversation) (all insight.Collection) {
	t.Helper()
	if err := (rules.Analyser{}).Analyse(t.Context(), c, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// emitting is a report that looks at findings only.
type emitting func(insight.Finding) error

func (e emitting) Insight(f insight.Finding) error  { return e(f) }
func (emitting) Roles([]insight.RoleProposal) error { return nil }
func (emitting) Codes([]insight.Code) error         { return nil }
func (emitting) Point(insight.Point) error          { return nil }
func (emitting) Evidence(insight.Evidence) error    { return nil }
func (emitting) Ask(context.Context, llm.Model, llm.Request, func(llm.Call) error) error {
	return errors.New("rules ask nobody")
}

// verify checks what every finding promises.
func verify(t *testing.T, c insight.Conversation, f insight.Finding) {
	t.Helper()
	if len(f.Citations) == 0 {
		t.Errorf("%s without a citation", f.Kind)
	}
	if f.Title == "" || strings.ContainsRune(f.Title, '\n') || f.Body == "" || f.Confidence <= 0 || f.Confidence > 1 || f.Audience == "" {
		t.Errorf("incomplete finding %+v", f)
	}
	for _, q := range f.Citations {
		switch {
		case q.First != q.Last || q.First < 0 || q.First >= len(c.Utterances):
			t.Errorf("%s cites utterances %d to %d", f.Kind, q.First, q.Last)
		case q.Text == "" || !strings.Contains(c.Utterances[q.First].Text, q.Text):
			t.Errorf("%s: %q is not in %q", f.Kind, q.Text, c.Utterances[q.First].Text)
		case len(q.Text) > 240:
			t.Errorf("%s: quote of %d bytes", f.Kind, len(q.Text))
		}
	}
}

// lines is a conversation in which a line is the client's, unless it begins with "Coach: " or "Eve: " (whose role is unknown).
func lines(texts ...string) insight.Conversation {
	c := insight.Conversation{Language: "en", Speakers: append(pair(), conversation.Speaker{Name: "Eve", Role: conversation.RoleUnknown})}
	for _, text := range texts {
		u := conversation.Utterance{Speaker: client, Text: text}
		if rest, ok := strings.CutPrefix(text, "Coach: "); ok {
			u.Speaker, u.Text = coach, rest
		} else if rest, ok := strings.CutPrefix(text, "Eve: "); ok {
			u.Speaker, u.Text = 2, rest
		}
		c.Utterances = append(c.Utterances, u)
	}
	return c
}

func TestPassages(t *testing.T) {
	t.Parallel()
	const none = insight.Kind("")
	for _, tt := range []struct {
		text string
		want insight.Kind
	}{
		// Commitments: first person, future, a deed.
		{"I'll call Miriam on Friday about the budget.", insight.KindCommitment},
		{"So I am going to draft the letter tonight.", insight.KindCommitment},
		{"I’m gonna block two hours for writing every morning.", insight.KindCommitment},
		{"I commit to three walks a week.", insight.KindCommitment},
		{"That's what I'll bring to the next meeting with her.", insight.KindCommitment},
		{"I won't call Miriam on Friday.", none},
		{"I don't think I will call Miriam on Friday.", none},
		{"If she answers, I'll call Miriam on Friday.", none},
		{"He told me I will present the budget on Friday.", none},
		{"My boss said \"I'll call Miriam on Friday\" and left.", none},
		{"“I'll call Miriam on Friday” was all I got out of him.", none},
		{"We spoke of how I'm going to finish that report on Friday.", none},
		{"So I'll call Miriam on Friday?", none},
		{"She will call Miriam on Friday.", none},
		{"I'll be honest with you about the budget.", none},
		{"I'm going to the office on Friday.", none},
		{"Sometimes I'll call Miriam on Friday.", none},
		{"I will feel terrible on Friday.", none},
		{"I don't know how I'm going to finish that report.", none},
		{"I will call Miriam about the…", none},
		{"The course that I'm going to teach starts on Friday.", none},
		{"Coach: I'll send the worksheet to you tomorrow.", insight.KindCommitment},
		{"Coach: I'll ask you something else tomorrow.", none},

		{"I want to stop answering mail at midnight.", insight.KindChangeTalk},
		{"I'm so tired of apologising for things that are not mine.", insight.KindChangeTalk},
		{"I need to find a way of saying no.", insight.KindChangeTalk},
		{"My wife says I need to find a way of saying no.", none},
		{"I want to keep answering mail at midnight.", none},
		{"Coach: I want to stop here for a moment.", none},

		{"I'm not ready to hand that over to anyone.", insight.KindSustainTalk},
		{"Honestly, I don't think I can lead that team.", insight.KindSustainTalk},
		{"I've tried that before with my last manager.", insight.KindSustainTalk},
		{"I'm not ready to hand that over to anyone, she said.", none},

		{"What holds me back is the fear of looking foolish.", insight.KindBlocker},
		{"I get stuck whenever the numbers come up.", insight.KindBlocker},
		{"Nothing holds me back when I am on stage.", none},

		{"Oh, I just realised that I never asked her.", insight.KindBreakthrough},
		{"It hits me that I built this cage myself.", insight.KindBreakthrough},
		{"I never thought of it as my own choice.", insight.KindBreakthrough},
		{"He said it hit me harder than the others.", none},
		{"I don't think it hits me the way it should.", none},

		{"What matters to me is that people are heard.", insight.KindValue},
		{"Fairness is important to me in all of this.", insight.KindValue},
		{"None of that is what I'm asking; it isn't that it matters to me.", none},

		{"I'm proud of how I stayed calm in there.", insight.KindStrength},
		{"I managed to tell him without shouting.", insight.KindStrength},
		{"Coach: That took courage, and you did it anyway.", insight.KindStrength},
		{"That took courage, and you did it anyway.", none},

		// Risk: plain wording only, and everyone but the coach.
		{"Some nights I think about killing myself.", insight.KindRiskFlag},
		{"I thought of little else than killing myself.", insight.KindRiskFlag},
		{"I have told my wife that I want to die.", insight.KindRiskFlag},
		{"I don't want to live anymore, most mornings.", insight.KindRiskFlag},
		{"Eve: I don't want to be here anymore, not like this.", insight.KindRiskFlag},
		{"When he drinks he hits me.", insight.KindRiskFlag},
		{"I can't get out of bed some weeks.", insight.KindRiskFlag},
		{"Coach: Are you having thoughts of suicide?", none},
		{"Coach: I thought of little else than killing myself back then.", none},
		{"I would never think of killing myself.", none},
		{"I nearly killed myself laughing at that slide.", none},
		{"My feet are killing me after that hike.", none},
		{"She told me I was killing myself with all that work.", none},

		// Without a role only a named person's commitment is found.
		{"Eve: I'll call Miriam on Friday about the budget.", insight.KindCommitment},
		{"Eve: I want to stop answering mail at midnight.", none},
		{"Eve: I'm proud of how I stayed calm in there.", none},
	} {
		t.Run(tt.text, func(t *testing.T) {
			t.Parallel()
			c := lines(tt.text)
			found := analyse(t, c)
			for _, f := range found {
				verify(t, c, f)
			}
			switch {
			case tt.want == none && len(found) > 0:
				t.Errorf("found %+v", found)
			case tt.want != none && (len(found) != 1 || found[0].Kind != tt.want):
				t.Errorf("want %s, found %+v", tt.want, found)
			}
		})
	}
}

func TestCommitmentIsSurerWithATimeAndAQuestion(t *testing.T) {
	t.Parallel()
	confidence := func(texts ...string) float64 {
		found := analyse(t, lines(texts...))
		if len(found) != 1 || found[0].Kind != insight.KindCommitment {
			t.Fatalf("%q: %+v", texts, found)
		}
		return found[0].Confidence
	}
	plain := confidence("I'll call Miriam about the budget.")
	dated := confidence("I'll call Miriam about the budget on Friday.")
	asked := confidence("Coach: So what will you do?", "I'll call Miriam about the budget on Friday.")
	tentative := confidence("I'll probably call Miriam about the budget on Friday.")
	if !(plain < dated && dated < asked && tentative < dated) {
		t.Errorf("plain %v, dated %v, asked %v, tentative %v", plain, dated, asked, tentative)
	}
}

func TestRiskIsForTheCoachAloneAndNeverCrowdedOut(t *testing.T) {
	t.Parallel()
	var texts []string
	for _, name := range []string{"Ada", "Bo", "Cy", "Di", "Ed", "Flo", "Gus", "Hal"} {
		texts = append(texts, "I will call "+name+" on Friday.", "I want to stop thinking about "+name+" at night.", "What holds me back is "+name+" at work.",
			"It hits me that "+name+" was right.", "I managed to call "+name+" on time.", "I'm not ready to meet "+name+" again.",
			"What matters to me is that "+name+" is well.")
	}
	texts = append(texts, "I can't get out of bed some weeks.") // the least sure of the risks
	found := analyse(t, lines(texts...))
	if len(found) > 15 {
		t.Errorf("%d findings", len(found))
	}
	perKind, last := map[insight.Kind]int{}, 0
	for _, f := range found {
		perKind[f.Kind]++
		if at := f.Citations[0].First; f.Kind != insight.KindTheme && at < last {
			t.Errorf("%q comes after what is said later", f.Title)
		} else {
			last = at
		}
		if f.Kind == insight.KindRiskFlag && f.Audience != insight.AudienceCoachOnly {
			t.Errorf("risk for %s", f.Audience)
		}
		if perKind[f.Kind] > 3 {
			t.Errorf("%d of %s", perKind[f.Kind], f.Kind)
		}
	}
	if perKind[insight.KindRiskFlag] != 1 {
		t.Errorf("risk crowded out: %v", perKind)
	}
}

func TestSaidTwiceIsFoundOnce(t *testing.T) {
	t.Parallel()
	if found := analyse(t, lines("I'll call Miriam on Friday.", "Coach: Good.", "Yes, I will call Miriam on Friday.", "I’ll call Miriam on Friday!")); len(found) != 1 {
		t.Errorf("found %+v", found)
	}
}

func TestLongSentencesAreCutAtWords(t *testing.T) {
	t.Parallel()
	before, after := strings.Repeat("and there was the harbour ", 20), strings.Repeat(" and there were the naïve ships", 20)
	c := lines("So " + before + "I'll call Miriam on Friday" + after + ".")
	found := analyse(t, c)
	if len(found) != 1 {
		t.Fatalf("found %+v", found)
	}
	verify(t, c, found[0])
	quote, text := found[0].Citations[0].Text, c.Utterances[0].Text
	if !strings.Contains(quote, "I'll call Miriam on Friday") || !strings.Contains(text, " "+quote+" ") {
		t.Errorf("quote %q", quote)
	}
	if len(found[0].Title) > 80 || !strings.HasPrefix(found[0].Title, "“I'll call Miriam") || !strings.HasSuffix(found[0].Title, " …”") {
		t.Errorf("title %q", found[0].Title)
	}
}

func TestThemesComeBackInDistantParts(t *testing.T) {
	t.Parallel()
	spread := lines("The garden was quiet.", "Coach: Go on.", "We talked about the budget.", "In the garden I can think.", "Coach: And then?",
		"I went home.", "The gardens of my street are full.", "Coach: And now?", "I miss the garden a lot.")
	found := analyse(t, spread)
	if len(found) != 1 || found[0].Kind != insight.KindTheme || !strings.HasSuffix(found[0].Title, "garden") || len(found[0].Citations) != 3 {
		t.Errorf("found %+v", found)
	}
	named := lines("Miriam was there.", "Coach: Go on.", "It was late.", "I saw Miriam again.", "Coach: And then?", "I went home.", "Nobody spoke.",
		"Coach: And now?", "Miriams are rare.")
	if found := analyse(t, named); len(found) != 1 || !strings.HasSuffix(found[0].Title, ": Miriam") {
		t.Errorf("a name: %+v", found)
	}
	together := lines("The garden was quiet.", "In the garden I can think.", "I miss the garden.", "Coach: Go on.", "It was late.", "We went home.",
		"Nobody spoke.", "Coach: And then?", "That was all.", "I left.", "It rained.", "Coach: Thank you.")
	if found := analyse(t, together); len(found) != 0 {
		t.Errorf("a topic of one part: %+v", found)
	}
}

func TestEmotionShiftCitesBothEnds(t *testing.T) {
	t.Parallel()
	texts := []string{"I'm so overwhelmed by all of it.", "Coach: Tell me.", "I feel anxious every Sunday.", "Coach: Hm.", "It is what it is.", "Coach: Go on.",
		"There was the meeting.", "Coach: Yes.", "I feel calm about it, oddly.", "Coach: Say more."}
	c := lines(texts...)
	found := analyse(t, c)
	if len(found) != 1 || found[0].Kind != insight.KindEmotionShift {
		t.Fatalf("found %+v", found)
	}
	if q := found[0].Citations; len(q) != 2 || q[0].First != 0 || q[1].First != 8 {
		t.Errorf("cites %+v", q)
	}
	texts[8] = "I don't feel calm about it, oddly."
	if found := analyse(t, lines(texts...)); len(found) != 0 {
		t.Errorf("negated: %+v", found)
	}
	texts[8] = "I'd feel calm if he left."
	if found := analyse(t, lines(texts...)); len(found) != 0 {
		t.Errorf("supposed: %+v", found)
	}
}

func TestQuestionOfNoteNeedsALongAnswer(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("There was the house, and then the harbour, where nobody spoke. ", 8)
	c := lines("Coach: How are you today?", "Fine.", "Coach: What makes this so hard to say?", long, "Coach: Do you want to go on with it?", "Yes.")
	found := analyse(t, c)
	if len(found) != 1 || found[0].Kind != insight.KindQuestionOfNote || found[0].Citations[0].First != 2 || found[0].Citations[1].First != 3 {
		t.Errorf("found %+v", found)
	}
	closed := lines("Coach: How are you today?", "Fine.", "Coach: Did you go home after that?", long, "Coach: Do you want to go on with it?", "Yes.")
	if found := analyse(t, closed); len(found) != 0 {
		t.Errorf("a closed question: %+v", found)
	}
}

func TestAdviceIsEvidenceOnlyWhenUnasked(t *testing.T) {
	t.Parallel()
	unasked := lines("It was late.", "Coach: You should write to her before the weekend.", "Hm.", "Coach: I would suggest a shorter letter.")
	found := analyse(t, unasked)
	if len(found) != 1 || found[0].Kind != insight.KindCoachSkill || found[0].Audience != insight.AudienceCoachOnly || len(found[0].Citations) != 2 {
		t.Errorf("found %+v", found)
	}
	asked := lines("What should I do about it, do you think?", "Coach: You should write to her before the weekend.", "Hm.", "Coach: I would suggest a shorter letter.")
	if found := analyse(t, asked); len(found) != 0 {
		t.Errorf("asked for: %+v", found)
	}
}

func TestOtherLanguagesYieldThemesOnly(t *testing.T) {
	t.Parallel()
	c := lines("I'll call Miriam on Friday.", "Some nights I think about killing myself.", "Das Vorstellungsgespräch war kurz.", "Coach: Ja?",
		"Vor dem Vorstellungsgespräch schlief ich nicht.", "Coach: Und?", "Das nächste Vorstellungsgespräch ist bald.", "Gut.")
	c.Language = "de-AT"
	found := analyse(t, c)
	if len(found) != 1 || found[0].Kind != insight.KindTheme {
		t.Errorf("found %+v", found)
	}
}

func TestStopsWhenTold(t *testing.T) {
	t.Parallel()
	c := lines("I'll call Miriam on Friday.", "I'm not ready to hand that over to anyone.")
	full := errors.New("full")
	emitted := 0
	err := rules.Analyser{}.Analyse(t.Context(), c, emitting(func(insight.Finding) error { emitted++; return full }))
	if !errors.Is(err, full) || emitted != 1 {
		t.Errorf("emit's error: got %v after %d findings", err, emitted)
	}
	ctx, cancel := context.WithCancel(t.Context())
	emitted = 0
	err = rules.Analyser{}.Analyse(ctx, c, emitting(func(insight.Finding) error { emitted++; cancel(); return nil }))
	if !errors.Is(err, context.Canceled) || emitted != 1 {
		t.Errorf("cancelled while emitting: got %v after %d findings", err, emitted)
	}
	err = rules.Analyser{}.Analyse(ctx, c, emitting(func(insight.Finding) error { t.Error("emitted after the end"); return nil }))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: got %v", err)
	}
}

func TestNothingToSay(t *testing.T) {
	t.Parallel()
	for _, c := range []insight.Conversation{{}, lines(""), lines("…", "Coach: ?"), {Utterances: []conversation.Utterance{{Speaker: -1, Text: "Hello there."}}}} {
		if found := analyse(t, c); len(found) != 0 {
			t.Errorf("found %+v", found)
		}
	}
}
