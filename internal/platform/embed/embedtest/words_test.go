package embedtest_test

import (
	"testing"

	"github.com/rapporthq/rapport/internal/platform/embed"
	"github.com/rapporthq/rapport/internal/platform/embed/embedtest"
)

func TestWords(t *testing.T) {
	t.Parallel()
	embedtest.Run(t, func(*testing.T) embed.Embedder { return embedtest.Words{} })
}
