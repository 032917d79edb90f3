package conversation_test

import (
	"testing"

	"github.com/rapporthq/rapport/internal/coaching/conversation"
)

func TestSuggestRoles(t *testing.T) {
	t.Parallel()
	const (
		unknown = conversation.RoleUnknown
		coach   = conversation.RoleCoach
		client  = conversation.RoleClient
	)
	bothTalk := []conversation.Utterance{line(0, "It is a nice day."), line(1, "It is indeed a nice day.")}
	threeTalk := append([]conversation.Utterance{line(2, "I brought the minutes.")}, bothTalk...)
	var asking, even []conversation.Utterance
	for range 6 {
		asking = append(asking, line(0, "And what do you want instead of that, for your own days?"),
			line(1, "I want my evenings back, I think, and I miss my friends when I work."))
		even = append(even, line(0, "What do you think I should do?"), line(1, "I don't know. What do you think I should do?"))
	}
	for _, tt := range []struct {
		name       string
		speakers   []string
		utterances []conversation.Utterance
		coach      string
		want       []conversation.Role
	}{
		{"full name", []string{"Ana Díaz (she/her)", "Ben"}, bothTalk, "Ana Díaz", []conversation.Role{coach, client}},
		{"first name", []string{"Ben", "ana"}, bothTalk, "Ana Díaz", []conversation.Role{client, coach}},
		{"initial", []string{"Ana D.", "Ben"}, bothTalk, "Ana Díaz", []conversation.Role{coach, client}},
		{"another of the first name", []string{"Ana Meyer", "Ben"}, bothTalk, "Ana Díaz", []conversation.Role{unknown, unknown}},
		{"two of the full name", []string{"Ana Díaz", "Ana Díaz (phone)"}, bothTalk, "Ana Díaz", []conversation.Role{unknown, unknown}},
		{"full name before first name", []string{"Ana", "Ana Díaz"}, bothTalk, "Ana Díaz", []conversation.Role{client, coach}},
		{"label", []string{"Speaker A", "Client"}, bothTalk, "", []conversation.Role{coach, client}},
		{"in company the others stay unknown", []string{"Ana Díaz", "Ben", "Cleo"}, threeTalk, "Ana Díaz", []conversation.Role{coach, unknown, unknown}},
		{"a silent third does not matter", []string{"Ana Díaz", "Ben", "Notetaker"}, bothTalk, "Ana Díaz", []conversation.Role{coach, client, unknown}},
		{"who asks", []string{"Speaker 1", "Speaker 2"}, asking, "", []conversation.Role{coach, client}},
		{"both ask", []string{"Speaker 1", "Speaker 2"}, even, "", []conversation.Role{unknown, unknown}},
		{"too little to tell", []string{"Speaker 1", "Speaker 2"}, asking[:4], "", []conversation.Role{unknown, unknown}},
		{"nobody speaks", []string{"Speaker 1", "Speaker 2"}, nil, "Ana Díaz", []conversation.Role{unknown, unknown}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var speakers []conversation.Speaker
			for _, name := range tt.speakers {
				speakers = append(speakers, conversation.Speaker{Name: name})
			}
			got := conversation.SuggestRoles(speakers, tt.utterances, tt.coach)
			if len(got) != len(tt.want) {
				t.Fatalf("%d suggestions", len(got))
			}
			for i, want := range tt.want {
				equal(t, "speaker", got[i].Speaker, i)
				equal(t, tt.speakers[i], got[i].Role, want)
				if (got[i].Role == unknown) != (got[i].Confidence == 0) || got[i].Reason == "" {
					t.Errorf("%+v", got[i])
				}
			}
		})
	}
}

func TestSuggestRolesKeepsWhatIsSet(t *testing.T) {
	t.Parallel()
	got := conversation.SuggestRoles([]conversation.Speaker{{Name: "Ana Díaz", Role: conversation.RoleClient}, {Name: "Ben"}},
		[]conversation.Utterance{line(0, "Good morning."), line(1, "Good morning to you.")}, "Ana Díaz")
	equal(t, "set", got[0].Role, conversation.RoleClient)
	equal(t, "set", got[0].Confidence, 1)
	equal(t, "other", got[1].Role, conversation.RoleCoach)
}
