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
			got := conversation.SuggestRoles(speakers, tt.utterances, conversation.People{Coach: tt.coach}, nil)
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
		[]conversation.Utterance{line(0, "Good morning."), line(1, "Good morning to you.")}, conversation.People{Coach: "Ana Díaz"}, []conversation.Role{conversation.RoleOther, conversation.RoleUnknown})
	equal(t, "set", got[0].Role, conversation.RoleClient)
	equal(t, "set", got[0].Confidence, 1)
	equal(t, "other", got[1].Role, conversation.RoleCoach)
}

func TestSuggestRolesByWhoIsExpected(t *testing.T) {
	t.Parallel()
	const (
		unknown = conversation.RoleUnknown
		coach   = conversation.RoleCoach
		client  = conversation.RoleClient
		other   = conversation.RoleOther
	)
	everybody := conversation.People{Coach: "Ana Díaz", Clients: []string{"Ben Okri", "Ben"}, Others: []string{"Cleo Park"}}
	for _, tt := range []struct {
		name       string
		speakers   []string
		expected   conversation.People
		remembered []conversation.Role
		want       []conversation.Role
	}{
		{"all by name", []string{"Cleo Park", "Ana D.", "Ben Okri (guest)"}, everybody, nil, []conversation.Role{other, coach, client}},
		{"all by first name", []string{"cleo", "ana", "ben"}, everybody, nil, []conversation.Role{other, coach, client}},
		{"strangers stay unknown", []string{"Ana Díaz", "Ben Okri", "Dora"}, everybody, nil, []conversation.Role{coach, client, unknown}},
		{"the client alone is enough for two", []string{"iPhone", "Ben"}, everybody, nil, []conversation.Role{coach, client}},
		{"a name of both", []string{"Ana", "Eva", "Dora"}, conversation.People{Coach: "Ana Díaz", Clients: []string{"Ana Meyer"}}, nil,
			[]conversation.Role{unknown, unknown, unknown}},
		{"a first name of both, one there by the full name", []string{"Ana", "Ana Díaz", "Dora"}, conversation.People{Coach: "Ana Díaz", Clients: []string{"Ana Meyer"}}, nil,
			[]conversation.Role{client, coach, unknown}},
		{"two of the client's name", []string{"Ben", "Ben", "Dora"}, everybody, nil, []conversation.Role{unknown, unknown, unknown}},
		{"two clients", []string{"Ben", "Eva", "Ana"}, conversation.People{Coach: "Ana Díaz", Clients: []string{"Ben Okri", "Eva Lund"}}, nil,
			[]conversation.Role{client, client, coach}},
		{"remembered before names", []string{"Ben Okri", "Dora", "Eva"}, everybody, []conversation.Role{other, client, unknown}, []conversation.Role{other, client, unknown}},
		{"remembered is enough for two", []string{"iPhone", "Conference room"}, conversation.People{}, []conversation.Role{client, ""}, []conversation.Role{client, coach}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var speakers []conversation.Speaker
			var talk []conversation.Utterance
			for i, name := range tt.speakers {
				speakers = append(speakers, conversation.Speaker{Name: name})
				talk = append(talk, line(i, "It is a nice day."))
			}
			for i, got := range conversation.SuggestRoles(speakers, talk, tt.expected, tt.remembered) {
				equal(t, tt.speakers[i], got.Role, tt.want[i])
				if (got.Role == unknown) != (got.Confidence == 0) || got.Role != unknown && got.Confidence < conversation.SureRole {
					t.Errorf("%+v", got)
				}
			}
		})
	}
}

func TestRolesSettled(t *testing.T) {
	t.Parallel()
	c, l, o, u := conversation.RoleCoach, conversation.RoleClient, conversation.RoleOther, conversation.RoleUnknown
	talk := func(words ...int) (all []conversation.Utterance) {
		for speaker, n := range words {
			for range n {
				all = append(all, line(speaker, "Word."))
			}
		}
		return all
	}
	for _, tt := range []struct {
		name  string
		roles []conversation.Role
		sure  []bool
		words []int
		want  bool
	}{
		{"coach and client", []conversation.Role{c, l}, []bool{true, true}, []int{5, 5}, true},
		{"a guess", []conversation.Role{c, l}, []bool{true, false}, []int{5, 5}, false},
		{"no client", []conversation.Role{c, u}, []bool{true, false}, []int{5, 5}, false},
		{"a stranger who hardly speaks", []conversation.Role{c, l, u}, []bool{true, true, false}, []int{50, 40, 10}, true},
		{"a stranger who speaks", []conversation.Role{c, l, u}, []bool{true, true, false}, []int{50, 39, 11}, false},
		{"a silent stranger", []conversation.Role{c, l, u}, []bool{true, true, false}, []int{5, 5, 0}, true},
		{"a silent client", []conversation.Role{c, l, u}, []bool{true, true, false}, []int{98, 0, 2}, false},
		{"a person says that there is none", []conversation.Role{u, o}, []bool{true, true}, []int{5, 5}, true},
		{"one voice, unknown", []conversation.Role{u}, []bool{false}, []int{5}, false},
		{"one voice, known", []conversation.Role{c}, []bool{true}, []int{5}, true},
		{"nobody speaks", nil, nil, nil, true},
	} {
		speakers := make([]conversation.Speaker, len(tt.roles))
		for i, r := range tt.roles {
			speakers[i].Role = r
		}
		equal(t, tt.name, conversation.RolesSettled(speakers, tt.sure, talk(tt.words...)), tt.want)
	}
}
