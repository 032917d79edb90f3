package app

import (
	"context"

	"github.com/rapporthq/rapport/internal/coaching/ask/extractive"
	asking "github.com/rapporthq/rapport/internal/coaching/ask/prompted"
	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/coaching/insight/prompted"
	"github.com/rapporthq/rapport/internal/coaching/insight/rules"
	"github.com/rapporthq/rapport/internal/platform/config"
	"github.com/rapporthq/rapport/internal/platform/embed/local"
	"github.com/rapporthq/rapport/internal/platform/httpx"
	"github.com/rapporthq/rapport/internal/platform/llm"
	"github.com/rapporthq/rapport/internal/platform/llm/openai"
)

// chooseAnalyser takes the configured analyser, unless a test has brought one, and the answerer that goes with it.
func (a *App) chooseAnalyser(ctx context.Context) error {
	c := a.config.Analysis
	a.answerer = extractive.New(local.New())
	a.analysis = httpx.Check{Name: "analyser", Adapter: string(config.AnalyserRules), Optional: true, Probe: func(context.Context) error { return nil }}
	switch {
	case a.analyser != nil:
	case c.Analyser == config.AnalyserOpenAI:
		key, err := a.secrets.Open(ctx, "RAPPORT_OPENAI_API_KEY", c.OpenAIKey.Reveal(), nil)
		if err != nil {
			return err
		}
		model, err := openai.New(openai.Options{Key: key, BaseURL: c.OpenAIURL, Model: c.OpenAIModel, InputPrice: c.OpenAIInputPrice, OutputPrice: c.OpenAIOutputPrice, Silence: c.OpenAITimeout})
		if err != nil {
			return err
		}
		asked := llm.Model(model)
		if a.metrics != nil {
			asked = metered{model, a, string(config.AnalyserOpenAI)}
		}
		a.analyser = prompted.New(string(config.AnalyserOpenAI), asked)
		a.answerer = asking.New(string(config.AnalyserOpenAI), asked)
		a.analysis.Adapter, a.analysis.Probe = string(config.AnalyserOpenAI), model.Probe
	default:
		a.analyser = rules.Analyser{}
	}
	return nil
}

// limits are what each organization may ask of models.
func (a *App) limits() insight.Limits {
	c := a.config.Analysis
	return insight.Limits{MonthlyMicros: c.OpenAIMonthlyLimit * 1_000_000, Calls: c.OpenAIConcurrency}
}

// analyses says for people what looks for insights.
func (a *App) analyses() string {
	e := a.analyser.Engine()
	if e.Model == "" {
		return e.Name + " (built in)"
	}
	return e.Name + " (" + e.Model + ", prompts " + e.PromptVersion + ")"
}
