package conversation_test

import (
	"slices"
	"testing"

	"github.com/rapporthq/rapport/internal/coaching/conversation"
)

func TestIsQuestion(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		sentence   string
		asks, open bool
	}{
		{"What would you like to look at today?", true, true},
		{"what would you like to look at today", true, true},
		{"Okay, so, um, wh-what do you make of that.", true, true},
		{"How do you want to feel on Monday?", true, true},
		{"How often does that happen?", true, false},
		{"How’s the new role?", true, true},
		{"Why now?", true, true},
		{"Did you talk to her", true, false},
		{"Do you know what you want?", true, false},
		{"So you talked to her?", true, false},
		{"On a scale of 1 to 10, how ready are you", true, false},
		{"Tell me more about that.", true, true},
		{"I'm just wondering if there is more to it.", true, true},
		{"Could you tell me what happened?", true, true},
		{"So talk to me a little more about that evening.", true, true},
		{"If it went well, what would you notice first?", true, true},
		{"The week is over, so how was it?", true, true},
		{"Anything else?", true, true},
		{"Is there anything else you want to try?", true, true},
		{"Any other worries?", true, true},
		{"Is there a plan?", true, false},
		{"You see them on Sundays, or?", true, false},
		{"Two or three evenings, like?", true, false},

		{"", false, false},
		{"Right?", false, false},
		{"You know?", false, false},
		{"Okay, you know what?", false, false},
		{"You know what I mean?", false, false},
		{"I'm here to help, okay?", false, false},
		{"It's hard, isn't it?", false, false},
		{"So it sounds like you have had enough?", false, false},
		{"What I want is a quiet week.", false, false},
		{"When I get home, I sleep.", false, false},
		{"What is important is the team.", false, false},
		{"Do it now.", false, false},
		{"Have a seat.", false, false},
		{"Had I known, I would have stayed.", false, false},
		{"He said, what are you doing here.", false, false},
		{"I know what you mean.", false, false},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			t.Parallel()
			equal(t, "IsQuestion", conversation.IsQuestion(tt.sentence), tt.asks)
			equal(t, "IsOpenQuestion", conversation.IsOpenQuestion(tt.sentence), tt.open)
		})
	}
}

func TestSentences(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text string
		want []string
	}{
		{"", nil},
		{" \n ", nil},
		{"One. Two! Three? Four", []string{"One.", "Two!", "Three?", "Four"}},
		{"Dr. Meyer paid 3.50 for it, e.g. on example.org. Then she left.", []string{"Dr. Meyer paid 3.50 for it, e.g. on example.org.", "Then she left."}},
		{"He said \"go.\" I went...", []string{"He said \"go.\"", "I went..."}},
		{"I was-- What did you say? -and so on", []string{"I was--", "What did you say?", "-and so on"}},
		{"well-known up-to-date facts -- mostly", []string{"well-known up-to-date facts -- mostly"}},
		{"One\ntwo", []string{"One", "two"}},
		{"Schön… Und dann?", []string{"Schön…", "Und dann?"}},
	} {
		if got := slices.Collect(conversation.Sentences(tt.text)); !slices.Equal(got, tt.want) {
			t.Errorf("%q: got %q, want %q", tt.text, got, tt.want)
		}
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"":                            nil,
		" … -- 🙂":                     nil,
		"I don't, y’know, well-being": {"I", "don't", "y’know", "well-being"},
		"'quoted' -and so- 10:30":     {"quoted", "and", "so", "10", "30"},
		"naïve e\u0301tude":           {"naïve", "e\u0301tude"},
		"stopped mid-":                {"stopped", "mid"},
		"\xff broken \xfe bytes":      {"broken", "bytes"},
	} {
		if got := slices.Collect(conversation.Words(text)); !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
		equal(t, "CountWords of "+text, conversation.CountWords(text), len(want))
	}
}
