// Package embedtest holds what every embed.Embedder must do.
package embedtest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/rapporthq/rapport/internal/platform/embed"
	"github.com/rapporthq/rapport/internal/platform/llm"
)

// Run runs the suite. setup returns an embedder that is new.
func Run(t *testing.T, setup func(t *testing.T) embed.Embedder) {
	for name, test := range map[string]func(*testing.T, embed.Embedder){
		"says what it is":                  identifies,
		"makes vectors in order":           inOrder,
		"takes any number of texts":        anyNumber,
		"takes any text":                   anyText,
		"refuses what is too long":         refusesGiants,
		"ends with its context":            endsWithContext,
		"is safe for use at the same time": concurrent,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, setup(t))
		})
	}
}

// Cosine is how alike two vectors of length 1 are.
func Cosine(a, b []float32) (sum float64) {
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}

func vectors(t *testing.T, e embed.Embedder, texts ...string) [][]float32 {
	t.Helper()
	all, used, err := e.Embed(t.Context(), texts)
	if err != nil || len(all) != len(texts) {
		t.Fatalf("%d vectors of %d texts: %v", len(all), len(texts), err)
	}
	if most := e.Estimate(texts); used.InputTokens > most.InputTokens || used.CostMicros > most.CostMicros {
		t.Errorf("used %+v, estimated %+v", used, most)
	}
	for i, v := range all {
		if len(v) != e.Dimension() {
			t.Fatalf("%d: dimension %d, want %d", i, len(v), e.Dimension())
		}
		want := 1.0
		if strings.TrimSpace(texts[i]) == "" {
			want = 0
		}
		if length := Cosine(v, v); math.Abs(length-want) > 1e-4 {
			t.Errorf("%d: length %f", i, length)
		}
	}
	return all
}

func identifies(t *testing.T, e embed.Embedder) {
	if e.Name() == "" || e.Dimension() < 2 {
		t.Errorf("%q of dimension %d", e.Name(), e.Dimension())
	}
}

func inOrder(t *testing.T, e embed.Embedder) {
	const one, other = "I answer mails until two.", "The budget is closed."
	v := vectors(t, e, one, other, one)
	if !reflect.DeepEqual(v[0], v[2]) || Cosine(v[0], v[1]) > 0.95 {
		t.Error("not one vector for one text")
	}
	if w := vectors(t, e, other); math.Abs(Cosine(w[0], v[1])-1) > 1e-4 {
		t.Error("what stands beside a text changes its vector")
	}
}

func anyNumber(t *testing.T, e embed.Embedder) {
	vectors(t, e)
	many := make([]string, 2500) // more than a service takes at once
	for i := range many {
		many[i] = fmt.Sprintf("Passage %d of the garden.", i%100) // an embedder that computes is to be tested quickly, too
	}
	v := vectors(t, e, many...)
	if w := vectors(t, e, many[2400]); math.Abs(Cosine(w[0], v[2400])-1) > 1e-4 {
		t.Error("many texts do not keep their order")
	}
	long := strings.Repeat("word ", embed.MaxText/5)
	vectors(t, e, long, long, long)
}

func anyText(t *testing.T, e embed.Embedder) {
	vectors(t, e, "", " \n\t", "x", "é🙂 世界", "a\x00b", "\xff half")
}

func refusesGiants(t *testing.T, e embed.Embedder) {
	giant := strings.Repeat("x", embed.MaxText+1)
	if !e.Fits("short") || !e.Fits("") || e.Fits(giant) {
		t.Error("it does not know what fits")
	}
	v, used, err := e.Embed(t.Context(), []string{"short", giant})
	if failed := llm.Failure(err); failed == nil || failed.Kind != llm.TooLong || v != nil || used.CostMicros > 0 {
		t.Errorf("%v for %+v", err, used)
	}
}

func endsWithContext(t *testing.T, e embed.Embedder) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if v, _, err := e.Embed(ctx, []string{"x"}); !errors.Is(err, context.Canceled) || v != nil {
		t.Errorf("after the end: %v", err)
	}
}

func concurrent(t *testing.T, e embed.Embedder) {
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			text := fmt.Sprintf("Passage %d.", i)
			if v, _, err := e.Embed(t.Context(), []string{text, text}); err != nil || !reflect.DeepEqual(v[0], v[1]) {
				t.Errorf("%d: %v", i, err)
			}
		})
	}
	all.Wait()
}
