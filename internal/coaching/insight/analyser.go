package insight

import (
	"context"

	"github.com/rapporthq/rapport/internal/coaching/conversation"
)

// Conversation is what an analyser gets to see: no names of organizations, no ids, no e-mail addresses.
type Conversation struct {
	Language   string
	Speakers   []conversation.Speaker
	Utterances []conversation.Utterance
}

// Finding is an analyser's proposal. It becomes an Insight only after each of its quotes was found in the utterances it cites.
type Finding struct {
	Kind       Kind
	Audience   Audience
	Title      string  // one line
	Body       string  // one to three sentences
	Confidence float64 // 0 to 1
	Citations  []Quote // at least one
}

// Quote is a verbatim passage from consecutive utterances.
type Quote struct {
	Text        string
	First, Last int // indices into Conversation.Utterances, inclusive
}

// Analyser finds insights in a conversation and emits them one by one, as they are found.
//
// An error of emit ends the analysis and is returned. Implementations are safe for concurrent use. A deterministic
// implementation emits the same findings in the same order for the same conversation.
type Analyser interface {
	Engine() Engine
	Analyse(ctx context.Context, c Conversation, emit func(Finding) error) error
}

// Engine identifies what produced an analysis; a change of any part of it makes a new analysis.
type Engine struct {
	Name          string // "rules", "openai"
	Version       string
	Model         string // "" without one
	PromptVersion string // "" without one
}
