// Package local makes vectors of texts with a language model that is a part of the program: all-MiniLM-L6-v2, 384 numbers a text, without an
// account, a network or a compiler of C.
//
// The model knows what words mean: "I answer mails until two in the night" is near "she cannot switch off after work", with which it shares no
// word. It was made for English; other languages work as far as they share words and names with it. It reads the first Window pieces of words of
// a text, about 190 English words, and whoever has longer texts cuts them where it makes sense (Fits says what is read whole).
//
// Cosines of right answers are low, often 0.1 to 0.4: rank by them, and never compare them with a threshold.
//
// The weights are rounded to eight bits, with one scale a row, and lie in the program (weights.bin; tools/minilm made it, NOTICE says of what).
// They are unpacked when the first text comes, in a few hundredths of a second, and then take 43 MB; each text that is being read takes 5 MB, and no more are read at
// a time than there are processors, and one.
package local

import (
	"context"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/rapporthq/rapport/internal/platform/embed"
	"github.com/rapporthq/rapport/internal/platform/llm"
)

// Name of the model and of how it was rounded. The version is raised whenever a vector changes.
const Name = "all-minilm-l6-v2-int8-1"

// Window is how many pieces of words of a text the model reads, those that mark its ends included; the rest of it is left out.
const Window = 256

// Embedder is the embedder. It is safe for concurrent use; one is enough for a process.
type Embedder struct {
	load func() *model

	// Places to compute in. One is kept free of those that come with many texts, so that a question that somebody waits for goes ahead of them.
	places chan *scratch
	many   chan struct{}
}

var _ embed.Embedder = (*Embedder)(nil)

// New returns an embedder. It reads nothing before the first text.
func New() *Embedder {
	n := runtime.GOMAXPROCS(0)
	e := &Embedder{load: sync.OnceValue(unpack), places: make(chan *scratch, n+1), many: make(chan struct{}, n)}
	for range n + 1 {
		e.places <- nil // made when it is needed
	}
	return e
}

// Name implements embed.Embedder.
func (*Embedder) Name() string { return Name }

// Dimension implements embed.Embedder.
func (*Embedder) Dimension() int { return width }

// Estimate implements embed.Embedder: it costs nothing.
func (*Embedder) Estimate([]string) llm.Usage { return llm.Usage{} }

// Fits implements embed.Embedder.
func (*Embedder) Fits(text string) bool {
	return len(text) <= embed.MaxText && len(pieces(text, Window+1)) <= Window
}

// Embed implements embed.Embedder. Texts are read one by one, on all processors; a text that comes twice is read once.
func (e *Embedder) Embed(ctx context.Context, texts []string) ([][]float32, llm.Usage, error) {
	where := map[string]int{} // of each text, the first place at which it stands
	var first []int
	for i, text := range texts {
		if len(text) > embed.MaxText {
			return nil, llm.Usage{}, &llm.Error{Kind: llm.TooLong, Reason: "a text is too long"}
		}
		if _, seen := where[text]; !seen {
			where[text] = i
			first = append(first, i)
		}
	}
	vectors := make([][]float32, len(texts))
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(cap(e.many))
	for _, i := range first {
		work.Go(func() (err error) {
			vectors[i], err = e.vector(ctx, texts[i], len(first) > 1)
			return err
		})
	}
	if err := work.Wait(); err != nil {
		return nil, llm.Usage{}, err
	}
	for i, text := range texts {
		if j := where[text]; j != i {
			vectors[i] = append([]float32(nil), vectors[j]...) // so that the vectors of a caller are its own
		}
	}
	return vectors, llm.Usage{}, nil
}

func (e *Embedder) vector(ctx context.Context, text string, ofMany bool) ([]float32, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if ofMany {
		select {
		case e.many <- struct{}{}:
			defer func() { <-e.many }()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	var s *scratch
	select {
	case s = <-e.places:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { e.places <- s }()
	if s == nil {
		s = newScratch()
	}
	return e.load().forward(pieces(text, Window), s), nil
}
