package conversation_test

import (
	"encoding/csv"
	"os"
	"testing"

	"github.com/rapporthq/rapport/internal/coaching/conversation"
)

// annomiPath is the evaluation data of ../shared/data seen from the repository's root; it never enters the repository.
const annomiPath = "../../../../shared/data/annomi/dev.csv"

func annomi(t *testing.T) []map[string]string {
	t.Helper()
	f, err := os.Open(annomiPath)
	if err != nil {
		t.Skipf("NO EVALUATION: %s is not there; the detectors were not measured on real conversations", annomiPath)
	}
	defer f.Close()
	records, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	rows := make([]map[string]string, 0, len(records)-1)
	for _, r := range records[1:] {
		row := make(map[string]string, len(r))
		for i, name := range records[0] {
			row[name] = r[i]
		}
		rows = append(rows, row)
	}
	return rows
}

func TestQuestionsOnRealConversations(t *testing.T) {
	t.Parallel()
	var found, open f1
	for _, r := range annomi(t) {
		if r["interlocutor"] != "therapist" {
			continue
		}
		got, gotOpen := false, false
		for s := range conversation.Sentences(r["utterance_text"]) {
			got = got || conversation.IsQuestion(s)
			gotOpen = gotOpen || conversation.IsOpenQuestion(s)
		}
		found.add(got, r["question_exists"] == "True")
		if r["question_exists"] == "True" && got {
			open.add(gotOpen, r["question_subtype"] == "open")
		}
		if os.Getenv("DUMP") != "" && got != (r["question_exists"] == "True") {
			t.Logf("got %v annot %s %s: %s", got, r["annotators"], r["main_therapist_behaviour"], r["utterance_text"])
		}
	}
	t.Logf("question_exists: %s", found)
	t.Logf("open among found questions: %s", open)
}

func TestRolesOnRealConversations(t *testing.T) {
	t.Parallel()
	var ids []string
	talks := map[string][]conversation.Utterance{}
	for _, r := range annomi(t) {
		id := r["transcript_id"]
		if talks[id] == nil {
			ids = append(ids, id)
		}
		speaker := 0
		if r["interlocutor"] == "client" {
			speaker = 1
		}
		talks[id] = append(talks[id], conversation.Utterance{Speaker: speaker, Text: r["utterance_text"]})
	}
	right, wrong, unsure := 0, 0, 0
	for _, id := range ids {
		got := conversation.SuggestRoles([]conversation.Speaker{{Name: "Speaker 1"}, {Name: "Speaker 2"}}, talks[id], "")
		switch got[0].Role {
		case conversation.RoleCoach:
			right++
		case conversation.RoleClient:
			wrong++
		default:
			unsure++
		}
	}
	t.Logf("roles by manner alone: %d right, %d wrong, %d left unknown", right, wrong, unsure)
	if wrong > 0 {
		t.Errorf("%d conversations with coach and client mistaken for each other", wrong)
	}
}
