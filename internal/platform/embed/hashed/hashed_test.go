package hashed_test

import (
	"math"
	"testing"

	"github.com/rapporthq/rapport/internal/platform/embed"
	"github.com/rapporthq/rapport/internal/platform/embed/embedtest"
	"github.com/rapporthq/rapport/internal/platform/embed/hashed"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	embedtest.Run(t, func(*testing.T) embed.Embedder { return hashed.Embedder{} })
}

// What shares words, or parts of them, is nearer than what does not; and a vector of before still finds those of today.
func TestNearness(t *testing.T) {
	t.Parallel()
	texts := []string{
		"I answer mails until two in the night.", "Answering e-mails at night keeps me awake.", "The budget of the new school is closed.", "I ANSWER MAILS, until two — in the night",
	}
	v, _, err := hashed.Embedder{}.Embed(t.Context(), texts)
	if err != nil {
		t.Fatal(err)
	}
	near, far, same := embedtest.Cosine(v[0], v[1]), embedtest.Cosine(v[0], v[2]), embedtest.Cosine(v[0], v[3])
	if near < far+0.1 || same < 0.999 {
		t.Errorf("near %.3f, far %.3f, the same %.3f", near, far, same)
	}
	sum := 0.0
	for i, x := range v[0] {
		sum += float64(x) * float64(i+1)
	}
	if want := -210.977; math.Abs(sum-want) > 0.01 {
		t.Errorf("the vectors have changed (%.3f): raise the version in the name", sum)
	}
}

func BenchmarkPassage(b *testing.B) {
	text := []string{"I have been thinking about the team, and it is not so much the work as the meetings that wear me out. What would it look like if that were different?"}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := (hashed.Embedder{}).Embed(b.Context(), text); err != nil {
			b.Fatal(err)
		}
	}
}
