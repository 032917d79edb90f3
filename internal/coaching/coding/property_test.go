package coding

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

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
