//go:build unix

package coding

import (
	"syscall"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/coaching/conversation"
)

// A session of two hours is 20,000 words or so. Processor time counts, and the best of several runs: what else the machine
// does is not the code's.
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
		before := processorTime(t)
		Apply(speakers, utterances)
		best = min(best, processorTime(t)-before)
	}
	t.Logf("%d words in %d utterances: %v", words, len(utterances), best)
	if best > 50*time.Millisecond*slower {
		t.Errorf("%v for two hours of talk, want at most 50 ms", best)
	}
}

// processorTime is what this process has used so far. The test that asks is not parallel, so nothing else in it runs.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
