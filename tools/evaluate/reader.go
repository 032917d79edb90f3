package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/rapporthq/rapport/internal/app"
	"github.com/rapporthq/rapport/internal/coaching/coding"
	"github.com/rapporthq/rapport/internal/coaching/conversation"
	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/coaching/insight/prompted"
	"github.com/rapporthq/rapport/internal/coaching/insight/rules"
	"github.com/rapporthq/rapport/internal/platform/config"
	"github.com/rapporthq/rapport/internal/platform/llm"
	"github.com/rapporthq/rapport/internal/platform/llm/openai"
)

// reader codes a conversation and looks for insights in it.
type reader interface {
	read(ctx context.Context, utterances []conversation.Utterance) ([]coding.Utterance, *insight.Collection, error)
	// about says what has read, and what that has cost.
	about() string
}

func conversationOf(utterances []conversation.Utterance) insight.Conversation {
	return insight.Conversation{Language: "en", Speakers: speakers, Utterances: utterances}
}

// byRules is what is built in.
type byRules struct{}

func (byRules) about() string { return "the built-in rules" }

func (byRules) read(ctx context.Context, utterances []conversation.Utterance) ([]coding.Utterance, *insight.Collection, error) {
	var all insight.Collection
	err := rules.Analyser{}.Analyse(ctx, conversationOf(utterances), &all)
	return coding.Apply(speakers, utterances), &all, err
}

// byModel asks a language model, and keeps to a limit.
type byModel struct {
	model    llm.Model
	most     int64 // millionths of a dollar
	asked    int
	used     llm.Usage
	prices   string
	refusals int
}

// atOpenAI is the configured model, of which the environment says where it is and by which key it is asked.
func atOpenAI(ctx context.Context, lookup config.Lookup, dollars float64) (*byModel, error) {
	c, err := config.Load(lookup)
	if err != nil {
		return nil, err
	}
	a := c.Analysis
	if a.OpenAIKey == "" {
		return nil, errors.New("RAPPORT_OPENAI_API_KEY is not set: a language model is asked on somebody's account. Set it to a key of OpenAI's, or leave LLM out to evaluate the built-in rules")
	}
	// Only the key is asked for: whatever else the environment refers to is none of an evaluation's business.
	secrets, err := app.OpenSecrets(ctx, config.Config{Analysis: a}, lookup, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		return nil, err
	}
	key, err := secrets.Open(ctx, "RAPPORT_OPENAI_API_KEY", a.OpenAIKey.Reveal(), nil)
	if err != nil {
		return nil, err
	}
	m, err := openai.New(openai.Options{Key: key, BaseURL: a.OpenAIURL, Model: a.OpenAIModel,
		InputPrice: a.OpenAIInputPrice, OutputPrice: a.OpenAIOutputPrice, Silence: a.OpenAITimeout})
	if err != nil {
		return nil, err
	}
	prices := "the price list of " + openai.PricesAsOf
	if a.OpenAIInputPrice > 0 {
		prices = "RAPPORT_OPENAI_INPUT_PRICE and RAPPORT_OPENAI_OUTPUT_PRICE"
	}
	return &byModel{model: m, most: int64(dollars * 1e6), prices: prices}, nil
}

func (b *byModel) about() string {
	s := fmt.Sprintf("%s, prompts %s: %d requests, %d tokens read, %d written, $%.2f by %s",
		b.model.Name(), prompted.PromptVersion, b.asked, b.used.InputTokens, b.used.OutputTokens, float64(b.used.CostMicros)/1e6, b.prices)
	if b.refusals > 0 {
		s += fmt.Sprintf("; of %d conversations it refused a part", b.refusals)
	}
	return s
}

// read implements reader. An utterance that the model leaves out has no code, which agrees with nobody.
func (b *byModel) read(ctx context.Context, utterances []conversation.Utterance) ([]coding.Utterance, *insight.Collection, error) {
	var all insight.Collection
	err := prompted.New("openai", b.model).Analyse(ctx, conversationOf(utterances), spending{&all, b})
	if failed := llm.Failure(err); failed != nil && failed.Kind == llm.Refused {
		b.refusals++
		err = nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%w (so far %s)", err, b.about())
	}
	coded := make([]coding.Utterance, len(utterances))
	for _, c := range all.Coded {
		mark := coding.Mark{Code: coding.Code(c.Code), Confidence: c.Confidence}
		coded[c.Utterance] = coding.Utterance{Mark: mark, Sentences: []coding.Sentence{{Mark: mark, Text: utterances[c.Utterance].Text}}}
	}
	return coded, &all, nil
}

// spending is a report that keeps to the limit.
type spending struct {
	*insight.Collection
	by *byModel
}

// Ask implements insight.Report.
func (s spending) Ask(ctx context.Context, m llm.Model, q llm.Request, call func(llm.Call) error) error {
	if s.by.used.CostMicros+m.Estimate(q).CostMicros > s.by.most {
		return fmt.Errorf("the next request could cost more than is left of $%.2f: give more by SPEND=<dollars>", float64(s.by.most)/1e6)
	}
	used, err := m.Answer(ctx, q, call)
	s.by.asked++
	s.by.used.Add(used)
	return err
}
