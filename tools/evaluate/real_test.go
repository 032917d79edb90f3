package main

import (
	"os"
	"testing"
)

// annotated is the evaluation data beside the repository; it never enters it.
const annotated = "../../../shared/data/annomi/dev.csv"

// The rules earn their place on real conversations.
func TestOnRealConversations(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(annotated); err != nil {
		t.Skipf("NO EVALUATION: %s is not there; the codes were not compared with human annotation", annotated)
	}
	got := measure(judged(t, annotated))
	for k, least := range (figures{0.87, 0.60, 0.45, 0.80, 1}) {
		t.Logf("%s: %.3f", names[k], got[k])
		if !(got[k] >= least) {
			t.Errorf("%s is %.3f, want %.2f", names[k], got[k], least)
		}
	}
}
