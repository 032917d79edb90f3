package main

import (
	"context"
	"fmt"
	"time"

	"github.com/rapporthq/rapport/internal/coaching/conversation"
	"github.com/rapporthq/rapport/internal/coaching/transcript/format"
	"github.com/rapporthq/rapport/tools/bench/seed"
)

// measureParse measures what is pure: reading and measuring two hours.
func measureParse(_ context.Context, b *bench) error {
	file := seed.NewWords(3).Zoom(120)
	var read, measured []time.Duration
	var doc *format.Document
	for range max(b.runs, 5) {
		begin := time.Now()
		var err error
		if doc, err = format.Parse(file, format.Options{}); err != nil {
			return err
		}
		read = append(read, time.Since(begin))
		speakers := make([]conversation.Speaker, len(doc.Speakers))
		for i, name := range doc.Speakers {
			speakers[i] = conversation.Speaker{Name: name, Role: []conversation.Role{conversation.RoleCoach, conversation.RoleClient}[i%2]}
		}
		said := make([]conversation.Utterance, len(doc.Utterances))
		for i, u := range doc.Utterances {
			said[i] = conversation.Utterance{Speaker: u.Speaker, StartMs: u.StartMs, EndMs: u.EndMs, Text: u.Text}
		}
		begin = time.Now()
		m := conversation.Measure(conversation.Talk{Speakers: speakers, Utterances: said})
		measured = append(measured, time.Since(begin))
		if len(m.Speakers) != len(speakers) {
			return fmt.Errorf("%d speakers were measured, %d spoke", len(m.Speakers), len(speakers))
		}
	}
	cues, words := 0, 0
	for _, u := range doc.Utterances {
		cues += len(u.Cues)
		words += conversation.CountWords(u.Text)
	}
	fmt.Fprintf(b.out, "\nTwo hours of Zoom WebVTT (%d KB, %d cues, %d words): read in %.1f ms, measured in %.1f ms\n",
		len(file)>>10, cues, words, ms(median(read)), ms(median(measured)))
	return nil
}
