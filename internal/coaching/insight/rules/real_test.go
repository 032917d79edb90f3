package rules_test

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/coaching/conversation"
	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/coaching/transcript/format"
)

// annomiPath is the evaluation data of ../shared/data seen from the repository's root; it never enters the repository.
const annomiPath = "../../../../../shared/data/annomi/dev.csv"

type annotated struct {
	insight.Conversation
	rows []map[string]string // one for each utterance
}

func annomi(t *testing.T) []annotated {
	t.Helper()
	f, err := os.Open(annomiPath)
	if err != nil {
		t.Skipf("NO EVALUATION: %s is not there; the analyser was not run on real conversations", annomiPath)
	}
	defer f.Close()
	records, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var out []annotated
	id := ""
	for _, r := range records[1:] {
		row := make(map[string]string, len(r))
		for i, name := range records[0] {
			row[name] = r[i]
		}
		if row["transcript_id"] != id {
			id = row["transcript_id"]
			out = append(out, annotated{Conversation: insight.Conversation{Language: "en", Speakers: pair()}})
		}
		c := &out[len(out)-1]
		speaker := coach
		if row["interlocutor"] == "client" {
			speaker = client
		}
		c.Utterances = append(c.Utterances, conversation.Utterance{Speaker: speaker, Text: row["utterance_text"]})
		c.rows = append(c.rows, row)
	}
	return out
}

func TestRealConversations(t *testing.T) {
	t.Parallel()
	counts := map[insight.Kind]int{}
	agree := map[insight.Kind]map[string]int{}
	total := 0
	var slowest time.Duration
	talks := annomi(t)
	for _, c := range talks {
		began := time.Now()
		found := analyse(t, c.Conversation)
		slowest = max(slowest, time.Since(began))
		for _, f := range found {
			verify(t, c.Conversation, f)
			counts[f.Kind]++
			total++
			if agree[f.Kind] == nil {
				agree[f.Kind] = map[string]int{}
			}
			row := c.rows[f.Citations[0].First]
			agree[f.Kind][row["client_talk_type"]]++
		}
	}
	t.Logf("%d findings in %d conversations, slowest %v", total, len(talks), slowest)
	for _, k := range slices.Sorted(keys(counts)) {
		t.Logf("%-16s %4d   annotated %v", k, counts[k], agree[k])
	}
	// The annotation is of whole utterances and of talk about one behaviour, so agreement cannot be full.
	atLeast(t, insight.KindChangeTalk, agree, counts, "change", 0.70)
	atLeast(t, insight.KindSustainTalk, agree, counts, "sustain", 0.60)
}

func atLeast(t *testing.T, k insight.Kind, agree map[insight.Kind]map[string]int, counts map[insight.Kind]int, label string, want float64) {
	t.Helper()
	if got := float64(agree[k][label]) / float64(counts[k]); got < want {
		t.Errorf("%s: %.2f are annotated %s, want %.2f", k, got, label, want)
	}
}

// The real format with real interruptions, by many speakers whose roles nobody knows.
func TestRealCalls(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../../../../shared/data/zoom/*.vtt")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skip("NO EVALUATION: ../shared/data/zoom is not there; the analyser was not run on real calls")
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
		c := insight.Conversation{Language: "en"}
		for _, name := range doc.Speakers {
			c.Speakers = append(c.Speakers, conversation.Speaker{Name: name, Role: conversation.RoleUnknown})
		}
		for _, u := range doc.Utterances {
			c.Utterances = append(c.Utterances, conversation.Utterance{Speaker: u.Speaker, StartMs: u.StartMs, EndMs: u.EndMs, Text: u.Text})
		}
		counts := map[insight.Kind]int{}
		began := time.Now()
		found := analyse(t, c)
		took := time.Since(began)
		for _, f := range found {
			verify(t, c, f)
			counts[f.Kind]++
			if f.Kind != insight.KindTheme && f.Kind != insight.KindCommitment && f.Kind != insight.KindRiskFlag {
				t.Errorf("%s without roles: %q", f.Kind, f.Title)
			}
		}
		t.Logf("%-36s %4d utterances %v in %v", filepath.Base(file), len(c.Utterances), counts, took)
	}
}
