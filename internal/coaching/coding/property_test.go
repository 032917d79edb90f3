package coding

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/coaching/conversation"
)

var coachCodes = []Code{QuestionOpen, QuestionClosed, Reflection, InputWithPermission, InputWithoutPermission, Affirmation, Other}
var clientCodes = []Code{ChangeTalk, SustainTalk, Neutral}

// scraps are what random utterances are made of: words of the phrases, and what breaks careless text handling.
func scraps() []string {
	s := []string{"?", ".", "…", "-", "--", "[", "]", "[laughter]", "'", "’", "\n", "\x00", "\xff", "\u0301", "🙂", "I-I", "-", "don't", "n't", "'s", "日本語", "wh-what", "3.5", ","}
	for _, l := range []lexicon{coachLexicon, clientLexicon} {
		for w := range l {
			s = append(s, w)
		}
	}
	slices.Sort(s)
	return s
}

func TestAnythingCanBeCoded(t *testing.T) {
	t.Parallel()
	words := scraps()
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 1))
		speakers := []conversation.Speaker{{Role: conversation.RoleCoach}, {Role: conversation.RoleClient}, {Role: conversation.RoleOther}, {}}
		utterances := make([]conversation.Utterance, r.IntN(40))
		for i := range utterances {
			var text strings.Builder
			for range r.IntN(30) {
				text.WriteString(words[r.IntN(len(words))])
				if r.IntN(8) > 0 {
					text.WriteByte(' ')
				}
			}
			utterances[i] = conversation.Utterance{Speaker: r.IntN(6) - 1, Text: text.String()}
		}
		before := slices.Clone(utterances)
		coded := Apply(speakers, utterances)
		if !reflect.DeepEqual(coded, Apply(speakers, utterances)) {
			t.Fatalf("seed %d: not deterministic", seed)
		}
		if !reflect.DeepEqual(before, utterances) || len(coded) != len(utterances) {
			t.Fatalf("seed %d: %d codes for %d utterances, or the utterances changed", seed, len(coded), len(utterances))
		}
		for i, u := range coded {
			var may []Code
			switch utterances[i].Speaker {
			case 0:
				may = coachCodes
			case 1:
				may = clientCodes
			}
			if u.Code == "" && len(u.Sentences) == 0 {
				if may != nil && len(wordsOf(utterances[i].Text)) > 0 {
					t.Errorf("seed %d: %q has no code", seed, utterances[i].Text)
				}
				continue
			}
			checkMark(t, u.Mark, may)
			for _, s := range u.Sentences {
				checkMark(t, s.Mark, may)
				if s.Text == "" || !strings.Contains(utterances[i].Text, s.Text) {
					t.Errorf("seed %d: %q is no part of %q", seed, s.Text, utterances[i].Text)
				}
			}
		}
		if b := Balance(coded); b != nil && (*b < -1 || *b > 1) {
			t.Errorf("seed %d: balance %v", seed, *b)
		}
	}
}

func checkMark(t *testing.T, m Mark, may []Code) {
	t.Helper()
	if !slices.Contains(may, m.Code) || m.Confidence <= 0 || m.Confidence >= 1 || m.Rule == "" {
		t.Errorf("%+v is not one of %v with a confidence and a rule", m, may)
	}
}

// A session of two hours is 20,000 words or so. The best of several runs counts: what makes the others slower is the machine.
func TestTwoHoursAreCodedInTime(t *testing.T) {
	lines := []string{
		"C: So it sounds like the evenings are what you guard most, and at the same time you want to be there for the team. What would a week look like in which both had room?",
		"K: I don't know, I guess I could leave at five on two days, but it's hard, you know, because everybody stays and my manager says that he needs the numbers before the call.",
		"C: Mm-hmm.",
		"K: And I need to sleep. I mean, I've been trying to go to bed before midnight for, um, a couple of weeks now.",
		"C: Well, most people find that the first week is the hardest; I'd suggest that you put the phone in the kitchen, and we can look at how it went next time.",
		"K: Okay. That's a good idea.",
	}
	var long []string
	for range 170 {
		long = append(long, lines...)
	}
	speakers, utterances := talk(long...)
	words := 0
	for _, u := range utterances {
		words += conversation.CountWords(u.Text)
	}
	if words < 20_000 {
		t.Fatalf("only %d words", words)
	}
	best := time.Hour
	for range 20 {
		began := time.Now()
		Apply(speakers, utterances)
		best = min(best, time.Since(began))
	}
	t.Logf("%d words in %d utterances: %v", words, len(utterances), best)
	if best > 50*time.Millisecond*slower {
		t.Errorf("%v for two hours of talk, want at most 50 ms", best)
	}
}
