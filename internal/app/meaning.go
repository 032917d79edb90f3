package app

import (
	"cmp"
	"context"

	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/coaching/search"
	"github.com/rapporthq/rapport/internal/platform/config"
	"github.com/rapporthq/rapport/internal/platform/embed/local"
	"github.com/rapporthq/rapport/internal/platform/embed/openai"
	"github.com/rapporthq/rapport/internal/platform/httpx"
	"github.com/rapporthq/rapport/internal/platform/vector"
	"github.com/rapporthq/rapport/internal/platform/vector/exact"
	"github.com/rapporthq/rapport/internal/platform/vector/pinecone"
)

// openMeaning opens what search by meaning stands on: what makes vectors, unless a test has brought one, and what keeps them. It asks neither.
func (a *App) openMeaning(ctx context.Context) error {
	c := a.config.Meaning
	a.meaning = httpx.Check{Name: "vectors", Adapter: "postgres", Optional: true}
	var store vector.Store = exact.New(a.db, c.VectorMemory<<20)
	if c.PineconeIndex != "" {
		key, err := a.secrets.Open(ctx, "RAPPORT_PINECONE_API_KEY", c.PineconeKey.Reveal(), nil)
		if err != nil {
			return err
		}
		store, a.meaning.Adapter = pinecone.New(pinecone.Options{Key: key, Index: c.PineconeIndex, URL: c.PineconeURL}), "pinecone"
	}
	models, asked := []search.Model{{Embedder: local.New()}}, func(context.Context) error { return nil }
	if c.Embedder == config.EmbedderOpenAI {
		key, err := a.secrets.Open(ctx, "RAPPORT_OPENAI_API_KEY", a.config.Analysis.OpenAIKey.Reveal(), nil)
		if err != nil {
			return err
		}
		model, err := openai.New(openai.Options{Key: key, BaseURL: a.config.Analysis.OpenAIURL, Model: c.OpenAIModel, Dimension: c.OpenAIDimension, Timeout: a.config.Analysis.OpenAITimeout})
		if err != nil {
			return err
		}
		models, asked = append([]search.Model{{Embedder: model, Remote: true}}, models...), model.Probe
	}
	if a.models != nil {
		models = nil
		for _, e := range a.models {
			models = append(models, search.Model{Embedder: e})
		}
	}
	a.services.Meaning = search.NewMeaning(a.db, a.services.Transcripts, store, insight.Limits{MonthlyMicros: a.limits().MonthlyMicros}, models[0], models[1:]...)
	a.meaning.Probe = connects(func(ctx context.Context) error { return cmp.Or(asked(ctx), a.services.Meaning.Ready(ctx)) })
	return nil
}

// reviewMeaning has organizations switch to the model that is configured.
func (a *App) reviewMeaning(ctx context.Context) error {
	if err := a.services.Meaning.Review(ctx); err != nil && ctx.Err() == nil {
		a.log.WarnContext(ctx, "cannot look for conversations without vectors", "err", err)
	}
	return nil
}
