// Package llm is the port to a large language model that answers by calling tools.
package llm

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// Model is a language model at some service.
//
// Implementations are safe for concurrent use. They repeat a request that has failed for a passing reason a few times, for as long as
// nothing of its answer was handed on; and they leave a service alone that is down. They log nothing of a request or an answer, and no
// error of theirs quotes either.
type Model interface {
	// Name identifies the model: another name, other answers.
	Name() string

	// Tokens counts a text as the model does.
	Tokens(text string) int

	// Estimate is the most that a request can use: all of its input, and the longest answer.
	Estimate(r Request) Usage

	// Answer asks, and hands on each call of a tool as soon as its arguments are complete, while the answer goes on. An error of call
	// ends it and is returned as it is. The other errors are *Error, or that of the context. Usage is what was used, whatever the
	// error: what is not told by the service is counted here.
	Answer(ctx context.Context, r Request, call func(Call) error) (Usage, error)
}

// Request is a question. What it is to do and what it is to look at are kept apart from the first moment: the material may have been
// written by anybody, and no word of it is an instruction.
type Request struct {
	Instructions string
	Material     string
	Tools        []Tool // of which the model must call at least one
}

// Tool is something that the model can call.
type Tool struct {
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Parameters  json.RawMessage `json:"parameters"` // the JSON schema of an object: each property required, none besides
}

// Call is a call of one of the tools. Its arguments are a JSON object; whether they keep to the tool's schema, nobody has checked.
type Call struct {
	Tool      string          `json:"tool"`
	Arguments json.RawMessage `json:"arguments"`
}

// Usage is what a request has used.
type Usage struct {
	InputTokens  int
	OutputTokens int
	CostMicros   int64 // millionths of a US dollar
	Unreadable   int   // calls that were dropped: their arguments are no JSON object, or nobody offered the tool
}

// Add adds what another request has used.
func (u *Usage) Add(o Usage) {
	u.InputTokens += o.InputTokens
	u.OutputTokens += o.OutputTokens
	u.CostMicros += o.CostMicros
	u.Unreadable += o.Unreadable
}

// Kind says what can be done about an answer that did not come.
type Kind string

// The kinds.
const (
	Unavailable Kind = "UNAVAILABLE" // the service is busy, down or silent: the same again later, after Error.After
	Denied      Kind = "DENIED"      // the service does not take our requests: somebody must look at the key, the account or the model
	Refused     Kind = "REFUSED"     // the model does not want to answer this
	TooLong     Kind = "TOO_LONG"    // the request does not fit, or the answer did not: ask for less at once
	Malformed   Kind = "MALFORMED"   // what came is no answer
)

// Error is why an answer did not come, or not all of it.
type Error struct {
	Kind   Kind
	After  time.Duration // of Unavailable: how long the service, or we, want it left alone; 0 if nobody said
	Reason string        // for operators, never content
}

func (e *Error) Error() string { return "model " + string(e.Kind) + ": " + e.Reason }

// Failure is the Error in err's chain, nil if there is none.
func Failure(err error) *Error {
	var e *Error
	errors.As(err, &e)
	return e
}
