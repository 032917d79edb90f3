package rules_test

import (
	"encoding/csv"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/coaching/conversation"
	"github.com/rapporthq/rapport/internal/coaching/insight"
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
	for i, c := range talks {
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
			if os.Getenv("DUMP") != "" {
				fmt.Printf("%d %s %.2f [%s] %s | %s | %v\n", i, f.Kind, f.Confidence, row["client_talk_type"], f.Title, f.Body, f.Citations)
			}
		}
	}
	t.Logf("%d findings in %d conversations, slowest %v", total, len(talks), slowest)
	for _, k := range slices.Sorted(keys(counts)) {
		t.Logf("%-16s %4d   annotated %v", k, counts[k], agree[k])
	}
}
