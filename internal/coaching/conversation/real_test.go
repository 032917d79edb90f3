package conversation_test

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/coaching/conversation"
	"github.com/rapporthq/rapport/internal/coaching/transcript/format"
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
	}
	t.Logf("question_exists: %s", found)
	if found.score() < 0.87 {
		t.Errorf("F1 %.3f of question_exists, want 0.87", found.score())
	}
	t.Logf("open among found questions: %s", open)
}

func TestMetricsOfRealCalls(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../../../shared/data/zoom/*.vtt")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skip("NO EVALUATION: ../shared/data/zoom is not there; the metrics were not computed on real calls")
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := format.Parse(content, format.Options{})
		if err != nil {
			t.Fatal(err)
		}
		speakers := make([]conversation.Speaker, len(doc.Speakers))
		utterances := make([]conversation.Utterance, len(doc.Utterances))
		for i, u := range doc.Utterances {
			utterances[i] = conversation.Utterance{Speaker: u.Speaker, StartMs: u.StartMs, EndMs: u.EndMs, Text: u.Text}
		}
		began := time.Now()
		m := conversation.Measure(speakers, utterances, nil)
		took := time.Since(began)
		equal(t, "basis", m.Basis, conversation.BasisTime)
		equal(t, "pausesAvailable", m.Quality.PausesAvailable, true)
		sum, turns := 0.0, 0
		for _, s := range m.Speakers {
			sum += *s.TalkShareOfSpeech
			turns += s.TurnCount
		}
		near(t, "Σ talkShareOfSpeech", &sum, 1)
		if s := *m.SilenceShare; s < 0 || s > 0.5 {
			t.Errorf("%s: silence %v", file, s)
		}
		t.Logf("%-36s %3.0f min, %4d utterances, %4d turns, silence %.2f, %.1f switches/min, overlaps %v, in %v", filepath.Base(file),
			float64(*m.DurationMs)/60_000, len(utterances), turns, *m.SilenceShare, *m.InteractivityPerMin, m.Quality.OverlapsAvailable, took)
	}
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
	if right < len(ids)/2 {
		t.Errorf("only %d of %d conversations have their roles suggested", right, len(ids))
	}
	if wrong > 0 {
		t.Errorf("%d conversations with coach and client mistaken for each other", wrong)
	}
}
