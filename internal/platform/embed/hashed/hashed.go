// Package hashed makes vectors of texts without a model, an account or a network: of their words and of the groups of letters in them.
//
// Texts are alike that share words, or parts of words: "moved" and "moving", a name that was misheard. It knows nothing of meaning: "car" and
// "automobile" are as far apart as any two words. The same text has the same vector on every machine.
package hashed

import (
	"context"
	"hash/fnv"
	"math"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/rapporthq/rapport/internal/platform/embed"
	"github.com/rapporthq/rapport/internal/platform/llm"
)

// Dimension of the vectors. Of a few hundred words and groups of letters that a passage has, few meet in one place.
const Dimension = 1024

// letters in a group, and what one weighs beside a word.
const (
	group       = 3
	groupWeight = 0.4
)

// Embedder is the embedder. Its zero value is ready.
type Embedder struct{}

var _ embed.Embedder = Embedder{}

// Name implements embed.Embedder. The version is raised whenever a vector changes.
func (Embedder) Name() string { return "hashed-1" }

// Dimension implements embed.Embedder.
func (Embedder) Dimension() int { return Dimension }

// Estimate implements embed.Embedder: it costs nothing.
func (Embedder) Estimate([]string) llm.Usage { return llm.Usage{} }

// Embed implements embed.Embedder.
func (Embedder) Embed(ctx context.Context, texts []string) ([][]float32, llm.Usage, error) {
	vectors := make([][]float32, len(texts))
	for i, text := range texts {
		if len(text) > embed.MaxText {
			return nil, llm.Usage{}, &llm.Error{Kind: llm.TooLong, Reason: "a text is too long"}
		}
		if err := ctx.Err(); err != nil {
			return nil, llm.Usage{}, err
		}
		vectors[i] = vector(text)
	}
	return vectors, llm.Usage{}, nil
}

// vector adds up what a text is made of. What comes often counts more, but not as much more as it is more often.
func vector(text string) []float32 {
	counts := map[string]float64{}
	for _, word := range strings.FieldsFunc(fold(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		counts["w"+word]++
		for runes, i := []rune("<"+word+">"), 0; i+group <= len(runes); i++ {
			counts["g"+string(runes[i:i+group])] += groupWeight
		}
	}
	sum := make([]float64, Dimension)
	for feature, n := range counts {
		h := fnv.New64a()
		_, _ = h.Write([]byte(feature))
		at, weight := h.Sum64(), math.Log1p(n)
		if at>>63 == 1 { // so that what meets in one place cancels out as often as it adds up
			weight = -weight
		}
		sum[at%Dimension] += weight
	}
	length := 0.0
	for _, x := range sum {
		length += x * x
	}
	v := make([]float32, Dimension)
	for i, x := range sum {
		if length > 0 {
			v[i] = float32(x / math.Sqrt(length))
		}
	}
	return v
}

// fold writes a text in lower case and without accents.
func fold(s string) string {
	return strings.ToLower(strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, norm.NFKD.String(s)))
}
