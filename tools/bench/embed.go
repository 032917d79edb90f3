package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/rapporthq/rapport/internal/coaching/transcript/format"
	"github.com/rapporthq/rapport/internal/platform/embed"
	"github.com/rapporthq/rapport/internal/platform/embed/local"
	"github.com/rapporthq/rapport/tools/bench/seed"
)

// measureEmbed measures vectors of what was said, as passages of some utterances, by the model that is a part of the program.
func measureEmbed(ctx context.Context, b *bench) error {
	doc, err := format.Parse(seed.NewWords(4).Zoom(120), format.Options{})
	if err != nil {
		return err
	}
	var passages []string
	var passage strings.Builder
	for i, u := range doc.Utterances {
		if passage.Len()+len(u.Text) < embed.MaxText {
			passage.WriteString(u.Text + " ")
		}
		if i%5 == 4 {
			passages = append(passages, passage.String())
			passage.Reset()
		}
	}
	var took []time.Duration
	e := local.New()
	for range max(b.runs, 3) {
		begin := time.Now()
		if _, _, err := e.Embed(ctx, passages); err != nil {
			return err
		}
		took = append(took, time.Since(begin))
	}
	fmt.Fprintf(b.out, "\nTwo hours as %d passages: vectors of dimension %d (%s) in %.0f ms\n", len(passages), e.Dimension(), e.Name(), ms(median(took)))
	return nil
}
