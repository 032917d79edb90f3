// Package embed is the port to what makes vectors of texts, so that texts about the same can be found by each other.
package embed

import (
	"context"

	"github.com/rapporthq/rapport/internal/platform/llm"
)

// MaxText is how many bytes a text may have: less than any model takes. Whoever has longer ones cuts them where it makes sense.
const MaxText = 8000

// Embedder makes vectors.
//
// Implementations are safe for concurrent use, log no word of a text, and no error of theirs quotes one. Those that ask a service repeat what
// has failed for a passing reason a few times, and leave a service alone that is down.
type Embedder interface {
	// Name identifies what makes the vectors: those of another name do not compare with these.
	Name() string

	// Dimension is how long each vector is.
	Dimension() int

	// Estimate is the most that texts can use.
	Estimate(texts []string) llm.Usage

	// Fits says whether a text is read whole. What does not fit is no error up to MaxText: a model that reads less leaves out the end.
	Fits(text string) bool

	// Embed makes a vector of each text, in their order, of length 1; that of a text without a word is zero. It is all of them or none. The
	// errors are *llm.Error, or that of the context; TOO_LONG if a text is longer than MaxText. Usage is what was used, whatever the error.
	Embed(ctx context.Context, texts []string) ([][]float32, llm.Usage, error)
}
