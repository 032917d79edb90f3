package embedtest

import (
	"context"
	"hash/fnv"
	"math"
	"strings"
	"unicode"

	"github.com/rapporthq/rapport/internal/platform/embed"
	"github.com/rapporthq/rapport/internal/platform/llm"
)

// Words is an embedder for tests of what uses one: texts are alike that share words, and a vector takes microseconds. It knows nothing of meaning.
type Words struct {
	Model string // "" is words-1; another name is another model, whose vectors are turned round
}

var _ embed.Embedder = Words{}

// Name implements embed.Embedder.
func (w Words) Name() string {
	if w.Model == "" {
		return "words-1"
	}
	return w.Model
}

// Dimension implements embed.Embedder.
func (Words) Dimension() int { return 256 }

// Estimate implements embed.Embedder.
func (Words) Estimate([]string) llm.Usage { return llm.Usage{} }

// Fits implements embed.Embedder: 200 words are read, so that tests meet the end of a window.
func (Words) Fits(text string) bool {
	return len(text) <= embed.MaxText && len(strings.Fields(text)) <= 200
}

// Embed implements embed.Embedder.
func (w Words) Embed(ctx context.Context, texts []string) ([][]float32, llm.Usage, error) {
	vectors := make([][]float32, len(texts))
	for i, text := range texts {
		if len(text) > embed.MaxText {
			return nil, llm.Usage{}, &llm.Error{Kind: llm.TooLong, Reason: "a text is too long"}
		}
		if err := ctx.Err(); err != nil {
			return nil, llm.Usage{}, err
		}
		vectors[i] = w.vector(text)
	}
	return vectors, llm.Usage{}, nil
}

func (w Words) vector(text string) []float32 {
	v := make([]float32, w.Dimension())
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	if len(words) == 0 {
		words = strings.Fields(text) // a sign is a word, too, if nothing else is there
	}
	for _, word := range words {
		h := fnv.New64a()
		_, _ = h.Write([]byte(w.Model + word))
		v[h.Sum64()%uint64(len(v))]++
	}
	length := math.Sqrt(Cosine(v, v))
	for i := range v {
		if length > 0 {
			v[i] /= float32(length)
		}
	}
	return v
}
